from typing import Final

from typing_extensions import Buffer

VARIANT: Final[str]

def delimiters(data: Buffer, start: int, end: int, boundary: bytes, limit: int) -> list[tuple[int, int, bool]]: ...
def delimiters_scalar(
    data: Buffer, start: int, end: int, boundary: bytes, limit: int
) -> list[tuple[int, int, bool]]: ...
def delimiter_lines(
    data: Buffer, start: int, end: int, boundary: bytes, limit: int, prefix: bool = False
) -> tuple[list[tuple[int, int, bool]], int, bool]: ...
def header_end(data: Buffer, start: int, end: int) -> int: ...
def header_end_scalar(data: Buffer, start: int, end: int) -> int: ...

NUL: Final[int]
BARE_CR: Final[int]
NOT_FIELD: Final[int]
BLANK: Final[int]
TRUNCATED: Final[int]
HEADLESS: Final[int]
CONTENT_TYPE: Final[int]
TRANSFER_ENCODING: Final[int]
DISPOSITION: Final[int]
SUBJECT: Final[int]
FROM: Final[int]
AUTO_SUBMITTED: Final[int]
PRECEDENCE: Final[int]
SUPPRESS: Final[int]
LIST: Final[int]

def section(
    data: Buffer, start: int, end: int, octets: int, fields: int, whole: bool = False
) -> tuple[int, int, int, int, list[tuple[int, bytes]]]: ...
def trailing_blank(data: Buffer, start: int, end: int, wide: bool = True) -> bool: ...
