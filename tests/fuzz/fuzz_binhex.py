"""BinHex: any cut gives what the oracle says. The first two octets choose cut and limit."""

from cext.binhex import BinHexDecoder, decode, find_begin
from tests.oracles import binhex as oracle

SEEDS = [
    b"\x07\x20" + oracle.encode(b"a.txt", b"some text" + b"\x90" * 9 + b"a" * 70, b"fork"),
    b"\x01\x01" + oracle.armor(b"\x90" * 40)[1:],
]


def one_input(data: bytes) -> None:
    step, limit, text = data[:1] or b"\0", data[1:2] or b"\0", data[2:]
    want = oracle.decode(text, limit[0] * 8)
    assert decode(text, limit[0] * 8) == want
    decoder = BinHexDecoder(limit[0] * 8)
    pieces = (text[at : at + step[0] + 1] for at in range(0, len(text), step[0] + 1))
    output = b"".join(decoder.feed(piece) for piece in pieces) + decoder.finish()
    assert (output, decoder.findings, decoder.body_len) == want
    begin = find_begin(text, 0)
    assert begin == -1 or text[begin] == 0x3A
