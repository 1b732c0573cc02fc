"""One next hop as the pool sees it: its connections, who waits for one, and how many it may have.

Places for connections are few, and a next hop that hangs keeps each for minutes. So who gets one is decided by what is
known of the next hop. One that took a message is *proven*. One that is not, or that has not moved for STALL_S, begins
with FIRST_PLACES and gets one more with each message that it takes; and all that are not proven leave some places to
those that are. Nobody takes what is left to the last: the more places a next hop has, the more others must be free.
"""

import asyncio
from collections import deque
from typing import Final

from engine.delivery.connection import Connection
from engine.delivery.nexthop import NextHop
from engine.delivery.reply import Reply

FIRST_PLACES: Final = 1  # of a next hop that did not take a message yet: many that hang must leave some to new ones
STALL_S: Final = 5.0  # without any reply: who waits without a connection may have the place, and it counts as unproven
GIVEN_UP: Final = 0.0  # in place of the time since when it connects
GREED: Final = 2  # places of one next hop for each that nobody uses


class Lane:
    """open: connections that are idle, lent or being opened. window: as many as it may have, going by what it did.

    opening: tasks that connect, and since when.
    """

    __slots__ = (
        "connections",
        "down",
        "down_until",
        "hop",
        "idle",
        "limit",
        "limit_until",
        "open",
        "opening",
        "proven",
        "turn",
        "waiters",
        "window",
    )

    def __init__(self, hop: NextHop, *, proven: bool = False) -> None:
        self.hop = hop
        self.proven = proven
        self.window = FIRST_PLACES
        self.idle: list[Connection] = []
        self.connections: set[Connection] = set()
        self.opening: dict[asyncio.Task[Connection], float] = {}
        self.open = 0
        self.waiters: deque[asyncio.Future[Connection | None]] = deque()
        self.down: Reply | None = None
        self.down_until = 0.0
        self.limit = 0  # 0: no limit of its own
        self.limit_until = 0.0
        self.turn = 0.0  # when the next message may go, where the rate is limited

    def took(self) -> None:
        """A message, or at least it said what is wrong with it."""
        self.proven = True
        self.window += 1

    def doubted(self) -> None:
        """It failed, or does not move."""
        self.proven = False
        self.window = FIRST_PLACES

    def has_room(self, free: int, now: float) -> bool:
        """Whether one more may be opened. free: places of all that nobody uses."""
        if self.limit and self.limit_until > now:
            return self.open < self.limit
        return not self.open or self.open < min(self.window, GREED * free)

    def stalled(self, now: float) -> "list[tuple[float, asyncio.Task[Connection] | Connection]]":
        """What has not moved for STALL_S, with the time since when. Not what may have taken its message already."""
        found: list[tuple[float, asyncio.Task[Connection] | Connection]] = []
        found += [(since, task) for task, since in self.opening.items() if since and now - since >= STALL_S]
        for connection in self.connections:
            since = connection.waits_since
            if since and now - since >= STALL_S and not connection.session.content_ended:
                found.append((since, connection))
        return found

    def moves(self, now: float) -> bool:
        """Whether there is none that waits for it since STALL_S, whatever it may have taken."""
        busy = [one.waits_since for one in self.connections if one.waits_since] + list(self.opening.values())
        return all(now - since < STALL_S for since in busy)
