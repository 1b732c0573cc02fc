"""Folders of 7z archives: what packs the files that lie in one together."""

import lzma
from typing import Final, NamedTuple

import msgspec

_LZMA: Final = b"\x03\x01\x01"
_LZMA2: Final = b"\x21"
_PPMD: Final = b"\x03\x04\x01"
AES: Final = b"\x06\xf1\x07\x01"


class Coder(NamedTuple):
    method: bytes
    data: bytes = b""
    inputs: int = 1
    outputs: int = 1


class Folder(msgspec.Struct):
    """Inputs and outputs are numbered through, coder by coder. binds: (input, output). packed: inputs that have a
    packed stream each. sizes: of outputs. crc: of what it unpacks to; None: it has none.

    files: in it. checked: each of them has a checksum.
    """

    coders: tuple[Coder, ...]
    binds: tuple[tuple[int, int], ...] = ()
    packed: tuple[int, ...] = (0,)
    sizes: tuple[int, ...] = ()
    crc: int | None = None
    files: int = 1
    checked: bool = False

    @property
    def outputs(self) -> int:
        return sum(coder.outputs for coder in self.coders)

    @property
    def size(self) -> int:
        """Octets of its largest output."""
        return max(self.sizes, default=0)

    @property
    def encrypted(self) -> bool:
        return any(coder.method == AES for coder in self.coders)

    @property
    def memory(self) -> int:
        """Octets of the largest dictionary or model that its coders ask for."""
        return max((_memory(coder.method, coder.data) for coder in self.coders), default=0)


class Streams(msgspec.Struct):
    """pack_off: of the first packed stream, behind the signature header. packed: lengths of all packed streams.

    details: what says of the files in folders, as it is in the header.
    """

    pack_off: int = 0
    packed: list[int] = []
    folders: list[Folder] = []
    details: bytes = b""


def unpack(packed: bytes, folder: Folder, most: int) -> bytes | None:
    """Octets of a folder with a single LZMA or LZMA2 coder, as 7-Zip packs headers; None for others."""
    if len(folder.coders) != 1 or folder.size > most:
        return None
    method, data, _, _ = folder.coders[0]
    if method == b"\0" * len(method):
        return packed[: folder.size]
    filters: dict[str, int]
    if method == _LZMA and len(data) >= 5:
        lclp, pb = data[0] % 45, data[0] // 45
        filters = {"id": lzma.FILTER_LZMA1, "dict_size": max(4096, _memory(method, data))}
        filters |= {"lc": lclp % 9, "lp": lclp // 9, "pb": pb}
    elif method == _LZMA2 and data:
        filters = {"id": lzma.FILTER_LZMA2, "dict_size": max(4096, _memory(method, data))}
    else:
        return None
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[filters]).decompress(packed, folder.size)


def _memory(method: bytes, data: bytes) -> int:
    if method in (_LZMA, _PPMD) and len(data) >= 5:
        return int.from_bytes(data[1:5], "little")
    if method == _LZMA2 and data:
        return 0xFFFFFFFF if data[0] >= 40 else (2 | data[0] & 1) << (data[0] // 2 + 11)
    return 0
