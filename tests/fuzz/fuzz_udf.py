"""UDF volumes: changes to descriptors of every kind."""

from engine.scan.formats import OPENERS
from tests.engine.scan.formats.rooms import Found, Room, fits
from tests.engine.scan.formats.udf_made import Udf

_FILES = {"a.txt": b"words " * 400, "d/ü.bin": bytes(range(256))}
_IMAGES = [
    (
        block,
        Udf(_FILES, block=block, form=form, pieces=pieces, metadata=metadata, extended=metadata, chained=chained).image,
    )
    for block, form, pieces, metadata, chained in (
        (512, "short", 3, False, True),
        (512, "long", 2, False, False),
        (2048, "embedded", 1, False, False),
        (512, "long", 1, True, False),
    )
]
SEEDS: list[bytes] = [bytes([number]) + b"\0\0\0\0" for number in range(len(_IMAGES))]


def one_input(data: bytes) -> None:
    if not data:
        return
    block, image = _IMAGES[data[0] % len(_IMAGES)]
    changed = bytearray(image)
    for at in range(1, min(len(data) - 4, 161), 5):  # (where, offset in two octets, two octets that are put there)
        begin = (80, 256, 300)[data[at] % 3] * block
        off = begin + int.from_bytes(data[at + 1 : at + 3], "big") % min(len(changed) - begin, 20 * block)
        changed[off : off + 2] = data[at + 3 : at + 5]
    for member in Found(OPENERS["udf"], bytes(changed), Room(1 << 14)).files.values():
        assert fits(member, 1 << 14)
