"""yEnc: any cut and every variant give what the oracle says. The first octet chooses the cut."""

from cext.yenc import VARIANTS, YEncDecoder, body_end, decode_as
from tests.oracles import yenc as oracle

SEEDS = [
    b"\x05=ybegin line=128 size=3 name=a.txt\r\nkkk\r\n=yend size=3 crc32=0\r\n",
    b"\x01=ybegin part=1 total=2 line=4 size=8 name=a\n=ypart begin=1 end=4\nkkkk\n=yend size=4 part=1\n"
    b"=ybegin part=2 total=2 line=4 size=8 name=a\n=ypart begin=5 end=8\n..==}=J\n=yend size=4 part=2 pcrc32=1\n",
]


def one_input(data: bytes) -> None:
    step, text = (data[0] if data else 0) + 1, data[1:]
    for dots in (False, True):
        want = oracle.decode(text, dots)
        assert body_end(text, 0, len(text)) == oracle.body_end(text)
        for variant in VARIANTS:
            assert decode_as(text, variant, dots=dots) == want
        for scalar in (False, True):
            decoder = YEncDecoder(dots=dots, scalar=scalar)
            output = b"".join(decoder.feed(text[at : at + step]) for at in range(0, len(text), step)) + decoder.finish()
            assert (output, decoder.findings, decoder.body_len) == (*want, oracle.body_end(text))
