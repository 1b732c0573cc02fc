"""Quoted-printable: any cut and every variant give what the oracle says. The first octet chooses the cut."""

from cext.quoted_printable import VARIANTS, QuotedPrintableDecoder, decode_as
from tests.oracles import quoted_printable as oracle

SEEDS = [
    b"\x05" + b'<td style=3D"color:red"> =D0=9F=D1=80 \r\nsoft=\r\nbreak =\n=x = \r\n' * 3,
    b"\x01" + b"=C3=A9" * 40 + b" \t" * 40 + b"\r\n" + b"=" * 9,
]


def one_input(data: bytes) -> None:
    step, text = (data[0] if data else 0) + 1, data[1:]
    want = oracle.decode(text)
    assert all(decode_as(text, variant) == want for variant in VARIANTS)
    for scalar in (False, True):
        decoder = QuotedPrintableDecoder(scalar=scalar)
        output = b"".join(decoder.feed(text[at : at + step]) for at in range(0, len(text), step)) + decoder.finish()
        assert (output, decoder.findings) == want
