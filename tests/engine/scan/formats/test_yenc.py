"""yEnc in texts: blocks, parts, what is wrong with them, and what only looks like one."""

import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.scan.formats import yenc
from engine.scan.formats.item import Member
from tests.cext.test_yenc import encode
from tests.engine.scan.formats.rooms import Found, Room
from tests.engine.scan.material import EICAR, VIRUS, message, walk, zipped

PROSE = b"Dear reader,\r\n=ybegin is a word of yEnc\r\nhere it comes\r\n"


def block(data: bytes, name: bytes = b"a b.bin", crc: int | None = None, size: int | None = None) -> bytes:
    crc = zlib.crc32(data) if crc is None else crc
    return (
        b"=ybegin line=128 size=%d name=%s\r\n" % (len(data), name)
        + encode(data)
        + b"=yend size=%d crc32=%08x\r\n" % (len(data) if size is None else size, crc)
    )


def part(data: bytes, number: int, first: int, last: int, total: int = 2) -> bytes:
    piece = data[first:last]
    return (
        b"=ybegin part=%d total=%d line=128 size=%d name=p.bin\r\n" % (number, total, len(data))
        + b"=ypart begin=%d end=%d\r\n" % (first + 1, last)
        + encode(piece)
        + b"=yend size=%d part=%d pcrc32=%08x crc32=%08x\r\n"
        % (len(piece), number, zlib.crc32(piece), zlib.crc32(data))
    )


def yielded(text: bytes, room: int = 1 << 26) -> list[tuple[str, bytes, bool]]:
    found = Found(yenc.members, text, Room(room)).items
    return [(one.name, bytes(one.data), one.over) for one in found if isinstance(one, Member)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=4))
def test_several_blocks_in_one_text(contents: list[bytes]) -> None:
    text = PROSE + b"and more prose\r\n".join(block(one) for one in contents)
    assert yielded(text) == [("a b.bin", one, False) for one in contents]
    assert not Found(yenc.members, text).odd


def test_in_a_message_and_with_archives_inside() -> None:
    text = block(zipped({"e.com": EICAR}), b"a.zip").decode("latin-1")
    facts = walk(message("hello\n").replace(b"hello", text.encode("latin-1"))).facts
    assert [one.part for one in facts.matches] == ["1/a.zip/e.com"]
    assert [part.filenames for part in facts.parts[1:]] == [("a.zip",), ("e.com",)]


def test_parts_that_make_a_file_are_put_together() -> None:
    data = EICAR + bytes(range(256))
    text = PROSE + part(data, 2, 30, len(data)) + part(data, 1, 0, 30)
    assert yielded(text) == [("p.bin", data[30:], False), ("p.bin", data[:30], False), ("p.bin", data, False)]
    assert not Found(yenc.members, text).odd
    facts = walk(b"Subject: x\r\n\r\n" + text).facts
    assert VIRUS in {one.name for one in facts.matches}


def test_a_part_alone_is_examined_and_told() -> None:
    text = part(EICAR * 2, 2, len(EICAR), 2 * len(EICAR), total=3)
    assert yielded(text) == [("p.bin", EICAR, False)]
    assert Found(yenc.members, text).odd == {"yenc-part-2-of-3"}


@pytest.mark.parametrize(
    ("text", "odd"),
    [
        (block(b"data", crc=1), {"yenc-crc"}),
        (block(b"data", size=9), {"yenc-size"}),
        (block(b"data").split(b"=yend")[0], {"yenc-no-end"}),
        (block(b"data").replace(b"=yend", b"=\r\n=yend"), {"yenc-escape"}),
        (block(b"data").replace(b"\r\n", b"\n"), set()),
        (block(b"data").replace(b"\r\n", b"\r"), set()),
        (block(b"data").replace(b" name=a b.bin", b""), set()),
        (b"=ybegin line=128 size=9 name=x\r\n" + block(b"data"), set()),
    ],
)
def test_what_is_wrong_is_told_and_hides_nothing(text: bytes, odd: set[str]) -> None:
    assert [data for _, data, _ in yielded(text)] == [b"data"]
    assert Found(yenc.members, text).odd == odd


def test_dots_that_a_news_server_doubled() -> None:
    data = b"\x04one" + bytes(200) + b"\x04two"  # an octet 4 is a dot
    text = block(data).replace(b"\n.", b"\n..")
    assert b"\n.." in text
    assert yielded(text) == [("a b.bin", data, False)]
    assert yielded(text.replace(b"crc32", b"crcxx")) == [("a b.bin", data, False)]


def test_prose_is_no_file() -> None:
    assert not Found(yenc.members, PROSE + b"=ybegin \r\n=ybegin name\r\ntext\r\n=yend\r\n=ypart begin=1\r\n").items


def test_room() -> None:
    text = block(b"0123456789")
    assert yielded(text, 10) == [("a b.bin", b"0123456789", False)]
    assert yielded(text, 9) == [("a b.bin", b"012345678", True)]
    data = bytes(100)
    both = part(data, 1, 0, 50) + part(data, 2, 50, 100)
    assert yielded(both, 100)[-1] == ("p.bin", data, False)
    assert yielded(both, 99)[-1] == ("p.bin", data[:99], True)


def test_depth_is_kept() -> None:
    data, text = EICAR, b""
    for _ in range(12):
        text = block(data, b"e.txt")
        data = text
    facts = walk(b"Subject: x\r\n\r\n" + text).facts
    assert [one.detail for one in facts.unscanned] == ["extraction depth 10"]


def test_twice_the_input_is_twice_the_work() -> None:
    for text in (block(b"x"), b"=ybegin size=1\r\n", b"=ybegin part=1 size=3 name=a\r\n=ypart begin=1 end=2\r\nab\r"):
        once, twice = Room(), Room()
        Found(yenc.members, text * 50, once)
        Found(yenc.members, text * 100, twice)
        assert 0 < twice.looks <= 2 * once.looks


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_flipped_octets_never_raise(data: st.DataObject) -> None:
    octets = bytearray(PROSE + part(EICAR * 3, 1, 0, 99) + part(EICAR * 3, 2, 99, 204) + block(b"abc"))
    for _ in range(data.draw(st.integers(1, 5))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    Found(yenc.members, bytes(octets[: data.draw(st.integers(0, len(octets)))]))
