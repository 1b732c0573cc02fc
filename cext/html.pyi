from typing import Final

from typing_extensions import Buffer

VARIANT: Final[str]
DATA: Final[int]
BASE64: Final[int]
ATOB: Final[int]

def next_mark(data: Buffer, start: int) -> tuple[int, int] | None: ...
def next_mark_scalar(data: Buffer, start: int) -> tuple[int, int] | None: ...
def next_run(data: Buffer, start: int, least: int) -> tuple[int, int] | None: ...
