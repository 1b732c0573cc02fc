"""Features of names, programs, shortcuts and texts: what they tell, and that no octets whatever make them raise."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import limits
from engine.config import Antivirus, ContainerLimits, HeuristicsLevel
from engine.definitions import from_bytes
from engine.heuristics import names, other, program, shortcut, texts, watch
from engine.scan.walk import Walker
from signatures.compile import compile_sources, weighing
from tests.engine.heuristics.imitations import (
    DROPPER_LINK,
    EXECUTE,
    HITS,
    INFECTED_PROGRAM,
    NEAR,
    PACKED_PROGRAM,
    PLAIN_PROGRAM,
    READ,
    closed,
    noise,
    pe,
)
from tests.engine.scan.material import message, zipped
from tests.engine.scan.test_content import locked

IMAGE = from_bytes(compile_sources(weighing()))
SAMPLES = [one.content for one in HITS + NEAR]


def of_name(*said: str) -> set[str]:
    found: dict[str, int] = {}
    names.features(said, found)
    return set(found)


def of_program(content: bytes) -> dict[str, int]:
    found: dict[str, int] = {}
    program.features(content, found)
    return found


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("report.pdf", {"name.document"}),
        ("report.v2.final.pdf", {"name.document"}),
        ("report.pdf.exe", {"name.program", "name.double"}),
        ("report.PDF .Exe. ", {"name.program", "name.double"}),
        ("report.pdf.js", {"name.script", "name.double-script"}),
        ("report.pdf.lnk", {"name.script", "name.double"}),
        ("setup-1.2.exe", {"name.program"}),
        ("folder.pdf/setup.exe", {"name.program"}),
        ("report.pdf" + " " * 8 + ".exe", {"name.program", "name.double", "name.gap"}),
        ("report.pdf" + " " * 7 + ".exe", {"name.program", "name.double"}),
        ("report" + "_" * 30 + ".scr", {"name.program", "name.gap"}),
        ("a\u202efdp.exe", {"name.program", "name.bidi", "name.hidden-end"}),
        ("\u200bphoto.ex\u200be", {"name.program", "name.unseen"}),
        ("photo.{20d04fe0-3aea-1069-a2d8-08002b30309d}", {"name.class-id"}),
        ("README", set()),
        ("", set()),
    ],
)
def test_names(name: str, found: set[str]) -> None:
    """AV-03"""
    assert of_name(name) == found


def test_anatomy_of_programs() -> None:
    """AV-03"""
    plain = of_program(PLAIN_PROGRAM)
    assert plain["pe.imports"] == 20 and plain["pe.size"] == len(PLAIN_PROGRAM)
    assert not {"pe.writable-executable", "pe.entry-in-last-section", "pe.few-imports", "pe.overlay"} & plain.keys()
    packed = of_program(PACKED_PROGRAM)
    assert packed["pe.code-entropy"] > 7900 and packed["pe.writable-executable"] == 2
    assert {"pe.entry-writable", "pe.code-not-in-file", "pe.few-imports"} <= packed.keys()
    infected = of_program(INFECTED_PROGRAM)
    assert {
        "pe.entry-in-last-section",
        "pe.section-names-odd",
        "pe.time-impossible",
        "pe.no-imports",
    } <= infected.keys()
    assert of_program(PLAIN_PROGRAM + noise(9000))["pe.overlay"] == 9000
    assert "pe.overlay" not in of_program(PLAIN_PROGRAM + noise(512))
    assert of_program(b"MZ" + bytes(9000)) == {}


def test_shortcuts() -> None:
    """AV-03"""
    found: dict[str, int] = {}
    shortcut.features(DROPPER_LINK, found)
    assert found.keys() == {"lnk.minimized", "lnk.arguments", "lnk.padded", "lnk.icon-elsewhere"}
    assert found["lnk.arguments"] > 260


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(SAMPLES), st.lists(st.tuples(st.integers(0, 1 << 16), st.binary(max_size=8)), max_size=6), st.data()
)
def test_no_octets_make_features_raise(sample: bytes, changes: list[tuple[int, bytes]], data: st.DataObject) -> None:
    """AV-03"""
    octets = bytearray(sample[:70_000])
    for at, new in changes:
        at %= len(octets) + 1
        octets[at : at + len(new)] = new
    cut = bytes(octets[: data.draw(st.integers(0, len(octets)))])
    for one in (cut, bytes(octets)):
        for features in (program.features, shortcut.features, texts.features):
            features(one, {})
        other.features(one, "gif", {})


@given(st.lists(st.text(max_size=60), max_size=4))
def test_no_name_makes_features_raise(said: list[str]) -> None:
    assert of_name(*said) == set().union(*(of_name(one) for one in said))


def walked(data: bytes, level: HeuristicsLevel = HeuristicsLevel.HIGH) -> list[str]:
    heuristics = Antivirus(heuristics=level)
    facts = Walker(IMAGE, ContainerLimits(), heuristics=heuristics, clock=time.monotonic).walk_message(data).facts
    assert len(facts.suspicions) <= limits.SUSPICIONS
    assert all(len(one.reasons) <= limits.REASONS for one in facts.suspicions)
    return [one.part for one in facts.suspicions]


def test_bounds_crossed_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """AV-03: suspicions that are kept, encrypted containers that are judged, texts that are read."""
    many = message("t\n", [(f"{number}.pdf.exe", b"MZ") for number in range(limits.SUSPICIONS + 1)])
    assert len(walked(many)) == limits.SUSPICIONS
    monkeypatch.setattr(watch, "CLOSED", 2)
    locks = [(f"{number}.zip", locked({"a.exe": b"a"})) for number in range(3)]
    assert len(walked(message("The password is 12.\n", locks))) == 2
    monkeypatch.setattr(watch, "TEXT_LEN", 1000)
    assert walked(closed("x" * 70 + "\n" + "The password is 12.\n", "a.exe"))
    late = message("word " * 200 + "\nThe password is 12.\n", [("a.zip", locked({"a.doc": b"a"}))])
    assert not walked(late)
    monkeypatch.setattr(watch, "TEXT_LEN", 2000)
    assert walked(late)


def test_padding_is_no_program() -> None:
    """AV-03: a dropper does not become a large program of its own by padding."""
    for octets, size in (
        (b"' nothing\n" * 40_000, texts.LOOKED_AT),
        (b"' nothing\n" * 13_000, 130_000),
        (noise(200_000).hex().encode(), 400_000),
    ):
        found: dict[str, int] = {}
        texts.features(octets, found)
        assert found["text.size"] == size


def test_how_much_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """AV-03: DISK_LEN, TEXTS, IMPORTS, LOOKED_AT, MARKED."""
    disk = message("t\n", [("a.vhd", b"conectix" + bytes(992) + PLAIN_PROGRAM)])
    for room, count in ((1050, 0), (1200, 1)):
        monkeypatch.setattr(watch, "DISK_LEN", room)
        assert len(walked(disk)) == count
    said = [b"Content-Type: text/plain\r\n\r\n" + b"word\r\n"] * (watch.TEXTS - 1)
    lock = b"Content-Disposition: attachment; filename=a.zip\r\n\r\n" + locked({"a.exe": b"a"})
    for before in (0, 1):
        parts = [*said, *said[:before], b"\r\nPassword: 1234\r\n", lock]
        head = b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        mail = head + b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"
        assert len(walked(mail)) == 1 - before
    many = pe([(b".text", READ | EXECUTE, b"\x90" * 9000)], 0, [f"F{number}" for number in range(program.IMPORTS + 1)])
    assert of_program(many)["pe.imports"] == program.IMPORTS
    found_texts: dict[str, int] = {}
    texts.features(b"a\n" * (texts.LOOKED_AT // 2) + b"0" * 400, found_texts)
    assert found_texts["text.line"] == 1
    long = b"a" * texts.MARKED + b"b" * 10 + b"c" * texts.MARKED
    assert texts.ends(long) == b"a" * texts.MARKED + b"c" * texts.MARKED and texts.ends(long[10:]) == long[10:]
    jpeg = b"\xff\xd8\xff\xe0" + bytes(100) + PLAIN_PROGRAM
    for room, whole in ((150, False), (400, True)):
        monkeypatch.setattr(other, "LOOKED_AT", room)
        found: dict[str, int] = {}
        other.features(jpeg, "jpeg", found)
        assert ("also.program" in found) is whole


def test_as_many_reasons_as_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REASONS", 2)
    mail = message("t\n", [("setup.exe", PACKED_PROGRAM)])
    facts = Walker(IMAGE, ContainerLimits(), heuristics=Antivirus(), clock=time.monotonic).walk_message(mail).facts
    assert [len(one.reasons) for one in facts.suspicions] == [2]


def test_bodies_of_messages_are_no_scripts() -> None:
    """AV-03: no mail program runs them, and they may speak of everything."""
    text = "eval(unescape('%41')); new ActiveXObject('WScript.Shell'); powershell -enc " + "QUJD" * 30
    assert not walked(message(text * 20))
    html = re.sub(rb"text/plain", b"text/html", message("<html><script>" + text + "</script></html>"))
    assert not walked(html)


def test_off_looks_at_nothing() -> None:
    """AV-03"""
    assert not walked(message("t\n", [("a.zip", zipped({"a.pdf.exe": PACKED_PROGRAM}))]), HeuristicsLevel.OFF)
