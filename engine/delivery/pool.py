"""Connections kept for the next message: bounded in all (SMTP-05), shared by everything for one next hop.

A connection is idle in its lane, or lent to one transaction. When none is idle and no more may be opened, tasks wait
in their lane, first come first served, and a connection that is given back goes to the next one without being
idle. A lane that waits without any connection of its own goes before lanes that have some, and gets the place of what
does not move. What a lane may have is in lane.py.

A next hop that cannot be reached is not asked again by each waiting message: all of them fail with its reason, and so
do new ones for some seconds. If some connections to it stand, it only wants no more of them: the lane goes on with
those.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import Final

from engine import limits
from engine.config import Settings
from engine.delivery.connection import Connection
from engine.delivery.connector import ConnectFailed, Connector
from engine.delivery.lane import GIVEN_UP, Lane
from engine.delivery.nexthop import Exchange, NextHop
from engine.delivery.reply import Reply, no_turn, own_words
from engine.events import ConnectedTo, Event

LOOK_S: Final = 1.0
_STALLED: Final = own_words("4.4.2", "no answer for some seconds, and mail to others waited for the connection")


class Pool:
    """All outgoing connections of one relay. relays: how many share the limits of a next hop."""

    def __init__(
        self, settings: Settings, connector: Connector, event: Callable[[Event], None], relays: int = 1
    ) -> None:
        self._relays = relays
        self._connector = connector
        self._event = event
        self._lanes: dict[NextHop, Lane] = {}
        self._waiting: dict[Lane, None] = {}  # lanes with waiters, the longest waiting first
        self._proven: dict[NextHop, None] = {}  # the last that took mail, also without a connection now
        self._open = 0
        self._looking: asyncio.TimerHandle | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False
        self.apply(settings)

    def apply(self, settings: Settings) -> None:
        """Settings for what comes; connections above a lower maximum end as they are given back."""
        self._max = settings.smtp.max_outgoing
        # What did not take mail yet leaves some: hosts that hang must not stop mail to all others (PROC-06).
        self._unproven_max = max(1, self._max - max(1, self._max // 4))
        self._max_idle = settings.delivery.cached_connections
        self._idle_s = float(settings.delivery.cache_idle_s)
        self._down_s = min(limits.NEXT_HOP_DOWN_S, settings.delivery.retry_first_s / 2)
        self._connector.apply(settings.delivery)
        self._wake()

    @property
    def open(self) -> int:
        """Connections that stand or are being opened."""
        return self._open

    def take(self, hop: NextHop) -> Connection | None:
        """An idle connection, if there is one: the fast path, without a task switch."""
        lane = self._lanes.get(hop)
        while lane is not None and lane.idle:
            connection = lane.idle.pop()  # the last used: the others may go idle to their end
            if connection.usable:
                self._reused(connection)
                return connection
        return None

    async def acquire(
        self, hop: NextHop, *, fresh: bool = False, without: Collection[Exchange] = (), domain: str = ""
    ) -> Connection:
        """A connection; give it back by `release`. Waits while the maximum is reached.

        fresh: a new one, and those idle are dropped, because one of them turned out dead. without: hosts that
        will not do; the connection is a new one. domain: see Connector.open. Raises ConnectFailed.
        """
        lane = self._lane(hop)
        if fresh:
            for idle in list(lane.idle):
                idle.quit()
                self._forget(idle)
        while True:
            # again after each try: one may have become idle while nobody waited for it
            if not without and (connection := self.take(hop)) is not None:
                return connection
            loop = asyncio.get_running_loop()
            if self._closed:
                raise ConnectFailed(own_words("4.3.2", "the gateway is stopping"))
            if lane.down is not None and lane.down_until > loop.time() and not without:
                raise ConnectFailed(lane.down)
            if self._may_open(lane, loop.time()):
                self._reserve(lane)
            else:
                handed = await self._wait(lane)
                if handed is not None:
                    if handed.usable and not without:
                        self._reused(handed)
                        return handed
                    self.release(handed)
                    continue
            try:
                return await self._open_reserved(lane, without, domain)
            except ConnectFailed:
                if without or not lane.open:
                    raise
                # it takes no more than stand, or the others being opened will fail as well: wait for those

    async def turn(self, hop: NextHop) -> None:
        """Wait until one more message may go to a next hop with messages_per_minute, first come first served.

        Raises ConnectFailed with a reply that `is_no_turn`, if that takes longer than limits.TURN_S.
        """
        rate = hop.messages_per_minute
        lane = self._lane(hop)
        now = asyncio.get_running_loop().time()
        wait_s = max(0.0, lane.turn - now)
        if wait_s > limits.TURN_S:
            raise ConnectFailed(no_turn(f"{hop} gets at most {rate} messages a minute (messages_per_minute)"))
        lane.turn = max(lane.turn, now) + 60.0 * self._relays / rate
        if wait_s:
            await asyncio.sleep(wait_s)

    def release(self, connection: Connection) -> None:
        """Give a connection back, whatever its state."""
        lane = self._lanes.get(connection_hop(connection))
        if lane is None or connection not in lane.connections:
            return
        if not connection.usable or self._closed or self._open > self._max:
            connection.quit()
            self._forget(connection)
            return
        self._took(lane)
        if self._waiting:
            handed = self._hand_over(lane, connection)
            self._wake()  # it may have more now
            if handed:
                return
        if len(lane.idle) >= self._max_idle:
            connection.quit()
            self._forget(connection)
            return
        connection.idle_since = asyncio.get_running_loop().time()
        lane.idle.append(connection)
        if self._sweeper is None:
            self._sweep_later()

    async def close(self) -> None:
        """End all connections. Waiting tasks get ConnectFailed."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        if self._looking is not None:
            self._looking.cancel()
        for lane in list(self._lanes.values()):
            self._fail_waiters(lane, own_words("4.3.2", "the gateway is stopping"))
            for connection in list(lane.connections):
                connection.quit()
                self._forget(connection)

    def _reused(self, connection: Connection) -> None:
        self._event(
            ConnectedTo(
                result="ok",
                server=connection.server,
                connection_id=connection.connection_id,
                kind="Cached",
                tls=connection.tls,
            )
        )

    # --- slots --------------------------------------------------------------------------------------

    def _may_open(self, lane: Lane, now: float) -> bool:
        """Whether there is a place for it, made at the cost of an idle connection elsewhere if need be."""
        return self._has_room(lane, now) and (self._open < self._max or self._end_an_idle_one())

    def _lane(self, hop: NextHop) -> Lane:
        lane = self._lanes.get(hop)
        if lane is None:
            lane = self._lanes[hop] = Lane(hop, proven=hop in self._proven)
        return lane

    def _has_room(self, lane: Lane, now: float) -> bool:
        if lane.open and lane.open >= (lane.hop.connections // self._relays or 1) and lane.hop.connections:
            return False
        idle = sum(len(one.idle) for one in self._lanes.values())
        if not lane.has_room(self._max - self._open + idle, now):
            return False
        return lane.proven or sum(one.open for one in self._lanes.values() if not one.proven) < self._unproven_max

    def _took(self, lane: Lane) -> None:
        lane.took()
        if lane.hop not in self._proven:
            self._proven[lane.hop] = None
            if len(self._proven) > limits.BACKOFF_ENTRIES:
                del self._proven[next(iter(self._proven))]

    def _doubt(self, lane: Lane) -> None:
        lane.doubted()
        self._proven.pop(lane.hop, None)

    def _reserve(self, lane: Lane) -> None:
        lane.open += 1
        self._open += 1

    def _unreserve(self, lane: Lane) -> None:
        lane.open -= 1
        self._open -= 1
        self._wake()

    def _end_an_idle_one(self) -> bool:
        """Make room: the connection that has been idle longest ends. Returns whether there was one."""
        oldest: Connection | None = None
        for lane in self._lanes.values():
            if lane.idle and (oldest is None or lane.idle[0].idle_since < oldest.idle_since):
                oldest = lane.idle[0]
        if oldest is None:
            return False
        oldest.quit()
        self._forget(oldest, wake=False)
        return True

    async def _open_reserved(self, lane: Lane, without: Collection[Exchange], domain: str) -> Connection:
        loop = asyncio.get_running_loop()
        opening = loop.create_task(self._connector.open(lane.hop, without, domain))
        lane.opening[opening] = loop.time()
        try:
            connection = await self._opened(lane, opening)
        except ConnectFailed as error:
            lane.open -= 1
            self._open -= 1
            if not without:
                self._failed(lane, error.reply)
            self._wake()
            raise
        except BaseException:
            self._unreserve(lane)
            raise
        finally:
            del lane.opening[opening]
        lane.down = None
        lane.connections.add(connection)
        connection.hop = lane.hop
        connection.on_lost = self._forget
        return connection

    @staticmethod
    async def _opened(lane: Lane, opening: "asyncio.Task[Connection]") -> Connection:
        try:
            return await opening
        except asyncio.CancelledError:
            if lane.opening[opening]:
                raise
            raise ConnectFailed(_STALLED) from None

    def _failed(self, lane: Lane, reply: Reply) -> None:
        now = asyncio.get_running_loop().time()
        if lane.open:
            lane.limit, lane.limit_until = lane.open, now + limits.NEXT_HOP_DOWN_S
            return
        self._doubt(lane)
        lane.down, lane.down_until = reply, now + self._down_s
        self._fail_waiters(lane, reply)
        if self._sweeper is None:
            self._sweep_later()

    # --- waiting ------------------------------------------------------------------------------------

    async def _wait(self, lane: Lane) -> Connection | None:
        """A connection that was handed over, or None: a place was reserved for a new one. Raises ConnectFailed."""
        waiter: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        lane.waiters.append(waiter)
        self._waiting.setdefault(lane)
        if not lane.open:
            self._look_later()
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                handed = waiter.result()
                if handed is not None:
                    self.release(handed)
                else:
                    self._unreserve(lane)
            elif waiter in lane.waiters:
                lane.waiters.remove(waiter)
                if not lane.waiters:
                    self._waiting.pop(lane, None)
            raise

    def _next_waiter(self, lane: Lane) -> asyncio.Future[Connection | None] | None:
        while lane.waiters:
            waiter = lane.waiters.popleft()
            if not lane.waiters:
                self._waiting.pop(lane, None)
            if not waiter.done():
                return waiter
        self._waiting.pop(lane, None)
        return None

    def _hand_over(self, lane: Lane, connection: Connection) -> bool:
        """To the next waiter of its lane; or it ends in favour of a lane that has none. Returns whether it went."""
        starving = self._starving(asyncio.get_running_loop().time()) if self._open >= self._max else None
        if starving is not None:
            connection.quit()
            self._forget(connection)
            return True
        waiter = self._next_waiter(lane)
        if waiter is None:
            return False
        waiter.set_result(connection)
        return True

    def _starving(self, now: float) -> Lane | None:
        """A lane that waits without any connection and may have one; those that are proven before others."""
        lanes = [lane for lane in self._waiting if not lane.open]
        lanes.sort(key=lambda lane: not lane.proven)
        return next((lane for lane in lanes if self._has_room(lane, now)), None)

    def _wake(self) -> None:
        """Places became free: reserve them for those who wait, lanes without a connection first."""
        now = asyncio.get_running_loop().time() if self._waiting else 0.0
        while self._waiting and not self._closed:
            lane = self._starving(now) or next((one for one in self._waiting if self._has_room(one, now)), None)
            if lane is None or not self._may_open(lane, now):
                return
            waiter = self._next_waiter(lane)
            if waiter is not None:
                self._reserve(lane)
                waiter.set_result(None)

    def _look_later(self) -> None:
        if self._looking is None and not self._closed:
            self._looking = asyncio.get_running_loop().call_later(LOOK_S, self._look)

    def _look(self) -> None:
        """What has not moved for long makes room for lanes that wait without a connection."""
        self._looking = None
        now = asyncio.get_running_loop().time()
        starving = sum(not lane.open for lane in self._waiting)
        if not starving:
            return
        found = [(since, lane, one) for lane in self._lanes.values() for since, one in lane.stalled(now)]
        found.sort(key=lambda entry: (-entry[1].open, entry[0]))
        for lane in self._lanes.values():
            if lane.open and not lane.moves(now):
                self._doubt(lane)
        for _, lane, one in found[:starving]:
            if isinstance(one, Connection):
                one.abort(_STALLED)
            else:
                lane.opening[one] = GIVEN_UP
                one.cancel()
        self._look_later()

    def _fail_waiters(self, lane: Lane, reply: Reply) -> None:
        while (waiter := self._next_waiter(lane)) is not None:
            waiter.set_exception(ConnectFailed(reply))

    # --- ends ---------------------------------------------------------------------------------------

    def _forget(self, connection: Connection, wake: bool = True) -> None:
        """A connection ended, by us or by the other side; called once or twice for each."""
        lane = self._lanes.get(connection_hop(connection))
        if lane is None or connection not in lane.connections:
            return
        lane.connections.discard(connection)
        if connection in lane.idle:
            lane.idle.remove(connection)
        lane.open -= 1
        self._open -= 1
        if wake:
            self._wake()

    def _sweep_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweeper = loop.call_later(max(0.25, self._idle_s / 4), self._sweep)

    def _sweep(self) -> None:
        """End what was idle too long, forget lanes without connections."""
        self._sweeper = None
        now = asyncio.get_running_loop().time()
        for hop, lane in list(self._lanes.items()):
            for connection in [one for one in lane.idle if now - one.idle_since >= self._idle_s]:
                connection.quit()
                self._forget(connection)
            if not lane.open and not lane.waiters and lane.down_until <= now and lane.turn <= now:
                del self._lanes[hop]
        if any(lane.idle or max(lane.down_until, lane.turn) > now for lane in self._lanes.values()):
            self._sweep_later()


def connection_hop(connection: Connection) -> NextHop:
    """The lane of a connection, set when it was opened."""
    assert connection.hop is not None
    return connection.hop
