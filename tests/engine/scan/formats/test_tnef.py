"""winmail.dat: what Outlook would save or show from it, whatever is wrong with it."""

import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import limits
from engine.scan.facts import Cause, Verdict
from engine.scan.formats import tnef
from engine.scan.formats.item import Member
from tests.engine.scan.formats.rooms import Found, Room
from tests.engine.scan.material import EICAR, VIRUS, message, walk, walk_file, zipped
from tests.oracles import lzfu
from tests.oracles.tnef import (
    ATTACH_DATA,
    ATTACHMENT,
    BINARY,
    BODY,
    IID_MESSAGE,
    LONG,
    MAGIC,
    MESSAGE_PROPERTIES,
    OBJECT,
    REND_DATA,
    SHORT,
    STRING,
    UNICODE,
    attachment,
    attribute,
    prop,
    properties,
)


def yielded(octets: bytes, room: int = 1 << 26) -> list[Member]:
    return [one for one in Found(tnef.members, octets, Room(room)).items if isinstance(one, Member)]


RTF = rb"{\rtf1\ansi Hello, hello, hello\par }"
LONG_NAME = prop(0x3707, UNICODE, "Rechnung März.pdf.exe\0".encode("utf-16-le"))


def test_attachments_with_their_names() -> None:
    octets = MAGIC + attachment("RECHNU~1.EXE", EICAR, LONG_NAME) + attachment("b.txt", b"second")
    facts = walk_file(octets, "winmail.dat").facts
    assert [(part.filenames, part.size) for part in facts.parts[1:]] == [
        (("Rechnung März.pdf.exe", "RECHNU~1.EXE"), len(EICAR)),
        (("b.txt",), 6),
    ]
    assert {one.name for one in facts.matches} >= {VIRUS, "Double-Extension"}
    assert not facts.unscanned and not facts.findings
    assert facts.parts[0].container


def test_in_a_message_and_with_archives_inside() -> None:
    octets = MAGIC + attachment("a.zip", zipped({"e.com": EICAR}, zipfile.ZIP_DEFLATED))
    facts = walk(message("see attachment\n", [("winmail.dat", octets)])).facts
    assert [one.part for one in facts.matches] == ["2/winmail.dat/a.zip/e.com"]


def test_embedded_messages_and_objects() -> None:
    inner = MAGIC + attachment("e.com", EICAR)
    as_message = prop(0x3701, OBJECT, IID_MESSAGE + inner)
    facts = walk_file(MAGIC + attachment("fwd", b"", as_message), "winmail.dat").facts
    assert VIRUS in {one.name for one in facts.matches}
    assert [part.type for part in facts.parts] == ["tnef", "empty", "tnef", "text"]
    found = yielded(MAGIC + attachment("a", b"one", prop(0x3701, BINARY, b"two"), as_message))
    assert [one.data for one in found] == [b"one", b"two", inner]


def test_every_kind_of_property_is_passed_over() -> None:
    each = (
        prop(0x0001, SHORT, b"\1\0"),
        prop(0x0002, SHORT, b"\1\0", several=3),
        prop(0x0003, LONG, b"\1\0\0\0", several=2),
        prop(0x0004, 0x48, bytes(16)),
        prop(0x0005, 0x40, bytes(8)),
        prop(0x0006, STRING, b"several\0", several=3),
        prop(0x8001, UNICODE, b"v\0", name="Named property"),
        prop(0x8002, LONG, b"\1\0\0\0"),
        LONG_NAME,
    )
    facts = walk_file(MAGIC + attachment("x", b"data", *each), "winmail.dat").facts
    assert facts.parts[1].filenames[0] == "Rechnung März.pdf.exe"
    assert not facts.findings and not facts.unscanned


def test_bodies() -> None:
    packed = lzfu.encode(RTF)
    octets = MAGIC + attribute(BODY, b"plain text\0", 1)
    octets += attribute(
        MESSAGE_PROPERTIES,
        properties(
            prop(0x1009, BINARY, lzfu.wrap(packed, len(RTF))),
            prop(0x1013, BINARY, b"<html>one</html>"),
            prop(0x1013, UNICODE, "<html>zwölf</html>\0".encode("utf-16-le")),
        ),
        1,
    )
    found = Found(tnef.members, octets)
    assert [(one.name, one.data, one.stream) for one in yielded(octets)] == [
        ("body.txt", b"plain text", True),
        ("body.rtf", RTF, True),
        ("body.html", b"<html>one</html>", True),
        ("body.html", "<html>zwölf</html>".encode(), True),
    ]
    assert not found.odd and not found.gaps


@pytest.mark.parametrize(
    ("packed", "kinds"),
    [
        (lzfu.wrap(lzfu.encode(RTF), len(RTF), crc=1), {"rtf-compressed-crc"}),
        (lzfu.wrap(lzfu.encode(RTF), len(RTF) + 1), {"rtf-compressed-size"}),
        (lzfu.wrap(lzfu.encode(RTF)[:-2], len(RTF)), set()),
        (lzfu.wrap(RTF, len(RTF), b"MELA"), set()),
    ],
)
def test_what_is_wrong_with_compressed_rtf_hides_nothing(packed: bytes, kinds: set[str]) -> None:
    octets = MAGIC + attribute(MESSAGE_PROPERTIES, properties(prop(0x1009, BINARY, packed)), 1)
    assert [one.data for one in yielded(octets)] == [RTF]
    assert Found(tnef.members, octets).odd == kinds


def test_compressed_rtf_that_cannot_be_had_is_told() -> None:
    for packed in (lzfu.wrap(RTF, len(RTF), b"ZZZZ"), b"short"):
        facts = walk_file(MAGIC + attribute(MESSAGE_PROPERTIES, properties(prop(0x1009, BINARY, packed)), 1), "w").facts
        assert facts.verdict is Verdict.UNSCANNED


def test_wrong_sums_and_trailing_data_are_findings() -> None:
    facts = walk_file(MAGIC + attachment("a.txt", EICAR, wrong=1) + b"\0" * 30, "winmail.dat").facts
    assert [one.kind for one in facts.findings] == ["tnef-checksum", "tnef-trailing-data"]
    assert VIRUS in {one.name for one in facts.matches}
    assert not facts.unscanned


def test_types_of_attributes_do_not_matter() -> None:
    octets = MAGIC + attribute(REND_DATA & 0xFFFF, b"") + attribute(ATTACH_DATA & 0xFFFF, b"data")
    assert [one.data for one in yielded(octets)] == [b"data"]


def test_cut_files_are_not_clean() -> None:
    octets = MAGIC + attachment("a.txt", b"0123456789" * 9)
    rend_data = len(MAGIC) + len(attribute(REND_DATA, bytes(14)))
    for length in range(6, len(octets)):
        facts = walk_file(octets[:length], "winmail.dat").facts
        whole = any(part.size == 90 for part in facts.parts)
        # where an attribute ends, but for its sum, nobody can tell that more was meant to follow
        assert whole or facts.verdict is Verdict.UNSCANNED or rend_data - 2 <= length <= rend_data, length


def test_unknown_kinds_of_properties_are_severe() -> None:
    octets = MAGIC + attachment("a", b"x", prop(0x0001, 0x0FF0, b""), LONG_NAME)
    facts = walk_file(octets, "winmail.dat").facts
    assert [(one.cause, one.detail) for one in facts.unscanned] == [(Cause.DAMAGED, "tnef-properties")]


def test_room_and_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    octets = MAGIC + attachment("a", b"0123456789")
    assert [(one.data, one.over) for one in yielded(octets, 9)] == [(b"012345678", True)]
    assert [(one.data, one.over) for one in yielded(octets, 10)] == [(b"0123456789", False)]
    monkeypatch.setattr(limits, "TNEF_ATTRIBUTES", 3)
    assert not Found(tnef.members, octets).gaps
    assert Found(tnef.members, octets + attachment("b", b"")).gaps == [("limit", "3 attributes")]
    monkeypatch.setattr(limits, "TNEF_ATTRIBUTES", 30)
    monkeypatch.setattr(limits, "MAPI_PROPERTIES", 2)
    two = (prop(1, LONG, b""), prop(2, LONG, b""))
    assert not Found(tnef.members, MAGIC + attribute(ATTACHMENT, properties(*two))).odd
    assert Found(tnef.members, MAGIC + attribute(ATTACHMENT, properties(*two, *two))).odd == {"tnef-properties"}


def test_twice_the_input_is_twice_the_work() -> None:
    octets = attachment("a", b"x", LONG_NAME)
    once, twice = Room(), Room()
    Found(tnef.members, MAGIC + octets * 50, once)
    Found(tnef.members, MAGIC + octets * 100, twice)
    assert 0 < twice.looks <= 2 * once.looks


SAMPLE = (
    MAGIC
    + attachment("a.txt", b"data", LONG_NAME, prop(0x3701, OBJECT, IID_MESSAGE + MAGIC + attachment("b", b"c")))
    + attribute(MESSAGE_PROPERTIES, properties(prop(0x1009, BINARY, lzfu.wrap(lzfu.encode(RTF), len(RTF)))), 1)
)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_flipped_octets_never_raise(data: st.DataObject) -> None:
    octets = bytearray(SAMPLE)
    for _ in range(data.draw(st.integers(1, 4))):
        octets[data.draw(st.integers(6, len(octets) - 1))] = data.draw(st.integers(0, 255))
    walk_file(bytes(octets), "winmail.dat")
