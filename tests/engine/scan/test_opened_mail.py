"""What becomes of mail whose attachments a password in it opens: policy, repair, quarantine, and time."""

from typing import TYPE_CHECKING

import pytest

from engine.config import Antivirus, Blocking, ContainerLimits, Settings, UnscannedAction
from engine.config.blocking import Encrypted
from engine.queue.record import Disposition
from engine.rewrite import spliced
from engine.scan.extract import Wanted, extract
from engine.scan.facts import Cause, Verdict
from engine.scan.outcome import Outcome, Taken
from engine.scan.service import examine
from engine.scan.walk import Walker
from tests.engine.scan.formats.compound import compound
from tests.engine.scan.material import EICAR, VIRUS, Clock, Matcher, message, zipped
from tests.oracles import odf_crypt, office_rc4, rar_crypt, rar_old_crypt, seven_zip_crypt
from tests.oracles.zipcrypto import zipped_with_password

if TYPE_CHECKING:
    from typing_extensions import Buffer

TEXT = "Hello,\nthe password is Xy-4711.\n"
LOCKED = zipped_with_password({"a.txt": b"words", "e.com": EICAR}, b"Xy-4711")
HARMLESS = zipped_with_password({"a.txt": b"words"}, b"Xy-4711")


def settings(blocking: bool, tries: bool = True) -> Settings:
    antivirus = Antivirus(try_passwords=tries, unscanned=UnscannedAction.HOLD)
    return Settings(antivirus=antivirus, blocking=Blocking(encrypted=Encrypted(enabled=blocking)))


def examined(data: bytes, blocking: bool = False, tries: bool = True) -> Outcome:
    return examine(data, Matcher(), settings(blocking, tries), parts=True, clock=Clock())


def test_what_was_read_is_clean_or_infected() -> None:
    """ENC-01, SCAN-07: an archive that a password of the message opens is no longer what could not be examined."""
    harmless = message(TEXT, [("x.zip", HARMLESS)])
    assert examined(harmless).facts.verdict is Verdict.CLEAN
    assert examined(harmless).disposition is Disposition.DELIVER
    assert examined(harmless, tries=False).disposition is Disposition.HOLD
    found = examined(message(TEXT, [("x.zip", LOCKED)]))
    assert [one.name for one in found.facts.matches] == [VIRUS]


def test_policy_decides_about_encrypted_mail_as_before() -> None:
    """ENC-01, ENC-02, PROC-02: who deletes encrypted containers deletes them, also if one could be opened."""
    for tries in (False, True):
        found = examined(message(TEXT, [("x.zip", LOCKED)]), blocking=True, tries=tries)
        assert [one[:2] for one in found.attachments_deleted] == [("2", "x.zip")]
        assert "encrypted" in found.reason and found.disposition is Disposition.DELIVER


def test_an_infected_member_goes_and_the_others_stay_encrypted() -> None:
    """AV-09: the archive that is left opens with the same password."""
    data = message(TEXT, [("x.zip", LOCKED)])
    found = examined(data)
    assert found.deleted == [(VIRUS, "2/x.zip/e.com")] and not found.attachments_deleted
    left = examined(spliced(data, found.splices))
    assert left.facts.verdict is Verdict.CLEAN
    assert [one.part for one in left.facts.parts if one.opened] == ["2/x.zip/a.txt"]


def test_what_is_infected_deeper_takes_its_attachment_along() -> None:
    """AV-10: nobody can put a changed file back under a password."""
    outer = zipped_with_password({"a.txt": b"words", "in.zip": zipped({"b.txt": b"b", "e.com": EICAR})}, b"Xy-4711")
    data = message(TEXT, [("x.zip", outer)])
    found = examined(data)
    assert [one[:2] for one in found.attachments_deleted] == [("2", "x.zip")]
    assert examined(spliced(data, found.splices)).facts.verdict is Verdict.CLEAN


INFECTED = {
    "a.7z": seven_zip_crypt.sealed({"a.txt": b"words", "e.com": EICAR}, "Xy-4711", names=True),
    "a.rar": rar_crypt.archive(rar_crypt.file("e.com", EICAR, "Xy-4711"), password="Xy-4711"),
    "old.rar": rar_old_crypt.archive(rar_old_crypt.file("e.com", EICAR, "Xy-4711")),
    "a.xls": compound({"Workbook": office_rc4.workbook(*office_rc4.old("Xy-4711"), (0xFC, EICAR))}),
    "unasked.xls": compound({"Workbook": office_rc4.workbook(*office_rc4.old("VelvetSweatshop"), (0xFC, EICAR))}),
    "a.doc": compound({**office_rc4.word(*office_rc4.modern("Xy-4711"), EICAR, b"table")}),
    "a.ppt": compound({**office_rc4.slides(*office_rc4.modern("Xy-4711"), [office_rc4.atom(1000, EICAR)])}),
    "a.odt": odf_crypt.package({"content.xml": b"<words/>", "e.bin": EICAR}, "Xy-4711"),
}


@pytest.mark.parametrize("name", INFECTED)
def test_what_nobody_can_put_back_goes_as_a_whole(name: str) -> None:
    """AV-10, ENC-01: repair does not leave behind what only a password shows."""
    data = message(TEXT, [(name, INFECTED[name])])
    found = examined(data)
    assert VIRUS in {one.name for one in found.facts.matches} and not found.facts.unscanned
    assert [one[:2] for one in found.attachments_deleted] == [("2", name)]
    assert examined(spliced(data, found.splices)).facts.verdict is Verdict.CLEAN
    without = examined(data, tries=False)
    assert without.facts.verdict is (Verdict.INFECTED if name == "unasked.xls" else Verdict.UNSCANNED)


def test_the_quarantine_gets_what_was_infected() -> None:
    """QRN-12: the file as it is without its password; once, though there are two walks."""
    kept: list[tuple[Taken, bytes]] = []

    def keep(file: Taken, octets: "Buffer") -> None:
        kept.append((file, bytes(octets)))

    data = message(TEXT, [("x.zip", LOCKED), ("f.com", EICAR)])
    wanted = Wanted(("2/x.zip/e.com", "3"), room=1 << 20)
    assert extract(data, Matcher(), settings(False), wanted, keep, clock=Clock()) == 0
    assert sorted((file.parts, octets) for file, octets in kept) == [(("2/x.zip/e.com",), EICAR), (("3",), EICAR)]


def test_digests_of_attachments_are_of_the_walk_that_counts() -> None:
    """DEF-12"""
    found = examined(message(TEXT, [("x.zip", HARMLESS)]))
    plain = examined(message(TEXT, [("x.zip", HARMLESS)]), tries=False)
    assert [one.sha256 for one in found.evidence.files if one.is_top] == [
        one.sha256 for one in plain.evidence.files if one.is_top
    ]
    assert any(one.sha256 for one in found.evidence.files)


@pytest.mark.parametrize("more", [1, 3])
def test_trying_makes_nothing_worse(more: int) -> None:
    """CONT-07: where time is left for one walk only, it is as if nothing had been tried."""
    data = message(TEXT, [("x.zip", LOCKED)])
    clock = Clock(1.0)
    first = Walker(Matcher(), ContainerLimits(), clock=clock).walk_message(data, 1e9)
    took = clock.now
    again = Walker(Matcher(), ContainerLimits(), passwords=(), clock=Clock(1.0)).walk_message(data, took + more)
    assert again.facts == first.facts and not again.limit
    assert {one.cause for one in again.facts.unscanned} == {Cause.ENCRYPTED}


def test_no_second_walk_without_need() -> None:
    """What is not encrypted costs nothing more."""
    matcher = Matcher()
    Walker(matcher, ContainerLimits(), passwords=("x",), clock=Clock()).walk_message(
        message(TEXT, [("a.txt", b"words")])
    )
    seen = Matcher()
    Walker(seen, ContainerLimits(), clock=Clock()).walk_message(message(TEXT, [("a.txt", b"words")]))
    assert len(matcher.seen) == len(seen.seen)
