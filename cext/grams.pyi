from typing import Final

from typing_extensions import Buffer

BUCKETS: Final[int]
COLUMNS: Final[int]
ROW_LEN: Final[int]

def mark(text: Buffer, slab: bytearray, column: int) -> None: ...
def buckets(term: bytes) -> list[int]: ...
