"""Files in OneNote sections, of either packaging, with their extensions and names."""

import struct
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.scan.facts import Verdict
from engine.scan.formats import onenote
from tests.engine.scan.formats.rooms import Found, Room
from tests.engine.scan.material import EICAR, VIRUS, walk_file

SECTION = bytes.fromhex("e4525c7b8cd8a74daeb15378d02996d3")
STORE = bytes.fromhex("e716e3bd65261145a4c48d4d0b7a9eac")
FOOTER = bytes.fromhex("22a7fb71790f0b4abb13899256426b24")
FRAGMENT = bytes.fromhex("c4f4f7f5b17a56a4")
PACKAGED = bytes.fromhex("2fe98d63d4a6c14b9a36b3fc2511a5b7")
GUID = uuid.UUID("12345678-9abc-def0-1234-56789abcdef0")


def _node(kind: int, value: bytes, formats: int = 0) -> bytes:
    return struct.pack("<L", kind | (4 + len(value)) << 10 | formats << 23 | 1 << 31) + value


def _fragment(*nodes: bytes) -> bytes:
    return FRAGMENT + struct.pack("<LL", 16, 0) + b"".join(nodes) + bytes(8)


def _property(name: str) -> bytes:
    """A set of three properties: four octets, the name, a flag."""
    text = name.encode("utf-16-le") + b"\0\0"
    ids = struct.pack("<LLL", 0x14001C01, 0x1C001D9C, 0x08001C02)
    return struct.pack("<H", 3) + ids + b"\1\2\3\4" + struct.pack("<L", len(text)) + text


def _section(content: bytes, extension: str = ".hta", name: str = "invoice.hta", *more: bytes) -> bytes:
    head = SECTION + bytes(32) + bytes.fromhex("3fdd9a101b91f549a5d01791edc8aed8") + bytes(960)
    store = STORE + struct.pack("<Q", len(content)) + bytes(12) + content + bytes(-len(content) % 8) + FOOTER
    declared = "<ifndf>{" + str(GUID).upper() + "}"
    text = declared.encode("utf-16-le") + struct.pack("<L", len(extension)) + extension.encode("utf-16-le")
    # reference: offset as two octets in units of 8, length as one
    reference = _node(0x094, struct.pack("<HB", len(head) // 8, 1) + GUID.bytes_le, 2 | 2 << 2)
    return head + store + b"".join(more) + _property(name) + _fragment(_node(0x010, b"abc"), reference) + text


def _compact(value: int) -> bytes:
    for length in range(1, 8):
        if value < 1 << 7 * length:
            return (value << length | 1 << length - 1).to_bytes(length, "little")
    return b"\x80" + value.to_bytes(8, "little")


def _packaged(content: bytes, name: str) -> bytes:
    inner = _compact(len(content)) + content
    if len(inner) < 0x7FFF:
        header = struct.pack("<L", 0x12 | len(inner) << 17)
    else:
        header = struct.pack("<L", 0x12 | 0x7FFF << 17) + _compact(len(inner))
    return SECTION + bytes(32) + PACKAGED + _property(name) + bytes(9) + b"\x15" + header + inner + b"\x05"


def test_file_with_its_extension_and_name() -> None:
    found = Found(onenote.members, _section(b"<script>"))
    assert [(one.name, one.data, one.also) for one in found.files.values()] == [
        ("file-400.hta", b"<script>", ("invoice.hta",))
    ]
    assert not found.gaps and not found.odd


@pytest.mark.parametrize("length", [1, 100, 127, 128, 16_384, 40_000])
def test_file_of_the_other_packaging(length: int) -> None:
    found = Found(onenote.members, _packaged(b"x" * length, "run.exe"))
    assert [(one.data, one.also) for one in found.files.values()] == [(b"x" * length, ("run.exe",))]


@pytest.mark.parametrize("section", [_section(EICAR), _packaged(EICAR, "a.com")])
def test_files_are_examined(section: bytes) -> None:
    facts = walk_file(section, "a.one").facts
    assert VIRUS in {one.name for one in facts.matches if one.part != "a.one"}


def test_cut_files_end_at_the_next() -> None:
    """PROC-23: each octet is looked at once, however many files are said to go on to the end."""
    many = _section(b"words") + (onenote._STORE + struct.pack("<Q", 1 << 40) + bytes(12) + EICAR) * 9
    files = [one for one in Found(onenote.members, many).files.values() if not one.complete]
    assert [bytes(one.data) for one in files] == [EICAR] * 9


def test_cut_file_is_incomplete() -> None:
    octets = _section(b"c" * 3000)
    (member,) = Found(onenote.members, octets[:2000]).files.values()
    assert not member.complete and member.data == b"c" * (2000 - 1024 - 36)
    assert walk_file(octets[:2000], "a.one").facts.verdict is Verdict.UNSCANNED


def test_section_with_a_password() -> None:
    octets = _section(b"x" * 100, ".bin", "a.bin", _fragment(_node(0x07C, bytes(16))))
    assert Found(onenote.members, octets).gaps == [("encrypted", "onenote-section")]


def test_section_without_files_and_no_section() -> None:
    facts = walk_file(SECTION + bytes(2000), "a.one").facts
    assert facts.verdict is Verdict.CLEAN and len(facts.parts) == 1
    for octets in (b"", SECTION[:12] + bytes(100), SECTION):
        assert Found(onenote.members, octets).refused


def test_limit_on_nodes_crossed_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    octets = _section(b"x")
    for most, cut in ((4, False), (2, True)):
        monkeypatch.setattr(onenote, "_NODES", most)
        assert (("limit", "onenote-nodes") in Found(onenote.members, octets).gaps) is cut


def test_limit_on_size_crossed_by_one() -> None:
    for room, cut in ((100, False), (99, True)):
        (member,) = Found(onenote.members, _section(b"x" * 100), Room(room)).files.values()
        assert member.over is cut and len(member.data) == room


def test_twice_the_files_twice_the_looks_at_the_clock() -> None:
    looks = []
    for count in (100, 200):
        room = Room()
        octets = _section(b"x") + (STORE + struct.pack("<Q", 8) + bytes(20)) * count + _property("a.b") * count
        assert len(Found(onenote.members, octets, room).files) == count + 1
        looks.append(room.looks)
    assert looks[1] <= 2 * looks[0]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([_section(b"content" * 9), _packaged(b"content" * 9, "n.exe")]),
    st.lists(st.tuples(st.integers(48, 1 << 16), st.binary(min_size=1, max_size=4)), max_size=6),
    st.integers(0, 500),
)
def test_cuts_and_changes_never_raise(sample: bytes, changes: list[tuple[int, bytes]], cut: int) -> None:
    octets = bytearray(sample)
    for offset, new in changes:
        at = 48 + offset % (len(octets) - 48)
        octets[at : at + len(new)] = new
    found = Found(onenote.members, bytes(octets[: len(octets) - cut]), Room(50))
    assert all(len(one.data) <= 50 for one in found.files.values())
