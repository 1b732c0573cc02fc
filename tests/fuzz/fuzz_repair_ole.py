"""Compound files while they are cleaned: octets, and changes to files that have something to be taken out."""

from engine.repair import ole
from tests.engine.repair.infected import package_file, storage
from tests.engine.scan.formats.compound import compound

_BOOK = b"\x09\x08\x10\0\0\x06\x05\0" + bytes(12) + b"\x85\0\x09\0" + bytes(5) + b"\1\1\0M"
SEEDS: list[bytes] = [
    storage(compound({"WordDocument": b"\xec\xa5\xc1\0" + bytes(400) + b"\x13DDE x\x15"}), "doc"),
    storage(compound({"Workbook": _BOOK}), "xls"),
    compound({"PowerPoint Document": b"\0\0\x11\x10" + len(package_file()).to_bytes(4, "little") + package_file()}),
]


def one_input(data: bytes) -> None:
    _cleaned(data)
    if len(data) < 5:
        return
    changed = bytearray(SEEDS[data[0] % len(SEEDS)])
    for at in range(1, min(len(data) - 4, 41), 4):  # (offset in two octets, two octets that are put there)
        off = int.from_bytes(data[at : at + 2], "big") % (len(changed) - 1)
        changed[off : off + 2] = data[at + 2 : at + 4]
    _cleaned(bytes(changed))


def _cleaned(data: bytes) -> None:
    done = ole.cleaned(data)
    assert done is None or (len(done.content) == len(data) and done.done)
