"""What new definitions tell of mail of the past: files that were delivered, mail that was held (DEF-12, QRN-09)."""

import asyncio
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from control.quarantine_server import sandboxed
from control.updates import later
from control.updates import memory as memories
from engine import events
from engine.ids import IdMaker
from engine.policy.evidence import Evidence, File
from engine.queue.record import Disposition, Received, Recipient
from engine.queue.record import Verdict as VerdictRecord
from engine.queue.store import Store
from engine.scan.facts import Verdict
from signatures import image
from signatures.lookup import Lookup
from signatures.model import Digest, Literal, Signature
from tests.control.harness import wait_until
from tests.control.hostile import in_quarantine
from tests.control.updates.publisher import Publisher
from tests.control.updates.test_session import Site

CONTENT = [f"content of file {number}".encode() for number in range(6)]
SHA256 = [hashlib.sha256(one).hexdigest() for one in CONTENT]


def by_digest(name: str, number: int, size: int | None = None) -> Signature:
    return Signature(name, Digest("sha256", bytes.fromhex(SHA256[number]), size))


@pytest.fixture
def site(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    one = Site(tmp_path / "site", Publisher(tmp_path_factory.mktemp("publisher")))
    yield one
    one.close()


def force(site: Site, *signatures: Signature) -> str:
    """Put a set in force by hand, as if the relays had loaded it."""
    octets = image.build(signatures)
    site.context.definitions.install(octets, "admin", 0, "uploaded")
    revision = image.describe(octets).revision
    site.context.updates.step()
    site.tell(events.DefinitionsLoaded(revision=revision, signatures=len(signatures)))
    wait_until(
        lambda: any(
            isinstance(one, events.DefinitionsLoaded) and one.revision == revision
            for one in site.context.updates.journal(frozenset({"definitions-loaded"}), 0)
        ),
        "loaded",
    )
    site.look()
    return revision


def delivered(site: Site, number: int, to: tuple[str, ...]) -> str:
    """A message with one of the files, that was accepted, examined, and delivered to some."""
    now_ns = site.context.now_us() * 1000
    smtp_id = IdMaker(0, lambda: now_ns + number * 1000).next()
    file = File("2", "2", (f"file {number}.bin",), size=len(CONTENT[number]), sha256=SHA256[number])
    site.relay.write(
        events.Accepted(
            smtp_id=smtp_id, reverse_path="a@example.net", forward_paths=("x@example.com", "y@example.com"), size=1,
            client="192.0.2.1", connection_id="c",
        )
    )  # fmt: skip
    site.relay.write(events.Scanned(smtp_id=smtp_id, verdict="clean", evidence=Evidence(files=(file,))))
    for one in to:
        site.relay.write(
            events.Delivered(
                smtp_id=smtp_id, reverse_path="a@example.net", forward_path=one, server="s", connection_id="c"
            )
        )
    site.relay.write(events.Completed(smtp_id=smtp_id))
    site.relay.flush()

    def is_read() -> bool:
        read = site.context.updates.journal(frozenset({"completed"}), 0)
        return smtp_id in [one.smtp_id for one in read if isinstance(one, events.Completed)]

    wait_until(is_read, "the journal is read")
    return smtp_id


def test_who_got_a_file_that_is_named_now_is_listed(site: Site) -> None:
    """DEF-12: by the digests of attachments; not what nobody got, what was known before, or another size."""
    force(site, by_digest("Known.Before", 1))
    got = delivered(site, 0, ("x@example.com",))
    delivered(site, 1, ("x@example.com",))
    delivered(site, 2, ())
    delivered(site, 3, ("x@example.com",))
    revision = force(
        site,
        *(by_digest(f"New.{number}", number) for number in (0, 2)),
        by_digest("Known.Before", 1),
        by_digest("New.OtherSize", 3, 1),
        Signature("Literal", Literal(b"whatever it is")),
    )
    (found,) = site.memory.later
    assert (found.smtp_id, found.virus, found.file) == (got, "New.0", "file 0.bin")
    assert (found.reverse_path, found.forward_paths) == ("a@example.net", ("x@example.com",))
    (told,) = site.told("found-later")
    assert (told["virus"], told["forward_paths"], told["definitions"]) == ("New.0", ["x@example.com"], revision)
    site.look()
    assert len(site.told("found-later")) == 1, "looked up once"


def test_only_the_last_days_are_looked_at(site: Site) -> None:
    delivered(site, 0, ("x@example.com",))
    (digested,) = site.context.updates.lookup._digested(0)
    assert digested.evidence.files[0].sha256 == SHA256[0]
    since = site.context.now_us() + 1_000_000
    assert list(site.context.updates.lookup._digested(since)) == []


async def _hold(root: Path, smtp_id: str, content: bytes, signatures: tuple[str, ...]) -> None:
    store = Store(root, 0, 1)
    await store.open()
    try:
        recipients = (Recipient("x@example.com"),)
        draft = store.begin(Received(smtp_id, 1, "c", "192.0.2.1", 25, "h", "ESMTP", "", "a@example.net", recipients))
        draft.write(content)
        message = await draft.commit()
        store.note(message, VerdictRecord(smtp_id, "infected", Disposition.HOLD, "infected", signatures))
        await store.hold(message, "infected")
    finally:
        await store.close()


def test_mail_that_is_held_for_withdrawn_signatures_alone_is_offered(site: Site) -> None:
    """A message is examined again, and is offered if nothing is found in it now; nothing is done to it."""
    mails = {
        "clean": (b"Subject: x\r\n\r\nno virus\r\n", ("Withdrawn",)),
        "infected": (b"Subject: x\r\n\r\nstays\r\n", ("Withdrawn",)),
        "both": (b"Subject: x\r\n\r\nno virus\r\n", ("Withdrawn", "Stays")),
    }
    ids = IdMaker(0, lambda: site.context.now_us() * 1000)
    named = {}
    for name, (content, signatures) in mails.items():
        named[name] = ids.next()
        asyncio.run(_hold(site.layout.root, named[name], content, signatures))
    stays = Signature("Stays", Literal(b"stays"))
    force(site, stays, Signature("Withdrawn", Literal(b"withdrawn")))
    assert not site.memory.offered
    force(site, stays)
    assert {one.smtp_id: one.clean for one in site.memory.offered} == {named["clean"]: True, named["infected"]: False}
    assert (site.layout.queue / "hold").exists()


def test_quarantined_files_are_examined_again(site: Site) -> None:
    """QRN-09: after every update; told is what is judged otherwise: found no more, or as something else."""
    ids = IdMaker(0, lambda: site.context.now_us() * 1000)
    files = {
        "good.txt": (b"was taken for one by mistake", ("Mistaken",)),
        "bad.txt": (b"stays what it is", ("Stays",)),
        "new.txt": (b"stays, and has another name", ("Stays",)),
    }
    for name, (content, viruses) in files.items():
        in_quarantine(site.layout.root, content, ids.next(), name=name, viruses=viruses)
    stays = Signature("Stays", Literal(b"stays"))
    force(site, stays, Signature("Mistaken", Literal(b"mistake")))
    force(site, stays, Signature("Another", Literal(b"another")))
    _rescans_to_the_end(site)
    assert {one.file: (one.viruses, one.now) for one in site.memory.rescanned} == {
        "good.txt": (("Mistaken",), ()),
        "new.txt": (("Stays",), ("Another", "Stays")),
    }


def _rescans_to_the_end(site: Site) -> list[int]:
    """How many were still to be examined each time it was looked at."""
    left = []
    while site.memory.rescan is not None:
        left.append(site.memory.rescan.left)
        site.look()
    return left


def test_all_files_of_the_quarantine_are_examined_some_at_a_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """QRN-09: one sandbox for many, with progress, also over a restart; what is damaged or gone keeps up nobody."""
    monkeypatch.setattr(later, "AT_ONCE", 3)
    asked: list[int] = []

    def scanned(files: list[tuple[str, bytes]], image: Path) -> list[sandboxed.Scanned]:
        asked.append(len(files))
        return [sandboxed.Scanned(Verdict.CLEAN) for _ in files]

    monkeypatch.setattr(sandboxed, "scanned", scanned)
    ids = IdMaker(0, lambda: site.context.now_us() * 1000)
    for number in range(8):
        in_quarantine(site.layout.root, b"content", ids.next(), name=f"{number}.txt", viruses=("Mistaken",))
    next(site.layout.quarantine.glob("*.item")).write_bytes(b"damaged")
    force(site, Signature("One", Literal(b"one")))
    force(site, Signature("Two", Literal(b"two")))
    kept = memories.read(site.layout.control / memories.FILE_NAME)
    assert site.memory.rescan is not None and kept.rescan == site.memory.rescan
    assert _rescans_to_the_end(site)[-1] > 0
    assert sum(asked) == 7 and max(asked) <= 3
    assert len(site.memory.rescanned) == 7


def test_what_was_taken_out_was_not_delivered(site: Site) -> None:
    """DEF-12: nobody is warned of a file that he did not get; and the list of recipients is bounded."""
    force(site, by_digest("Known.Before", 5))
    one, two = delivered(site, 0, ("x@example.com",)), delivered(site, 1, ("x@example.com",))
    three = delivered(site, 2, tuple(f"{number}@example.com" for number in range(later.TOLD + 1)))
    site.tell(
        events.AttachmentDeleted(smtp_id=one, part="2", file="file 0.bin", reason="file name"),
        events.FileRepaired(smtp_id=two, virus="Other", part="21", file="of another part"),
    )
    force(site, *(by_digest(f"New.{number}", number) for number in range(3)))
    assert {found.smtp_id: found.more for found in site.memory.later} == {two: 0, three: 1}
    assert max(len(found.forward_paths) for found in site.memory.later) == later.TOLD
    assert max(len(told["forward_paths"]) for told in site.told("found-later")) == later.TOLD + 1  # type: ignore[arg-type]


def test_digests_and_names_are_found_in_any_set() -> None:
    every = [by_digest(f"Sha.{number}", number, None if number % 2 else len(CONTENT[number])) for number in range(6)]
    every += [
        Signature(f"Md5.{number}", Digest("md5", hashlib.md5(one).digest())) for number, one in enumerate(CONTENT)
    ]
    every.append(by_digest("Sha.Twice", 0))
    found = Lookup(image.build(every))
    for number, content in enumerate(CONTENT):
        wanted = (f"Sha.{number}", "Sha.Twice") if number == 0 else (f"Sha.{number}",)
        assert set(found.names_of(SHA256[number], len(content))) == set(wanted)
        other = set(found.names_of(SHA256[number], 1))
        assert other == {one for one in wanted if number % 2 or one == "Sha.Twice"}
    assert found.names_of("00" * 32, 1) == ()
    assert all(found.has_name(one.name) for one in every)
    assert not found.has_name("Sha") and not found.has_name("Sha.9") and not found.has_name("")
    none = Lookup(image.build([]))
    assert not none.has_digests and none.names_of(SHA256[0], 1) == () and not none.has_name("x")
