"""What new definitions tell of mail of the past: files that were delivered, mail that was held (DEF-12, QRN-09)."""

import asyncio
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import events
from engine.ids import IdMaker
from engine.policy.evidence import Evidence, File
from engine.queue.record import Disposition, Received, Recipient, Verdict
from engine.queue.store import Store
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
    (later,) = site.memory.later
    assert (later.smtp_id, later.virus, later.file) == (got, "New.0", "file 0.bin")
    assert (later.reverse_path, later.forward_paths) == ("a@example.net", ("x@example.com",))
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
        store.note(message, Verdict(smtp_id, "infected", Disposition.HOLD, "infected", signatures))
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
    assert {one.file: (one.viruses, one.now) for one in site.memory.rescanned} == {
        "good.txt": (("Mistaken",), ()),
        "new.txt": (("Stays",), ("Another", "Stays")),
    }


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
