"""Files in UUE."""

import binascii
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cext.uue import (
    CREDIT_LEN,
    JUNK,
    NO_END,
    SHORT,
    UUDecoder,
    body_end,
    decode,
    decode_scalar,
    find_begin,
    find_begin_scalar,
    find_line,
)
from tests.oracles import uue as oracle
from tests.oracles.mime import lines

FULL = binascii.b2a_uu(bytes(range(45)))
PIECES = [
    b"\r\n",
    b"\n",
    b"\r",
    b"end",
    b"begin 644 a",
    b"begin ",
    b"M",
    b"`",
    b" ",
    b"#0V%T",
    FULL,
    b"x",
    b"7 7",
    b"#" * 50,
]
texts = st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join) | st.binary(max_size=100)


def encode(data: bytes, line_end: bytes, *, backtick: bool = True, trimmed: bool = False) -> bytes:
    body = b""
    for at in range(0, len(data), 45):
        line = binascii.b2a_uu(data[at : at + 45], backtick=backtick)[:-1]
        body += (line.rstrip(b" ") if trimmed else line) + line_end
    return body + (b"`" if backtick else b" ") + line_end + b"end" + line_end


def in_pieces(body: bytes, size: int, scalar: bool) -> tuple[bytes, int, int]:
    decoder = UUDecoder(scalar=scalar)
    output = b"".join(decoder.feed(body[at : at + size]) for at in range(0, len(body), size)) + decoder.finish()
    return output, decoder.findings, decoder.body_len


@settings(max_examples=600, deadline=None)
@given(texts, st.integers(1, 100), st.booleans())
def test_any_chunking_equals_oracle(body: bytes, size: int, scalar: bool) -> None:
    assert in_pieces(body, size, scalar) == (*oracle.decode(body), oracle.body_end(body)[0])


@settings(max_examples=300, deadline=None)
@given(texts)
def test_one_shot_equals_oracle(body: bytes) -> None:
    output, findings = decode(body)
    assert (output, findings) == decode_scalar(memoryview(body)) == oracle.decode(body)
    assert len(output) <= len(body) + CREDIT_LEN
    assert body_end(b"?" + body, 1, len(body) + 1) == (oracle.body_end(body)[0] + 1, oracle.body_end(body)[1])


@settings(max_examples=250, deadline=None)
@given(texts, st.data())
def test_find_begin_equals_oracle(text: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    assert find_begin(text, start) == find_begin_scalar(text, start) == oracle.find_begin(text, start)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([b"\r\n", b"\n", b"\r"]), st.booleans())
def test_round_trip(data: bytes, line_end: bytes, backtick: bool) -> None:
    body = encode(data, line_end, backtick=backtick)
    assert decode(body + b"prose behind it") == (data, 0)
    assert body_end(body + b"prose behind it", 0, len(body) + 15) == (len(body), True)


def test_cut_trailing_spaces_are_zeros() -> None:
    data = b"head" + bytes(500) + b"tail" + bytes(41)
    assert decode(encode(data, b"\n", backtick=False, trimmed=True)[: -len(b"end\n")]) == (data, NO_END | SHORT)


def test_short_lines_cannot_make_output_grow_beyond_input() -> None:
    bomb = b"M\n" * 50_000
    for body in (bomb, FULL * 20_000 + bomb):
        output, findings = decode(body)
        assert findings == NO_END | SHORT
        assert len(output) <= len(body) + CREDIT_LEN
        assert (output, findings, len(body)) == in_pieces(body, 70_000, True)


def test_a_second_file_is_not_hidden_by_a_missing_end() -> None:
    first = b"#0V%T\r\n"
    text = b"begin 644 a.txt\r\n" + first + b"begin 0755  two words.exe \r\n" + encode(b"second", b"\r\n")
    begin = find_begin(text, 0)
    assert begin == (0, 10, 17)
    end, ended = body_end(text, 17, len(text))
    assert (end, ended) == (17 + len(first), False)
    assert decode(text[17:]) == (b"Cat", NO_END)
    second = find_begin(text, end)
    assert second is not None
    assert text[second[1] : second[2]] == b"two words.exe \r\n"
    assert decode(text[second[2] :]) == (b"second", 0)


@pytest.mark.parametrize(
    ("body", "output", "findings"),
    [
        (b"#0V%T\nend\n", b"Cat", 0),
        (b"#0V%T\nend", b"Cat", 0),
        (b"#0V%T\r\n\r\n`\r\nend \t\r\n", b"Cat", 0),
        (b"#0V%T*checksum\nend\n", b"Cat", 0),
        (b"#0V%T\nlower case prose\n#0V%T\nend\n", b"CatCat", JUNK),
        (b"#0V%T\nend of story\n#0V%T\nend\n", b"CatCat", JUNK),
        (b"#0V\nend\n", b"C`\0", SHORT),
        (b"", b"", NO_END),
    ],
)
def test_what_clients_forgive(body: bytes, output: bytes, findings: int) -> None:
    assert decode(body) == (output, findings)


@pytest.mark.parametrize(
    "line",
    [b"begin 8 a", b"begin at noon", b" begin 644 a", b"Begin 644 a", b"begin 6440000 a", b"begin 64", b"begin 644a"],
)
def test_what_begins_no_file(line: bytes) -> None:
    assert find_begin(b"x\r\n" + line + b"\r\n", 0) is None


@pytest.mark.parametrize("line", [b"begin 644", b"begin 644 ", b"begin 644 \t"])
def test_the_name_may_be_missing(line: bytes) -> None:
    found = find_begin(b"x\r\n" + line + b"\r\n", 0)
    assert found == find_begin_scalar(b"x\r\n" + line + b"\r\n", 0) == (3, 3 + len(line), 5 + len(line))


def test_the_end_line_reaches_over_cuts_in_its_line_end() -> None:
    body = encode(b"abc", b"\r\n")
    for first, second in pairwise(range(len(body) + 1)):
        decoder = UUDecoder()
        output = b"".join(decoder.feed(piece) for piece in (body[:first], body[first:second], body[second:], b"more"))
        assert (output + decoder.finish(), decoder.body_len, decoder.done) == (b"abc", len(body), True)


def test_misuse_is_refused() -> None:
    decoder = UUDecoder()
    decoder.finish()
    with pytest.raises(RuntimeError):
        decoder.feed(b"")
    with pytest.raises(ValueError, match="outside"):
        find_begin(b"", 1)
    with pytest.raises(ValueError, match="outside"):
        body_end(b"abc", 2, 4)


@settings(max_examples=150, deadline=None)
@given(texts, st.data(), st.sampled_from([b"begin", b"M", b"end", b"#0V%T"]))
def test_find_line_equals_oracle(text: bytes, data: st.DataObject, prefix: bytes) -> None:
    start = data.draw(st.integers(0, len(text)))
    places = [start + at for at, _, line in lines(text[start:]) if line.startswith(prefix)]
    assert find_line(text, start, prefix) == (places[0] if places else -1)


def test_no_prefix_of_a_line() -> None:
    for prefix in (b"", b"a\nb"):
        with pytest.raises(ValueError, match="prefix"):
            find_line(b"abc", 0, prefix)
    with pytest.raises(ValueError, match="outside"):
        find_line(b"abc", 4, b"x")
