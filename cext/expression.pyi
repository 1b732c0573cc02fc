from typing import Final

LONGEST: Final[int]

class Expression:
    def __new__(cls, text: bytes, nocase: bool = False) -> Expression: ...
    def search(self, text: bytes) -> tuple[int, int] | None: ...
