"""Looking single SHA-256 digests and names up in a compiled image, without taking it apart.

For definitions of a million signatures: a digest takes some twenty steps, a name as many.
"""

import bisect
import mmap
import struct
from typing import Final

from signatures import image

_DIGEST: Final = struct.Struct("<32sQII")  # digest, size, kind, program
_HEAD: Final = struct.Struct("<2I")  # place and length of the name
_OP: Final = struct.Struct("<BBHI")
_SHA256: Final = image.DIGEST_KINDS["sha256"]


class Lookup:
    """Over a checked image, which stays open as long as this is used."""

    def __init__(self, octets: bytes | mmap.mmap) -> None:
        self._octets = octets
        count = struct.unpack_from("<I", octets, 24)[0]
        table = struct.iter_unpack("<I4xQQ", octets[image.HEADER_LEN : image.HEADER_LEN + 24 * count])
        section = {kind: (offset, length) for kind, offset, length in table}
        self._digests, length = section.get(image.DIGESTS, (0, 0))
        self._count = length // _DIGEST.size
        self._programs, _ = section.get(image.PROGRAMS, (0, 0))
        self._heads, length = section.get(image.SIGNATURES, (0, 0))
        self._head_count = length // 16
        self._strings, _ = section.get(image.STRINGS, (0, 0))
        self._first = bisect.bisect_left(range(self._count), _SHA256, key=self._kind)  # they lie by kind, then digest

    def _kind(self, number: int) -> int:
        return int(_DIGEST.unpack_from(self._octets, self._digests + number * _DIGEST.size)[2])

    def _digest(self, number: int) -> bytes:
        return bytes(_DIGEST.unpack_from(self._octets, self._digests + number * _DIGEST.size)[0])

    def _name(self, number: int) -> str:
        at, length = _HEAD.unpack_from(self._octets, self._heads + number * 16)
        octets = bytes(self._octets[self._strings + at : self._strings + at + length])
        return octets.decode("utf-8", "replace")

    def names_of(self, sha256: str, size: int) -> tuple[str, ...]:
        """Signatures that name a file of this digest and size, whatever its type."""
        wanted = bytes.fromhex(sha256)
        number = bisect.bisect_left(range(self._count), wanted, self._first, self._count, key=self._digest)
        found: dict[str, None] = {}
        while number < self._count:
            digest, of_size, _, program = _DIGEST.unpack_from(self._octets, self._digests + number * _DIGEST.size)
            if digest != wanted:
                break
            if of_size in (image.ANY_SIZE, size):
                found |= dict.fromkeys(self._reported(program))
            number += 1
        return tuple(found)

    def _reported(self, program: int) -> list[str]:
        names: list[str] = []
        while True:
            op, _, _, value = _OP.unpack_from(self._octets, self._programs + program * _OP.size)
            if op == image.OP_END:
                return names
            if op == image.OP_REPORT:
                names.append(self._name(value))
            program += 1

    def has_name(self, name: str) -> bool:
        """Whether a signature is called so: they lie in the order of their names."""
        numbers = range(self._head_count)
        place = bisect.bisect_left(numbers, name, key=self._name)
        return bool(place < self._head_count and self._name(place) == name)

    @property
    def has_digests(self) -> bool:
        return bool(self._first < self._count)
