"""What openers yield, and what they may use. The contract is told in the package's own docstring."""

from collections.abc import Callable, Iterator
from typing import Protocol

import msgspec

from engine.scan.facts import Cause
from engine.scan.keyring import Keyring
from engine.scan.mapped import Octets


class NotThis(Exception):
    """The content is not of this format after all."""


class Room(Protocol):
    """What an opener may use: engine.scan.budget.Budget."""

    def room(self, window: int = 0) -> int:
        """Octets that the next member may yield; asked anew before each. window: so many of them are held twice."""

    def keep(self, octets: int) -> None:
        """So many octets stay in the opener's hands when it goes on, up to its end."""

    @property
    def keyring(self) -> Keyring:
        """Passwords that may be tried."""

    def check_time(self) -> None:
        """Call it in every loop whose length the content decides. Raises OutOfTime, which is passed on."""


class Entry(msgspec.Struct, frozen=True):
    """What a container says of a member; -1 where it does not. packed: octets in the container. position: as ClamAV
    counts in this format.
    """

    size: int = -1
    packed: int = -1
    position: int = -1


class Member(msgspec.Struct, frozen=True):
    """A file inside. over: data was cut at room(); complete: False if the rest is damaged and cannot be had.

    data: a Span of the container where it lies there as it is, of whatever length: it takes no room.
    stream: a part of a document rather than a file of its own: it is matched and opened like a file, but does not
    count as one for file-name rules. also: further names that a reader may save it under; they count for the rules.
    plain: too short or too arbitrary to be told by its first octets; it is matched and not opened.
    mime: data is a MIME entity, whatever it looks like. text, fork: of a file in BinHex, where it stands in the text
    that it was found in, from colon to colon, and whether this is its data (0) or resource fork (1).
    entry: what the container says of it. of: a document of this type consists of such as this, so that what
    signatures look for in one is looked for here as well. kind: its type, where whoever found it looked for that alone.
    """

    name: str
    data: Octets
    over: bool = False
    complete: bool = True
    stream: bool = False
    also: tuple[str, ...] = ()
    plain: bool = False
    mime: bool = False
    text: tuple[int, int] | None = None
    fork: int = 0
    entry: Entry | None = None
    of: str = ""
    kind: str = ""


class Unread(msgspec.Struct, frozen=True):
    """A file inside whose content cannot be had. size: as declared. entry: as of Member."""

    name: str
    size: int
    cause: Cause
    detail: str
    entry: Entry | None = None


class Odd(msgspec.Struct, frozen=True):
    """A finding about the container. severe: content may have been missed."""

    kind: str
    severe: bool = False


class Gap(msgspec.Struct, frozen=True):
    """A stretch of the container itself was not examined."""

    cause: Cause
    detail: str


class Opened(msgspec.Struct, frozen=True):
    """The container was encrypted, and a password from the message opened it."""


Item = Member | Unread | Odd | Gap | Opened
Opener = Callable[[Octets, Room], Iterator[Item]]
