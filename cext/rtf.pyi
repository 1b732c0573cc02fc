from typing import Final

from typing_extensions import Buffer

GROUPS: Final[int]
FLAT: Final[int]
ESCAPES: Final[int]
NO_BIN: Final[int]

def objects(data: Buffer, reading: int, room: int, most: int) -> tuple[list[tuple[int, bytes]], bool, bool]: ...
