"""Files spelled out in texts: no finder raises, no member is longer than its room, and none is where none is told."""

from cext.spelled import spelled, spelled_scalar
from engine.scan.formats import FINDERS
from engine.scan.formats.html import RUN_LEN
from tests.engine.scan.formats.rooms import Room, fits
from tests.oracles.binhex import encode

SEEDS = [
    b"=ybegin part=1 total=2 line=4 size=8 name=a\n=ypart begin=1 end=4\nkkkk\n=yend size=4 part=1 pcrc32=0\n",
    b"begin-base64 644 a\nZGF0YQ==\n====\nbegin 644 b\n6J4VdQm-dQm-V65FZQrEUNaZgNG-+\n+\nend\n",
    encode(b"a.txt", b"data" * 9, b"resource"),
]


def one_input(data: bytes) -> None:
    told = spelled(data, 0, len(data), RUN_LEN)
    assert told == spelled_scalar(data, 0, len(data), RUN_LEN)
    for mark, finder in FINDERS:
        for item in finder(data, Room(500)):
            assert told & mark
            assert fits(item, 500)
