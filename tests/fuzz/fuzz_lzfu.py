"""Compressed RTF: any cut gives what the oracle says. The first two octets choose cut and limit."""

from cext.lzfu import LZFuDecoder, decode
from tests.oracles import lzfu as oracle

SEEDS = [
    b"\x03\xff" + oracle.encode(rb"{\rtf1\ansi\deff0 words and words and words\par }"),
    b"\x01\x04" + b"\xff" + b"\x00\x1f" * 8,
]


def one_input(data: bytes) -> None:
    step, limit, packed = data[:1] or b"\0", data[1:2] or b"\0", data[2:]
    want = oracle.decode(packed, limit[0] * 8)
    assert decode(packed, limit[0] * 8) == want
    decoder = LZFuDecoder(limit[0] * 8)
    pieces = (packed[at : at + step[0] + 1] for at in range(0, len(packed), step[0] + 1))
    assert (b"".join(decoder.feed(piece) for piece in pieces) + decoder.finish(), decoder.findings) == want
