"""Quoted-printable: any cut and both kernels give what the oracle says. The first octet chooses the cut."""

from cext.quoted_printable import QuotedPrintableDecoder, decode
from tests.oracles import quoted_printable as oracle


def one_input(data: bytes) -> None:
    step, text = (data[0] if data else 0) + 1, data[1:]
    want = oracle.decode(text)
    assert decode(text) == want
    for scalar in (False, True):
        decoder = QuotedPrintableDecoder(scalar=scalar)
        output = b"".join(decoder.feed(text[at : at + step]) for at in range(0, len(text), step)) + decoder.finish()
        assert (output, decoder.findings) == want
