"""BinHex in texts: both forks, wrong checksums, and what only looks like it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cext.binhex import find_begin
from engine.scan.facts import Verdict
from engine.scan.formats import binhex
from engine.scan.formats.item import Member
from tests.engine.scan.formats.rooms import Found, Room
from tests.engine.scan.material import EICAR, VIRUS, message, walk, zipped
from tests.oracles.binhex import armor, encode, stream

PROSE = b"Hello,\r\n: a colon\r\n:and another one that is followed by words\r\n"


def yielded(text: bytes, room: int = 1 << 26) -> list[tuple[str, bytes, bool, bool]]:
    found = Found(binhex.members, text, Room(room)).items
    return [(one.name, bytes(one.data), one.over, one.complete) for one in found if isinstance(one, Member)]


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400), st.binary(max_size=100), st.sampled_from([b"\r\n", b"\n", b"\r"]))
def test_forks(data: bytes, resource: bytes, line_end: bytes) -> None:
    text = PROSE + encode(b"My File", data, resource, line_end=line_end) + b"prose behind it\r\n"
    want = [("My File", data, False, True)] + [("My File.rsrc", resource, False, True)] * bool(resource)
    assert yielded(text + text) == want + want
    assert yielded(PROSE + armor(stream(b"My File", data, resource), line_end)) == want  # without the words
    assert not Found(binhex.members, text).odd


def test_in_a_message_and_with_archives_inside() -> None:
    text = encode(b"a.zip", zipped({"e.com": EICAR}), EICAR).decode()
    facts = walk(message(text)).facts
    assert {one.part for one in facts.matches} == {"1/a.zip/e.com", "1/a.zip.rsrc"}
    assert not facts.unscanned
    attached = walk(message("see\n", [("a.hqx", text.encode())])).facts
    assert {one.part for one in attached.matches} == {"2/a.hqx/a.zip/e.com", "2/a.hqx/a.zip.rsrc"}


@pytest.mark.parametrize("which", ["header", "data", "resource"])
def test_wrong_checksums_are_told_and_hide_nothing(which: str) -> None:
    text = encode(b"a", EICAR, b"resource", wrong=which)
    assert [data for _, data, _, _ in yielded(text)] == [EICAR, b"resource"]
    assert Found(binhex.members, text).odd == {f"binhex-{which}-crc"}
    assert VIRUS in {one.name for one in walk(message(text.decode())).facts.matches}


def test_a_cut_file_is_not_clean() -> None:
    text = encode(b"a", bytes(range(200)), b"resource")
    for length in range(120, len(text) - 5, 7):
        assert walk(message(text[:length].decode())).facts.verdict is Verdict.UNSCANNED, length
    assert yielded(text[:200])[0][3] is False


def test_words_without_a_file() -> None:
    words = "(This file must be converted with BinHex 4.0)\n"
    assert walk(message(words + "That is what it looks like.\n")).facts.verdict is Verdict.CLEAN
    damaged = walk(message(words + ":abc:\n")).facts
    assert [one.detail for one in damaged.unscanned] == ["binhex header"]


def test_narrow_lines_and_blanks_behind_the_words() -> None:
    text = encode(b"a", EICAR)
    words, colon, rest = text.partition(b":")
    narrow = b"\r\n".join(rest.replace(b"\r\n", b"")[at : at + 10] for at in range(0, len(rest), 10))
    assert [data for _, data, _, _ in yielded(words + b" " + colon + narrow)] == [EICAR]


def test_a_file_without_its_last_colon_does_not_hide_the_next() -> None:
    first, second = encode(b"a", b"one" * 50), armor(stream(b"b", EICAR))
    cut = first.rstrip()[:-1] + b"\r\n"
    assert [name for name, _, _, _ in yielded(cut + second)] == ["a", "b"]


def test_room() -> None:
    text = encode(b"a", bytes(1000), b"r" * 10)
    assert yielded(text, 1000) == [("a", bytes(1000), False, True), ("a.rsrc", b"r" * 10, False, True)]
    assert yielded(text, 999) == [("a", bytes(999), True, True), ("a.rsrc", b"r" * 10, False, True)]
    assert yielded(text, 5) == [("a", bytes(5), True, True), ("a.rsrc", b"r" * 5, True, True)]


def test_twice_the_input_is_twice_the_work() -> None:
    for text in (
        encode(b"a", b"x" * 99),
        b":#(4PFh3ZG(Kd!$mr2cmr2cmr!!!!!!#\r\n",
        b"(This file must be converted with BinHex\r\n",
    ):
        once, twice = Room(), Room()
        Found(binhex.members, text * 50, once)
        Found(binhex.members, text * 100, twice)
        assert twice.looks <= 2 * once.looks + 2


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_flipped_octets_never_raise(data: st.DataObject) -> None:
    octets = bytearray(PROSE + encode(b"name", EICAR, b"resource") + encode(b"b", bytes(300)))
    for _ in range(data.draw(st.integers(1, 5))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    Found(binhex.members, bytes(octets[: data.draw(st.integers(0, len(octets)))]), Room(50))


def test_words_and_colons_without_files_are_searched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    searched = 0

    def counted(buf: bytes, start: int) -> int:
        nonlocal searched
        searched += len(buf) - start
        return find_begin(buf, start)

    monkeypatch.setattr(binhex, "find_begin", counted)
    text = b"(This file must be converted with BinHex\n:a\n" * 200
    Found(binhex.members, text)
    assert searched <= 2 * len(text)
