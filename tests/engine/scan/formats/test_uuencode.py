"""begin-base64 and XX in texts."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.scan.formats import uuencode
from engine.scan.formats.item import Member
from tests.cext.test_uue import encode as encode_uue
from tests.engine.scan.formats.rooms import Found, Room
from tests.engine.scan.material import EICAR, message, walk

PROSE = b"begin with this\r\nbegin 644 \r\nbegin-base64 with\r\n"
XX = b"+-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
TO_XX = bytes.maketrans(bytes([0x60, *range(0x21, 0x60)]), XX)


def in_base64(data: bytes, name: bytes = b"a b.exe") -> bytes:
    return b"begin-base64 644 " + name + b"\r\n" + base64.encodebytes(data).replace(b"\n", b"\r\n") + b"====\r\n"


def in_xx(data: bytes, name: bytes = b"a b.exe") -> bytes:
    body = encode_uue(data, b"\r\n").removesuffix(b"end\r\n").translate(TO_XX)
    return b"begin 644 " + name + b"\r\n" + body + b"end\r\n"


def yielded(text: bytes, room: int = 1 << 26) -> list[tuple[str, bytes, bool]]:
    found = Found(uuencode.members, text, Room(room)).items
    return [(one.name, bytes(one.data), one.over) for one in found if isinstance(one, Member)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=200), max_size=3))
def test_base64_round_trip(contents: list[bytes]) -> None:
    text = PROSE + b"prose\r\n".join(in_base64(one) for one in contents)
    assert yielded(text) == [("a b.exe", one, False) for one in contents]
    assert not Found(uuencode.members, text).odd


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=200).map(lambda data: EICAR + data), max_size=3))
def test_xx_round_trip(contents: list[bytes]) -> None:
    text = PROSE + b"prose\r\n".join(in_xx(one) for one in contents)
    assert yielded(text) == [("a b.exe", one, False) for one in contents]
    assert not Found(uuencode.members, text).odd


def test_in_messages() -> None:
    for text in (in_base64(EICAR), in_xx(EICAR)):
        facts = walk(message(text.decode())).facts
        assert [one.part for one in facts.matches] == ["1/a b.exe"]
        assert len(facts.parts) == 2  # XX is not taken for UUE as well
        assert not facts.findings


def test_an_encoded_name() -> None:
    text = in_base64(b"data", base64.b64encode(b"two words.exe")).replace(b"base64", b"base64-encoded")
    assert yielded(text) == [("two words.exe", b"data", False)]


@pytest.mark.parametrize(
    ("text", "data", "odd"),
    [
        (in_base64(EICAR).removesuffix(b"====\r\n"), [EICAR], {"begin-base64-no-end"}),
        (in_base64(EICAR).removesuffix(b"====\r\n") + in_base64(b"b"), [EICAR, b"b"], {"begin-base64-no-end"}),
        (in_base64(EICAR).replace(b"\r\n", b"~\r\n", 2).replace(b"exe~", b"exe"), [EICAR], {"base64-junk"}),
        (in_xx(EICAR).removesuffix(b"end\r\n"), [EICAR], {"xx-no-end"}),
        (encode_uue(EICAR, b"\r\n"), [], set()),
        (b"begin 644 a\r\n" + encode_uue(EICAR, b"\r\n"), [], set()),
    ],
)
def test_what_is_wrong_is_told_and_hides_nothing(text: bytes, data: list[bytes], odd: set[str]) -> None:
    assert [one for _, one, _ in yielded(text)] == data
    assert Found(uuencode.members, text).odd == odd


def test_data_that_begins_like_a_begin_line() -> None:
    data = base64.b64decode(b"beginbeginbegin+") * 9
    text = b"begin-base64 644 a\n" + b"begin" + base64.encodebytes(data)[5:] + b"====\n"
    assert yielded(text) == [("a", data, False)]


def test_room() -> None:
    for text in (in_base64(EICAR), in_xx(EICAR)):
        assert yielded(text, len(EICAR)) == [("a b.exe", EICAR, False)]
        assert yielded(text, len(EICAR) - 1) == [("a b.exe", EICAR[:-1], True)]


def test_twice_the_input_is_twice_the_work() -> None:
    for text in (in_base64(b"x"), in_xx(EICAR), b"begin-base64 644 a\nbegin 644 b\n", b"begin"):
        once, twice = Room(), Room()
        Found(uuencode.members, text * 50, once)
        Found(uuencode.members, text * 100, twice)
        assert 0 < twice.looks <= 2 * once.looks


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_flipped_octets_never_raise(data: st.DataObject) -> None:
    octets = bytearray(PROSE + in_base64(EICAR) + in_xx(EICAR) + in_base64(b""))
    for _ in range(data.draw(st.integers(1, 5))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    Found(uuencode.members, bytes(octets[: data.draw(st.integers(0, len(octets)))]))
