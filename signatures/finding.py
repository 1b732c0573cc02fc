"""Finding signatures by name in a compiled image, without taking it apart: also a million of them take no time."""

import bisect
import mmap
import re
import struct
from dataclasses import dataclass
from typing import Final

from signatures import image
from signatures.model import FAMILIES, SEVERITIES, Kind

_HEAD: Final = struct.Struct("<3I3Bx")  # name (place and length in STRINGS), target set, family, severity, kind


@dataclass(frozen=True, slots=True)
class Head:
    """What a signature is, without what it looks for."""

    name: str
    target: str
    family: str
    severity: str
    kind: str


def find_heads(octets: bytes | mmap.mmap, text: str, limit: int) -> list[Head]:
    """At most `limit` signatures of a checked image whose name holds the text, in any case, in the order of names.

    Looks through the names as they lie there, which takes a fraction of a second also where there are millions.
    """
    count = struct.unpack_from("<I", octets, 24)[0]
    table = struct.iter_unpack("<I4xQQ", octets[image.HEADER_LEN : image.HEADER_LEN + 24 * count])
    section = {kind: (offset, length) for kind, offset, length in table}
    strings, strings_len = section.get(image.STRINGS, (0, 0))
    heads, heads_len = section.get(image.SIGNATURES, (0, 0))
    masks_at, masks_len = section.get(image.TARGET_SETS, (0, 0))
    masks = [mask for (mask,) in struct.iter_unpack("<Q", octets[masks_at : masks_at + masks_len])]
    targets = _target_names(octets, strings, section.get(image.TARGET_NAMES, (0, 0)))
    wanted = re.compile(b"(?=" + re.escape(text.encode()) + b")", re.IGNORECASE)  # also those that overlap
    number, total, found = 0, heads_len // _HEAD.size, list[Head]()
    for match in wanted.finditer(octets, strings, strings + strings_len):
        at = match.start() - strings
        end = at + len(text.encode())
        number = _last_before(octets, heads, number, total, at)  # names lie in the order of the heads
        while number < total and len(found) < limit:
            place, length, target, family, severity, kind = _HEAD.unpack_from(octets, heads + number * _HEAD.size)
            if place > at:
                break
            if end <= place + length:
                name = octets[strings + place : strings + place + length].decode("utf-8", "replace")
                level = SEVERITIES[severity] if severity < len(SEVERITIES) else ""
                found.append(
                    Head(name, image.set_name(masks[target], targets), FAMILIES[family], level, Kind(kind).name.lower())
                )
            number += 1
        if len(found) == limit:
            break
    return found


def _target_names(octets: bytes | mmap.mmap, strings: int, names: tuple[int, int]) -> list[str]:
    pairs = struct.iter_unpack("<2I", octets[names[0] : names[0] + names[1]])
    return [octets[strings + at : strings + at + length].decode() for at, length in pairs]


def _last_before(octets: bytes | mmap.mmap, heads: int, low: int, high: int, at: int) -> int:
    """The first of the heads from `low` on whose name lies at the last place that is not behind `at`."""

    def place(number: int) -> int:
        return int(_HEAD.unpack_from(octets, heads + number * _HEAD.size)[0])

    numbers = range(low, high)
    behind = bisect.bisect_right(numbers, at, key=place)
    return low + bisect.bisect_left(numbers, place(low + behind - 1), key=place) if behind else low
