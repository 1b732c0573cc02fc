from typing import Final

from typing_extensions import Buffer

VARIANT: Final[str]
ZIP: Final[int]
SEVEN_ZIP: Final[int]
RAR: Final[int]
CAB: Final[int]
LHA: Final[int]
GZIP: Final[int]
BZIP2: Final[int]
XZ: Final[int]
ALL: Final[int]

def find_mark(data: Buffer, start: int, wanted: int) -> int: ...
def find_mark_scalar(data: Buffer, start: int, wanted: int) -> int: ...
