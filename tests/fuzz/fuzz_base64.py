"""Base64: any cut and both kernels give what the oracle says. The first octet chooses the cut."""

from cext.base64 import Base64Decoder, decode
from tests.oracles import base64 as oracle


def one_input(data: bytes) -> None:
    step, text = (data[0] if data else 0) + 1, data[1:]
    want = oracle.decode(text)
    assert decode(text) == want
    for scalar in (False, True):
        decoder = Base64Decoder(scalar=scalar)
        output = b"".join(decoder.feed(text[at : at + step]) for at in range(0, len(text), step)) + decoder.finish()
        assert (output, decoder.findings) == want
