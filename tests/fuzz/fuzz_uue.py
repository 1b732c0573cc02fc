"""UUE: any cut and both kernels give what the oracle says. The first octet chooses the cut."""

from cext.uue import UUDecoder, body_end, decode, find_begin
from tests.oracles import uue as oracle


def one_input(data: bytes) -> None:
    step, text = (data[0] if data else 0) + 1, data[1:]
    want = oracle.decode(text)
    assert decode(text) == want
    assert find_begin(text, 0) == oracle.find_begin(text, 0)
    assert body_end(text, 0, len(text)) == oracle.body_end(text)
    for scalar in (False, True):
        decoder = UUDecoder(scalar=scalar)
        output = b"".join(decoder.feed(text[at : at + step]) for at in range(0, len(text), step)) + decoder.finish()
        assert (output, decoder.findings) == want
        assert decoder.body_len == oracle.body_end(text)[0]
