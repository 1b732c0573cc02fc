from typing import Final

from typing_extensions import Buffer

VARIANT: Final[str]
YENC: Final[int]
BINHEX: Final[int]
BEGIN: Final[int]
HTML: Final[int]
OFFICE: Final[int]
OPENPGP: Final[int]

def spelled(data: Buffer, start: int, end: int, least: int) -> int: ...
def spelled_scalar(data: Buffer, start: int, end: int, least: int) -> int: ...
