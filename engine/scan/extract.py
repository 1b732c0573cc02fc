"""The original octets of infected files, out of the message as it was received, for the quarantine (QRN-12, AV-11).

The message is walked once more, in the sandbox like the first time, and each content that is asked for is handed out
on the way as it was decoded, however deep it lies and whatever format it lies in. What has no content of its own that
matched (a header section, the name of a member that cannot be read) is in what is around it: that is handed out then,
in the end the whole message.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from engine.config import Settings
from engine.scan.decode import span
from engine.scan.mapped import Octets
from engine.scan.matcher import Matcher
from engine.scan.node import ENTITY, Node
from engine.scan.outcome import Taken
from engine.scan.walk import Walker, usual_passwords

if TYPE_CHECKING:
    from typing_extensions import Buffer

MESSAGE_NAME: Final = "message.eml"


class Wanted(msgspec.Struct, frozen=True):
    """parts: paths of infected files. suspected: those in which only heuristics found something, which they may say
    when the walk is far behind them. room: octets of all together."""

    parts: Sequence[str]
    suspected: Sequence[str] = ()
    room: int = 0


Keep = Callable[[Taken, "Buffer"], None]


class Taker:
    """Sees every content when the walk is through with it, those inside before what is around them.

    keep: is given each, and must not keep the buffer.
    """

    def __init__(self, wanted: Wanted, keep: Keep) -> None:
        self._wanted = frozenset(wanted.parts)
        self._suspected = frozenset(wanted.suspected)
        self._lacking = set(wanted.parts)
        self._room = wanted.room
        self._keep = keep
        self._given: set[tuple[tuple[str, ...], bytes]] = set()
        self.too_large = 0  # contents that there was no room for

    def see(self, node: Node, buf: Octets, start: int, end: int) -> None:
        """buf[start:end] is the decoded content of node."""
        parts = [part for part in self._lacking if part != node.part and _is_around(node, part)]
        if node.part in self._wanted and (node.part in self._suspected or _is_infected(node)):
            parts.append(node.part)  # perhaps once more: a path need not be of one member only
        if parts:
            self._take(parts, node.name, node.type, span(buf, start, end))

    def again(self) -> None:
        """What was handed out is known, and not handed out twice."""

    def rest(self, message: bytes) -> None:
        """When the walk has ended."""
        if self._lacking:
            self._take(list(self._lacking), MESSAGE_NAME, "mail", message)

    def _take(self, parts: list[str], name: str, kind: str, octets: "Buffer") -> None:
        size = memoryview(octets).nbytes
        self._lacking.difference_update(parts)
        one = tuple(sorted(parts)), hashlib.sha256(octets).digest()
        if one in self._given:
            return
        self._given.add(one)
        if size > self._room:
            self.too_large += 1
            return
        self._room -= size
        self._keep(Taken(one[0], name, kind, size), octets)


def _is_infected(node: Node) -> bool:
    """What matched may be a part of the file, such as a macro of a document."""
    return any(inner.viruses for inner in node.everything())


def _is_around(node: Node, part: str) -> bool:
    """Whether the infected part lies in node."""
    at = len(node.part)
    if not part.startswith(node.part) or part[at : at + 1] not in (("/", ".") if node.role == ENTITY else ("/",)):
        return False
    return any(inner.part == part and inner.viruses for inner in node.everything())


def extract(
    data: "Buffer",
    image: Matcher,
    settings: Settings,
    wanted: Wanted,
    keep: Keep,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> int:
    """Hand out what these parts of a message are, or what they lie in. Returns how many contents there was no room for.

    Raises what `keep` raises, and nothing on content.
    """
    buf = data if isinstance(data, bytes) else bytes(data)
    taker = Taker(wanted, keep)
    encrypted = settings.blocking.encrypted
    Walker(
        image,
        settings.blocking.containers,
        end_to_end=encrypted.enabled and encrypted.end_to_end,
        passwords=usual_passwords(settings.antivirus),
        clock=clock,
    ).walk_message(buf, taker=taker)
    taker.rest(buf)
    return taker.too_large
