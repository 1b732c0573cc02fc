"""BinHex 4.0."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cext.binhex import NO_END, OVER, RUN, BinHexDecoder, decode, find_begin
from tests.oracles import binhex as oracle

octets = st.lists(
    st.binary(max_size=20) | st.sampled_from([b"\x90", b"\x90" * 9, b"a" * 300, b"\x90\0"]), max_size=12
).map(b"".join)
texts = st.lists(
    st.sampled_from([b":", b"\r\n", b"~", b"g7", b" ", b"*", b"3rq"]) | octets.map(oracle.armor), max_size=6
).map(b"".join) | st.text("!\"#$%&'()*+,-0123489@ABab\n", max_size=300).map(str.encode)


def in_pieces(text: bytes, size: int, limit: int) -> tuple[bytes, int, int]:
    decoder = BinHexDecoder(limit)
    output = b"".join(decoder.feed(text[at : at + size]) for at in range(0, len(text), size)) + decoder.finish()
    assert decoder.done
    return output, decoder.findings, decoder.body_len


@settings(max_examples=300, deadline=None)
@given(texts, st.integers(1, 100), st.integers(0, 700))
def test_any_chunking_equals_oracle(text: bytes, size: int, limit: int) -> None:
    assert in_pieces(text, size, limit) == decode(text, limit) == oracle.decode(text, limit)


@settings(max_examples=200, deadline=None)
@given(octets, st.sampled_from([b"\r\n", b"\n", b"\r"]))
def test_round_trip(data: bytes, line_end: bytes) -> None:
    text = oracle.armor(data, line_end)
    output, findings, used = decode(text[1:] + b"prose", 1 << 20)
    assert output.startswith(data)
    assert output[len(data) :] in (b"", b"\0")  # bits that fill the last group
    assert (findings, text[1:][used:]) == (0, line_end)


def test_runs_end_at_the_limit() -> None:
    packed = b"a" + b"\x90\xff" * 3000
    row = "".join(f"{octet:08b}" for octet in packed) + "0000"
    bomb = bytes(oracle.ALPHABET[int(row[at : at + 6], 2)] for at in range(0, len(row) // 6 * 6, 6))
    whole, findings, _ = decode(bomb, 1 << 30)
    assert findings == NO_END
    assert len(whole) == 1 + 3000 * 254
    for limit in (len(whole), len(whole) - 1, 0):
        output, findings, _ = decode(bomb, limit)
        assert output == whole[:limit]
        assert findings == NO_END | (OVER if limit < len(whole) else 0)


def test_a_run_of_nothing() -> None:
    assert decode(oracle.ALPHABET[0x24:0x25] + oracle.ALPHABET[0:1], 10) == (b"", NO_END | RUN, 2)  # 0x90, 0 bits


def test_find_begin() -> None:
    text = oracle.armor(bytes(range(60)))
    prose = b":short\r\n: a line of prose that begins with a colon\r\n::\r\nx" + text[:40] + b"\r\n"
    assert find_begin(prose, 0) == -1
    assert find_begin(prose + text, 0) == len(prose)
    assert find_begin(text, 1) == -1
    assert find_begin(text, 0) == 0
    assert find_begin(b"", 0) == -1


def test_misuse_is_refused() -> None:
    decoder = BinHexDecoder(10)
    decoder.finish()
    with pytest.raises(RuntimeError):
        decoder.feed(b"")
    with pytest.raises(ValueError, match="limit"):
        BinHexDecoder(-1)
    with pytest.raises(ValueError, match="limit"):
        decode(b"", -1)
    with pytest.raises(ValueError, match="outside"):
        find_begin(b"", 1)
