"""Bodies in yEnc."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cext.yenc import (
    ESCAPE,
    NO_END,
    VARIANT,
    VARIANTS,
    YEncDecoder,
    body_end,
    decode,
    decode_as,
    decode_scalar,
    find_begin,
)
from tests.oracles import yenc as oracle

PIECES = [
    b"\r\n",
    b"\n",
    b"\r",
    b"=",
    b"==",
    b"=y",
    b"=ye",
    b"=yend",
    b"=ybegin ",
    b"=ybegin",
    b".",
    b"..",
    b"text",
    b"\xff" * 70,
]
bodies = st.lists(st.sampled_from(PIECES) | st.binary(max_size=40), max_size=30).map(b"".join)


def encode(data: bytes, line_end: bytes = b"\r\n", line_len: int = 128, dots: bool = False) -> bytes:
    lines, line = [], b""
    for octet in data:
        shifted = (octet + 42) % 256
        line += b"=" + bytes([(shifted + 64) % 256]) if shifted in b"\0\n\r=" else bytes([shifted])
        if len(line) >= line_len:
            lines.append(line)
            line = b""
    lines += [line] if line else []
    return b"".join((b"." if dots and one[:1] == b"." else b"") + one + line_end for one in lines)


def in_pieces(body: bytes, size: int, dots: bool, scalar: bool) -> tuple[bytes, int, int]:
    decoder = YEncDecoder(dots=dots, scalar=scalar)
    output = b"".join(decoder.feed(body[at : at + size]) for at in range(0, len(body), size)) + decoder.finish()
    assert decoder.done
    return output, decoder.findings, decoder.body_len


@settings(max_examples=500, deadline=None)
@given(bodies, st.integers(1, 100), st.booleans(), st.booleans())
def test_any_chunking_equals_oracle(body: bytes, size: int, dots: bool, scalar: bool) -> None:
    assert in_pieces(body, size, dots, scalar) == (*oracle.decode(body, dots), oracle.body_end(body))


@settings(max_examples=500, deadline=None)
@given(bodies, st.booleans())
def test_every_variant_equals_oracle(body: bytes, dots: bool) -> None:
    want = oracle.decode(body, dots)
    assert len(want[0]) <= len(body)
    assert decode(body, dots=dots) == decode_scalar(memoryview(body), dots=dots) == want
    assert all(decode_as(body, variant, dots=dots) == want for variant in VARIANTS)
    assert body_end(b"?" + body, 1, len(body) + 1) == oracle.body_end(body) + 1


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=600), st.sampled_from([b"\r\n", b"\n", b"\r"]), st.booleans())
def test_round_trip(data: bytes, line_end: bytes, dots: bool) -> None:
    body = encode(data, line_end, dots=dots)
    assert decode(body + b"=yend size=1" + line_end + b"prose", dots=dots) == (data, 0)
    assert decode(body, dots=dots) == (data, NO_END)


def test_variants_are_named() -> None:
    assert VARIANTS[0] == "scalar"
    assert VARIANT in VARIANTS


def test_find_begin() -> None:
    text = b"prose =ybegin x\r\n=ybegin\r\n=ybegin line=128 size=1 name=a b.exe\r\nx\r\n=yend size=1\r\n=ybegin "
    first = find_begin(text, 0)
    assert first is not None
    assert text[first[0] : first[1]] == b"=ybegin line=128 size=1 name=a b.exe\r\n"
    assert find_begin(text, first[1]) == (len(text) - 8, len(text))
    assert find_begin(text, len(text)) is None


@pytest.mark.parametrize(
    ("body", "output", "findings"),
    [
        (b"", b"", NO_END),
        (b"=yend", b"", 0),
        (b"k\r\n=ybegin line=128", b"A", NO_END),
        (b"k=\r\nk\r\n=yend", b"AA", ESCAPE),
        (b"=====\r\n=yend", b"\xd3\xd3", ESCAPE),
        (b"=yen", b"\x0f\x3b\x44", NO_END),
    ],
)
def test_what_readers_forgive(body: bytes, output: bytes, findings: int) -> None:
    assert decode(body) == (output, findings)


def test_misuse_is_refused() -> None:
    decoder = YEncDecoder()
    decoder.finish()
    with pytest.raises(RuntimeError):
        decoder.feed(b"")
    with pytest.raises(ValueError, match="outside"):
        find_begin(b"", 1)
    with pytest.raises(ValueError, match="outside"):
        body_end(b"abc", 2, 4)
    with pytest.raises(ValueError, match="variant"):
        decode_as(b"", "mmx")
