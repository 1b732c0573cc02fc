"""Which files are scanned for viruses, by their extension: SCAN-01..06."""

import pytest

from engine.config import Antivirus, Blocking, Encrypted, FileNames, ScannedFiles, Settings
from engine.queue.record import Disposition
from engine.rewrite import spliced
from engine.scan.facts import Cause, Unscanned, Verdict
from engine.scan.outcome import Outcome
from engine.scan.scope import LEFT_OUT
from engine.scan.service import examine
from tests.engine.scan.material import EICAR, VIRUS, Clock, Matcher, gzipped, message, uuencoded, walk, zipped

BOTH = zipped({"a.exe": EICAR, "b.cmd": EICAR})
DAMAGED = b"7z\xbc\xaf\x27\x1c" + bytes(40)


def examined(data: bytes, antivirus: Antivirus, blocking: Blocking | None = None) -> Outcome:
    return examine(data, Matcher(), Settings(antivirus=antivirus, blocking=blocking or Blocking()), clock=Clock())


def only(*extensions: str) -> Antivirus:
    return Antivirus(files=ScannedFiles.LISTED, include=extensions)


def all_but(*extensions: str) -> Antivirus:
    return Antivirus(files=ScannedFiles.OTHERS, exclude=extensions)


def test_all_files_by_default() -> None:
    """SCAN-01: whatever the extension."""
    assert Antivirus().files is ScannedFiles.ALL
    data = message("t\n", [("a.xyz", EICAR), ("b", EICAR)])
    assert examined(data, Antivirus(include=(".no",), exclude=(".xyz",))).deleted == [(VIRUS, "2"), (VIRUS, "3")]


def test_only_listed_extensions_also_inside_containers() -> None:
    """SCAN-02: of .exe and .cmd in a listed .zip only the listed .exe is scanned; case does not count (SCAN-05)."""
    outcome = examined(message("t\n", [("x.ZIP", BOTH)]), only(".zip", ".Exe"))
    assert outcome.deleted == [(VIRUS, "2/x.ZIP/a.exe")]
    assert outcome.disposition is Disposition.DELIVER
    assert Unscanned("2/x.ZIP/b.cmd", Cause.DISABLED, LEFT_OUT) in outcome.facts.unscanned
    left = walk(spliced(message("t\n", [("x.ZIP", BOTH)]), outcome.splices)).facts
    assert [one.part for one in left.matches] == ["2/x.ZIP/b.cmd"]


def test_nothing_in_a_container_that_is_not_listed() -> None:
    """SCAN-04."""
    outcome = examined(message("t\n", [("x.zip", BOTH)]), only(".exe"))
    assert (outcome.disposition, outcome.deleted, outcome.facts.matches) == (Disposition.DELIVER, [], [])
    assert outcome.facts.unscanned == [Unscanned("2", Cause.DISABLED, LEFT_OUT)]
    assert outcome.facts.verdict is Verdict.UNSCANNED  # never clean: it was not examined


def test_all_but_listed_extensions() -> None:
    """SCAN-03: nothing in a container of such a name is scanned, even infected programs."""
    data = message("t\n", [("x.zip", BOTH), ("y.exe", EICAR)])
    outcome = examined(data, all_but(".zip", ".jpg"))
    assert outcome.deleted == [(VIRUS, "3")]
    assert examined(data, all_but(".exe")).deleted == [(VIRUS, "2/x.zip/b.cmd")]


@pytest.mark.parametrize("antivirus", [only(".exe"), all_but(".txt")])
def test_every_name_counts_and_none_is_scanned_in_any_case(antivirus: Antivirus) -> None:
    """A second name, a file without an extension, and the text of the message cannot be used to get past."""
    two = message("t\n", [("a.txt", EICAR)]).replace(b'filename="a.txt"', b'filename="a.txt"; filename="a.exe"')
    assert two.count(b"a.exe") == 1
    assert examined(two, antivirus).facts.matches
    assert examined(message("t\n", [("program", EICAR)]), antivirus).facts.matches
    assert examined(message(EICAR.decode() + "\n"), antivirus).facts.matches
    assert examined(message("t\n", [("a.exe. ", EICAR)]), antivirus).facts.matches


def test_what_is_packed_without_a_name_belongs_to_what_it_is_packed_in() -> None:
    assert examined(message("t\n", [("a.gz", gzipped(EICAR))]), only(".gz")).facts.matches
    assert not examined(message("t\n", [("a.gz", gzipped(EICAR))]), only(".exe")).facts.matches


def test_files_that_a_text_spells_out_have_names_too() -> None:
    text = uuencoded(EICAR, "a.jpg", b"\n").decode()
    assert not examined(message(text), all_but(".jpg")).deleted
    assert examined(message(text), only(".jpg")).deleted


def test_damage_in_what_is_not_scanned_is_no_reason_to_hold() -> None:
    """SCAN-06, SCAN-07: the policy for what cannot be examined is about what had to be."""
    data = message("t\n", [("x.7z", DAMAGED)])
    assert examined(data, Antivirus()).disposition is Disposition.HOLD
    assert examined(data, all_but(".7z")).disposition is Disposition.DELIVER


def test_other_rules_look_at_all_files() -> None:
    """SCAN-06: file names, also inside, and encryption are judged whatever is scanned for viruses."""
    data = message("t\n", [("x.zip", BOTH)])
    inside = FileNames(enabled=True, names=("*.cmd",), in_containers=True)
    outcome = examined(data, all_but(".zip"), Blocking(files=inside))
    assert [one.parts for one in outcome.violations] == [("2/x.zip/b.cmd",)]
    assert outcome.disposition is Disposition.DELIVER and outcome.splices
    assert examined(data, all_but(".zip"), Blocking(encrypted=Encrypted(enabled=True))).violations == []


def test_two_members_of_one_path_are_told_apart() -> None:
    """A harmless name behind the same path hides nothing."""
    data = message("t\n", [("x.zip", zipped({"a.exe": EICAR})), ("x.zip", zipped({"a.exe": b"harmless"}))])
    assert examined(data, only(".zip", ".exe")).deleted
