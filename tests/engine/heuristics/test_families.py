"""Every family of heuristics finds its imitations at the levels it should, says why, and leaves near misses alone."""

import time
from pathlib import Path

import msgspec
import pytest

from engine import events
from engine.config import Antivirus, ContainerLimits, HeuristicsLevel, ScannedFiles, Settings
from engine.definitions import from_bytes
from engine.heuristics import watch
from engine.heuristics.rules import rules_of
from engine.judge import Judgement
from engine.policy.evidence import Evidence
from engine.processing.telling import events_of
from engine.queue.record import Disposition, Verdict
from engine.rewrite import spliced
from engine.scan import facts as words
from engine.scan.facts import Facts
from engine.scan.service import examine
from engine.scan.walk import Walker
from signatures.compile import compile_sources, completed, starter, weighing
from tests.engine.heuristics.imitations import HITS, NEAR, PACKED_PROGRAM, PLAIN_PROGRAM, VBS_DROPPER, Imitation
from tests.engine.scan.formats.archives_made import by_bsdtar
from tests.engine.scan.formats.compound import Tree, compound, native, packed, project
from tests.engine.scan.formats.test_onenote import _section
from tests.engine.scan.material import digest, message, zipped

IMAGE = from_bytes(compile_sources(weighing()))
LEVELS = ("low", "medium", "high")


def found(data: bytes, level: str = "medium", exempt: tuple[str, ...] = ()) -> Facts:
    settings = Antivirus(heuristics=HeuristicsLevel(level), heuristics_exempt=exempt)
    return Walker(IMAGE, ContainerLimits(), heuristics=settings, clock=time.monotonic).walk_message(data).facts


def families(data: bytes, level: str = "medium", exempt: tuple[str, ...] = ()) -> set[str]:
    return {one.name.removeprefix("Heuristic.") for one in found(data, level, exempt).suspicions}


@pytest.mark.parametrize("hit", HITS, ids=lambda one: one.id)
def test_imitations_are_found_at_their_levels(hit: Imitation) -> None:
    """AV-03"""
    assert tuple(level for level in LEVELS if hit.family in families(hit.mail, level)) == hit.levels
    assert not families(hit.mail, "off")


@pytest.mark.parametrize("near", NEAR, ids=lambda one: one.id)
def test_near_misses_are_left_alone(near: Imitation) -> None:
    """AV-03"""
    assert tuple(level for level in LEVELS if families(near.mail, level)) == near.levels


def test_there_is_an_imitation_of_each_family() -> None:
    """AV-03"""
    rules = rules_of(IMAGE)
    assert rules is not None
    every = {family.name for some in rules.families.values() for family, _ in some}
    assert every - {one.family for one in HITS} == {"ProgramOnDisk", "HiddenMacro"}  # these are further below


def test_verdict_names_its_reasons_and_is_a_virus_like_any_other() -> None:
    """AV-03, AV-12"""
    facts = found(message("t\n", [("setup.exe", PACKED_PROGRAM)]))
    assert facts.verdict is words.Verdict.INFECTED
    assert [(one.name, one.part) for one in facts.matches] == [("Heuristic.PackedProgram", "2")]
    (said,) = facts.suspicions
    assert (said.name, said.part) == ("Heuristic.PackedProgram", "2")
    assert ("its sections are named by a packer", 50) in said.reasons
    assert said.points == sum(points for _, points in said.reasons) >= 120
    assert [abs(points) for _, points in said.reasons] == sorted((abs(one[1]) for one in said.reasons), reverse=True)


@pytest.mark.parametrize("name", ["order.iso", "disk.img"])
def test_disk_image_with_a_program(tmp_path: Path, name: str) -> None:
    """AV-03"""
    image = by_bsdtar(tmp_path, {"setup.exe": PLAIN_PROGRAM, "readme.txt": b"read"}, "--format=iso9660")
    assert families(message("t\n", [(name, image)])) == {"ProgramOnDisk"}
    assert not families(message("t\n", [(name, image)]), "low")


def test_disk_image_of_many_files_or_none_that_runs(tmp_path: Path) -> None:
    """AV-03"""
    many = {f"text{number}.txt": b"t" for number in range(20)}
    assert not families(message("t\n", [("a.iso", by_bsdtar(tmp_path, many, "--format=iso9660"))]), "high")


def test_disk_that_is_not_opened_is_looked_through() -> None:
    """AV-03"""
    disk = b"conectix" + bytes(9000) + PLAIN_PROGRAM
    assert families(message("t\n", [("a.vhd", disk)]), "high") == {"ProgramOnDisk"}


@pytest.mark.parametrize(("extension", "name"), [(".hta", "invoice.hta"), (".exe", "a.exe"), (".lnk", "a.lnk")])
def test_section_of_onenote_with_something_that_runs(extension: str, name: str) -> None:
    """AV-03"""
    assert "DocumentDropper" in families(message("t\n", [("a.one", _section(b"anything" * 20, extension, name))]))
    assert not families(message("t\n", [("a.one", _section(b"anything" * 20, ".png", "a.png"))]))


def test_macro_without_source_with_a_program_inside() -> None:
    """AV-03"""
    storage = project({"Module1": "Sub A()\r\nx = 1\r\nEnd Sub\r\n"})
    assert isinstance(storage["VBA"], dict)
    storage["VBA"]["Module1"] = bytes(300)
    tree: Tree = {"Macros": storage, "WordDocument": b"\xec\xa5" + bytes(5000)}
    assert families(message("t\n", [("a.doc", compound(tree))]), "high") == {"HiddenMacro"}
    assert not families(message("t\n", [("a.doc", compound(tree))]))
    tree["O"] = {"\x01Ole10Native": native(packed("a.exe", "a.exe", "a.exe", PLAIN_PROGRAM))}
    assert "HiddenMacro" in families(message("t\n", [("a.doc", compound(tree))]))


def test_exempt_by_name_and_by_digest() -> None:
    """AV-03"""
    mail = message("t\n", [("setup.exe", PACKED_PROGRAM)])
    assert families(mail) == {"PackedProgram"}
    assert not families(mail, exempt=("Heuristic.PackedProgram",))
    assert not families(mail, exempt=(digest(PACKED_PROGRAM).upper(),))
    assert families(mail, exempt=("Heuristic.MisleadingName", digest(b"another"))) == {"PackedProgram"}


def test_a_few_files_in_an_archive_count_as_alone_and_one_more_does_not() -> None:
    """AV-03"""
    for others, levels in ((watch.ALONE - 1, ("medium", "high")), (watch.ALONE, ("high",))):
        files = {"order.vbs": VBS_DROPPER} | {f"{number}.txt": b"t" for number in range(others)}
        mail = message("t\n", [("a.zip", zipped(files))])
        assert tuple(level for level in LEVELS if "ScriptDropper" in families(mail, level)) == levels


def test_known_viruses_keep_their_name_alone() -> None:
    """AV-03"""
    both = from_bytes(compile_sources(starter()))
    eicar = ("X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*").encode()
    mail = message("t\n", [("invoice.pdf.js", eicar)])
    walk = Walker(both, ContainerLimits(), heuristics=Antivirus(), clock=time.monotonic).walk_message(mail)
    assert walk.facts.matches and not walk.facts.suspicions


def test_the_gateway_deletes_a_find_and_the_journal_says_why() -> None:
    """AV-03, AV-04, AV-12"""
    mail = message("t\n", [("setup.exe", PACKED_PROGRAM), ("a.txt", b"text")])
    outcome = examine(mail, IMAGE, Settings())
    assert [(one.viruses, one.part) for one in outcome.infected] == [(("Heuristic.PackedProgram",), "2")]
    delivered = spliced(mail, outcome.splices)
    assert b'filename="setup.exe"' not in delivered and b'filename="a.txt"' in delivered
    verdict = Verdict("ID", "infected", Disposition.DELIVER, signatures=("Heuristic.PackedProgram",))
    judgement = Judgement(Evidence(), (), Disposition.DELIVER, "", False, (), "", (), ())
    scanned = next(iter(events_of(verdict, outcome, judgement)))
    assert isinstance(scanned, events.Scanned)
    told = msgspec.json.decode(msgspec.json.encode(scanned))["suspicions"]
    assert told[0]["name"] == "Heuristic.PackedProgram"
    assert ["its sections are named by a packer", 50] in told[0]["reasons"]


def test_what_scan_policy_leaves_out_is_not_suspicious_either() -> None:
    """AV-03, SCAN-03"""
    mail = message("t\n", [("setup.exe", PACKED_PROGRAM)])
    settings = Settings(antivirus=Antivirus(files=ScannedFiles.OTHERS, exclude=(".exe",)))
    assert not examine(mail, IMAGE, settings).facts.matches


def test_off_or_without_scanning_nothing_is_found() -> None:
    """AV-01, AV-03"""
    mail = message("t\n", [("setup.exe", PACKED_PROGRAM)])
    for antivirus in (Antivirus(heuristics=HeuristicsLevel.OFF), Antivirus(enabled=False)):
        outcome = examine(mail, IMAGE, Settings(antivirus=antivirus))
        assert not outcome.facts.suspicions and not outcome.infected


def test_definitions_of_others_get_these_heuristics_and_keep_their_own() -> None:
    """AV-03"""
    assert completed({})["heuristics"] and completed({"vectors": b"v"})["vectors"] == b"v"
    assert completed({"heuristics": b"own"}) == {"heuristics": b"own"}
