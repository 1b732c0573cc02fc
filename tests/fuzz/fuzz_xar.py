"""xar archives: whole ones, tables, and heaps."""

from engine.scan.formats import xar
from tests.engine.scan.formats.rooms import Found, Room, fits
from tests.engine.scan.formats.xar_made import STYLES, data, wrapped
from tests.engine.scan.formats.xar_made import xar as packed

_FILES = {"a.txt": b"words " * 40, "d/b.bin": bytes(range(256))}
_TABLE = "".join(f"<file><name>a</name>{data(0, 1 << 16, 5, style)}</file>" for style in STYLES)
SEEDS: list[bytes] = [
    *(packed(_FILES, style) for style in STYLES),
    f"<xar><toc>{_TABLE}</toc></xar>".encode(),
    *(pack(b"words" * 9) for pack in STYLES.values()),
]


def one_input(octets: bytes) -> None:
    table = f"<xar><toc>{_TABLE}</toc></xar>".encode()
    for buf in (octets, wrapped(octets, b"heap" * 9), wrapped(table, octets)):
        for member in Found(xar.members, buf, Room(1 << 12)).files.values():
            assert fits(member, 1 << 12)
