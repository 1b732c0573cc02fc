"""What lists of the settings are compiled to is made once for each list, however often it is asked for."""

from collections.abc import Callable
from functools import lru_cache
from typing import Final, TypeVar

Made = TypeVar("Made")

_KEPT: Final = 32  # lists of the settings in force and of those before: grants have one each


class _Same:
    """A tuple as itself: to hash or compare thousands of entries would cost more than to look one up."""

    __slots__ = ("entries",)

    def __init__(self, entries: tuple[str, ...]) -> None:
        self.entries = entries

    def __hash__(self) -> int:
        return id(self.entries)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.entries is self.entries


def once(make: Callable[[tuple[str, ...]], Made]) -> Callable[[tuple[str, ...]], Made]:
    """make, called once for each tuple; an equal one that is not the same counts as another."""
    made = lru_cache(maxsize=_KEPT)(lambda same: make(same.entries))
    return lambda entries: made(_Same(entries))
