from typing import Final

from typing_extensions import Buffer

VARIANT: Final[str]

def crc32c(data: Buffer, value: int = 0) -> int: ...
def crc32c_scalar(data: Buffer, value: int = 0) -> int: ...
