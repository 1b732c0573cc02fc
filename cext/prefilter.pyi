from array import array
from typing import Final

from typing_extensions import Buffer

BUCKET: Final[int]
MOST: Final[int]
REPEATING: Final[int]

class Costs:
    def __init__(self, octet: bytes, pair: bytes, common: bytes) -> None: ...
    def grams(self, literal: Buffer) -> list[int]: ...

def build(
    costs: Costs,
    blob: bytes,
    starts: array[int],
    numbers: array[int],
    gram: int,
    stride: int,
    filter_log2: int,
    phases_log2: int,
    slot_log2: int,
) -> tuple[bytearray, bytearray, bytearray, bytearray, float]: ...
