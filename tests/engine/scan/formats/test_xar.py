"""xar archives: members in every packing, tables that lie, and their bounds."""

import base64
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.scan.facts import Verdict
from engine.scan.formats import xar
from engine.scan.formats.item import Member
from engine.scan.magic import identify
from tests.engine.scan.formats import archives_made as made
from tests.engine.scan.formats.rooms import Found, Room
from tests.engine.scan.formats.xar_made import STYLES, data, wrapped
from tests.engine.scan.formats.xar_made import xar as packed
from tests.engine.scan.material import EICAR, message, walk, walk_file, zipped

FILES = {"readme.txt": made.TEXT, "a/b/virus.com": EICAR, "ü & <.bin": bytes(range(256)) * 8}


def inside(buf: bytes, room: Room | None = None) -> Found:
    """Without the table."""
    found = Found(xar.members, buf, room)
    found.items = [one for one in found.items if not isinstance(one, Member) or one.name != "[TOC].xml"]
    return found


def test_the_table_is_looked_at() -> None:
    """AV-02: words of it that tell of no file."""
    table = b"<xar><toc>" + EICAR.replace(b"&", b"&amp;") + b"</toc></xar>"
    assert bytes(Found(xar.members, wrapped(table)).files["[TOC].xml"].data) == table


def contents(buf: bytes, room: Room | None = None) -> dict[str, bytes]:
    return {name: bytes(one.data) for name, one in inside(buf, room).files.items()}


@pytest.mark.parametrize("style", STYLES)
def test_members(style: str) -> None:
    """CONT-01: whatever they are packed by; found in mail."""
    buf = packed(FILES, style)
    assert identify(buf, 0, len(buf)) == "xar"
    found = inside(buf)
    assert contents(buf) == FILES
    assert not found.gaps and not found.odd and all(one.complete for one in found.files.values())
    facts = walk(message("see", [("a.pkg", buf)])).facts
    assert facts.verdict is Verdict.INFECTED and not facts.unscanned


@pytest.mark.parametrize("compression", ["gzip", "bzip2", "lzma", "xz", "none"])
def test_what_another_program_wrote(tmp_path: Path, compression: str) -> None:
    flat = {name.replace("/", "_"): content for name, content in FILES.items() if name.isascii()}
    buf = made.by_bsdtar(tmp_path, flat, "--format=xar", f"--options=xar:compression={compression}")
    assert contents(buf) == flat and not inside(buf).odd


@pytest.mark.parametrize("style", STYLES)
def test_cut_anywhere_is_never_clean(style: str) -> None:
    buf = packed(FILES, style)
    for end in range(6, len(buf) - 1, 29):
        assert walk_file(buf[:end].ljust(8, b"\0"), "a.xar").facts.unscanned, end


def test_a_member_over_the_room_by_one() -> None:
    """CONT-04: in every packing."""
    for style in STYLES:
        for room, over in ((2048, False), (2047, True)):
            (member,) = inside(packed({"a": bytes(2048)}, style), Room(room)).files.values()
            assert (member.over, len(member.data)) == (over, room)


def test_names_of_elements_may_have_a_prefix() -> None:
    """AV-02: readers take the local name."""
    prefixed = 'xmlns:x="x"><x:file><x:name>a</x:name><x:data><x:offset>0</x:offset><x:length>4</x:length>'
    table = f'<xar {prefixed}<x:encoding x:style="application/octet-stream"/></x:data></x:file></xar>'
    assert contents(wrapped(table.encode(), b"abcd")) == {"a": b"abcd"}


@pytest.mark.parametrize(
    "told",
    [
        "<offset>0</offset><offset>1</offset>",
        "<length>1</length><length>2</length>",
        "<offset>0</offset><length>2</length><data/>",
        '<encoding style="application/x-gzip"/><encoding style="application/octet-stream"/>',
    ],
)
def test_what_is_told_twice(told: str) -> None:
    """SCAN-07: readers differ in which they believe."""
    buf = wrapped(f"<xar><toc><file><name>a</name><data>{told}</data></file></toc></xar>".encode(), bytes(9))
    assert "xar-table" in inside(buf).odd
    assert walk_file(buf, "a.xar").facts.verdict is Verdict.UNSCANNED


def test_a_document_type_is_refused() -> None:
    """PROC-23: there are no entities then."""
    bomb = b'<!DOCTYPE xar [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><xar><toc><file><name>&b;</name></file></toc></xar>'
    assert inside(wrapped(bomb)).gaps == [("limit", "xar: a document type")]


@pytest.mark.parametrize("table", [b"<xar><toc>", b"no xml", b"<xar>&unknown;</xar>", b"<xar></toc></xar>"])
def test_a_table_that_is_damaged_is_told(table: bytes) -> None:
    assert [cause for cause, _ in inside(wrapped(table)).gaps] == ["damaged"]


def test_what_a_table_says_that_cannot_be() -> None:
    """SCAN-07: a place outside of the heap, a size that is not so, a packing that nobody knows."""
    table = "<xar><toc><file>" + "".join(
        f"<file><name>{name}</name>{text}</file>"
        for name, text in {
            "outside": data(1000, 5, 5, "application/octet-stream"),
            "longer": data(0, 5, 6, "application/octet-stream"),
            "unknown": data(0, 5, 5, "application/x-strange"),
            "not zlib": data(0, 5, 5, "application/x-gzip"),
            "nowhere": "<data><length>5</length></data>",
        }.items()
    )
    found = inside(wrapped(table.encode() + b"</file></toc></xar>", b"abcde"))
    assert [(one.name, one.complete) for one in found.files.values()] == [("/outside", False), ("/longer", False)]
    causes = {one.name: one.cause.value for one in found.unread}
    assert causes == {"/unknown": "unsupported", "/not zlib": "damaged", "/nowhere": "damaged"}


def test_names_in_base64_and_attributes() -> None:
    name = base64.b64encode("ü.com".encode()).decode()
    table = f'<xar><toc><file><name enctype="base64">{name}</name>'
    table += data(0, 5, 5, "application/octet-stream", "ea") + "</file></toc></xar>"
    (member,) = inside(wrapped(table.encode(), b"abcde")).files.values()
    assert (member.name, member.data, member.stream) == ("ü.com", b"abcde", True)


def test_what_lies_behind_the_heap_is_seen() -> None:
    clean = packed({"a.txt": made.TEXT})
    assert walk_file(clean + zipped({"a.com": EICAR}), "a.xar").facts.verdict is Verdict.INFECTED
    assert not inside(clean + bytes(100)).odd


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """CONT-07, PROC-23: xar._ENTRIES, xar._DEPTH, xar._TEXT_LEN, xar._TABLE_LEN, xar._STRETCH_LEN, xar._PACKED_WORK."""
    four = packed(dict.fromkeys("abcd", b"content"))
    for most, told in ((4, []), (3, [("limit", "xar: 3 files")])):
        monkeypatch.setattr(xar, "_ENTRIES", most)
        assert inside(four).gaps == told
    twice = wrapped(f"<xar><toc><file>{data(0, 1, 1, '') * 4}</file></toc></xar>".encode(), b"a")
    assert inside(twice).gaps == [("limit", "xar: 3 contents")]
    monkeypatch.setattr(xar, "_ENTRIES", 99)
    deep = packed({"/".join("abcd"): b"content"})  # xar, toc, four files, data, encoding
    for most, count in ((8, 0), (7, 1)):
        monkeypatch.setattr(xar, "_DEPTH", most)
        assert len(inside(deep).gaps) == count
    monkeypatch.setattr(xar, "_DEPTH", 64)
    for longer in (0, 1):
        monkeypatch.setattr(xar, "_TEXT_LEN", 300 - longer)
        assert [len(name) for name in contents(packed({"n" * 300: b"1"}))] == [300 - longer]
    table = f"<xar><toc><file>{data(0, 1, 1, '')}</file></toc></xar>".encode()
    for longer in (0, 1):
        monkeypatch.setattr(xar, "_TABLE_LEN", len(table) - longer)
        assert len(inside(wrapped(table, b"a")).gaps) == longer
    monkeypatch.setattr(xar, "_TABLE_LEN", 1 << 20)
    long = b"<xar><toc><file>" + b" " * 300 + b"</file></toc></xar>"
    for longer in (0, 1):
        monkeypatch.setattr(xar, "_STRETCH_LEN", 306 - longer)
        told = [("limit", f"xar: an element of {306 - longer} octets")]
        assert inside(wrapped(long)).gaps == told * longer
    monkeypatch.setattr(xar, "_STRETCH_LEN", 1 << 16)
    stream = zlib.compress(b"") * 200  # of which the first is read, at the cost of all
    table = f"<xar><toc><file>{data(0, len(stream), 0, 'x-gzip') * 20}</file></toc></xar>".encode()
    whole = wrapped(table, stream)
    for most in (3, 4):
        monkeypatch.setattr(xar, "_PACKED_WORK", most)
        assert 20 - len(inside(whole).unread) == most * len(whole) // len(stream)


def test_long_folders_are_not_told_again_and_again() -> None:
    """PROC-23: of a path that is too long, what lies further out is not told."""
    deep = packed({"/".join(letter * 600 for letter in "abcd"): b"1"})
    assert [name.count("/") for name in contents(deep)] == [1]


def test_twice_the_members_cost_twice() -> None:
    looks = []
    for count in (2000, 4000):
        room = Room()
        inside(packed({str(one): b"" for one in range(count)}), room)
        looks.append(room.looks)
    assert looks[1] <= 2.1 * looks[0]


@settings(max_examples=100)
@given(st.binary(max_size=200), st.integers(0, 1 << 12), st.binary(min_size=1, max_size=8))
def test_changed_octets_never_escape(table: bytes, at: int, new: bytes) -> None:
    buf = packed(FILES)
    at %= len(buf)
    for octets in (buf[:at] + new + buf[at + len(new) :], wrapped(table, b"heap"), b"xar!" + table):
        for member in inside(octets, Room(1 << 16)).files.values():
            assert len(member.data) <= 1 << 16
