"""The room that openers are given in tests, and what they yield, sorted out."""

import msgspec

from cext.span import Span
from engine.scan.formats.item import Gap, Item, Member, NotThis, Odd, Opener, Unread
from engine.scan.keyring import Keyring


class Room:
    """So many octets; counts how often time is asked for."""

    def __init__(self, octets: int = 1 << 26) -> None:
        self.octets = octets
        self.keyring = Keyring()
        self.looks = 0

    def room(self, window: int = 0) -> int:
        return self.octets

    def keep(self, octets: int) -> None:
        pass

    def check_time(self) -> None:
        self.looks += 1


def fits(item: Item, octets: int) -> bool:
    """Whether an opener kept to its room with what it made; what lies in the container is cut by the walk."""
    return not isinstance(item, Member) or isinstance(item.data, Span) or len(item.data) <= octets


def within(item: Item, octets: int) -> Item:
    """As the walk takes it: what lies in the container is cut there, not by its opener."""
    if isinstance(item, Member) and isinstance(item.data, Span):
        over = item.over or len(item.data) > octets
        return msgspec.structs.replace(item, data=item.data[:octets], over=over)
    return item


class Found:
    """All that an opener yields. refused: it is not of its format."""

    def __init__(self, opener: Opener, octets: bytes, room: Room | None = None) -> None:
        self.items: list[Item] = []
        self.refused = ""
        room = room or Room()
        try:
            self.items.extend(within(item, room.octets) for item in opener(octets, room))
        except NotThis as refusal:
            assert not self.items
            self.refused = str(refusal)

    @property
    def files(self) -> dict[str, Member]:
        return {one.name: one for one in self.items if isinstance(one, Member)}

    @property
    def odd(self) -> set[str]:
        return {one.kind for one in self.items if isinstance(one, Odd)}

    @property
    def gaps(self) -> list[tuple[str, str]]:
        return [(one.cause.value, one.detail) for one in self.items if isinstance(one, Gap)]

    @property
    def unread(self) -> list[Unread]:
        return [one for one in self.items if isinstance(one, Unread)]
