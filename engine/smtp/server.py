"""The SMTP server of one relay: listening sockets, its connections, their admission, and the clean stop."""

import asyncio
import socket
import ssl
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from engine.config import Settings
from engine.diagnostics.recorder import Recorder
from engine.limits import PROXY_HEADERS
from engine.listening import MX, Kind
from engine.relay_rule import Address, HostList, plain_address
from engine.replies import Reply
from engine.smtp.admission import POLL_S, Admission, Place
from engine.smtp.arrival import Arrival
from engine.smtp.client_limits import ClientLimits
from engine.smtp.client_table import Clients
from engine.smtp.connection import Connection
from engine.smtp.gate import ClientInfo, Gate
from engine.smtp.tls import Unverified

BACKLOG: Final = 1024
LOOK_S: Final = 1.0
STOP_PATIENCE_S: Final = 10.0  # for a commit under way and for replies to be read


class SmtpServer:
    """Make it inside the event loop. tls: replace it when the certificate changes; None: STARTTLS is not offered.
    asking: the one for clients whose certificate matters; None: no client's does.

    clock: nanoseconds since 1970.
    """

    def __init__(
        self,
        gate: Gate,
        admission: Admission[Connection],
        tls: ssl.SSLContext | None,
        hostname: str,
        clients: Clients,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.gate = gate
        self.tls = tls
        self.asking: ssl.SSLContext | None = None
        self.recorder: Recorder | None = None  # of conversations with clients
        self.hostname = hostname
        self.clock = clock
        self.loop = asyncio.get_running_loop()
        self.connections: set[Connection] = set()
        self.expected: set[Arrival] = set()  # proxies whose header has not come yet
        self.stopping = False
        self._admission = admission
        self._listening: list[asyncio.Server] = []
        self._polling = False  # places that become free while places are given are seen by that round
        self._poll_timer: asyncio.TimerHandle | None = None
        self._all_gone = asyncio.Event()
        self._look_timer: asyncio.TimerHandle | None = None
        self.unverified = Unverified(clients, self.loop.time)
        self._limits: ClientLimits[Connection] = ClientLimits(gate.settings, clients)
        self._proxies: HostList | None = None
        self._xclient: HostList | None = None
        self._read(gate.settings)

    async def start(self, sock: socket.socket, kind: Kind = MX) -> asyncio.Server:
        """Listen on a bound socket, in addition to others. Closing the result ends that and no connection."""
        server = await self.loop.create_server(partial(self._arrives, kind), sock=sock, backlog=BACKLOG)
        self._listening.append(server)
        if self._look_timer is None:
            self._look()
        return server

    def apply(self, settings: Settings) -> None:
        """New settings: sessions ask the gate for theirs; our name counts for sessions to come."""
        self.hostname = settings.smtp.hostname or socket.gethostname()
        self._admission.settings = settings.smtp
        self._limits.apply(settings)
        self._read(settings)
        self._poll()

    async def shut_down(self, patience_s: float = STOP_PATIENCE_S) -> None:
        """No new connections; 421 4.3.2 to all after a commit that is under way. Returns when they are gone."""
        self.stopping = True
        for server in self._listening:
            server.close()
        for arrival in list(self.expected):
            arrival.abort()
        for connection in list(self.connections):
            connection.stop()
        if self.connections:
            try:
                await asyncio.wait_for(self._all_gone.wait(), patience_s)
            except TimeoutError:
                for connection in list(self.connections):
                    connection.abort()
        for timer in (self._poll_timer, self._look_timer):
            if timer is not None:
                timer.cancel()

    def tls_for(self, client: ClientInfo) -> ssl.SSLContext:
        """The context for a STARTTLS of this client."""
        assert self.tls is not None
        wanted = self.asking is not None and client.address not in self.unverified
        return self.asking if wanted and self.gate.wants_certificate(client) and self.asking else self.tls

    def _read(self, settings: Settings) -> None:
        smtp = settings.smtp
        self._proxies = HostList(smtp.proxies) if smtp.proxies else None
        self._xclient = HostList(smtp.xclient) if smtp.xclient else None

    def _arrives(self, kind: Kind) -> asyncio.Protocol:
        return Connection(self, kind) if self._proxies is None else Arrival(self, self._proxies, kind)

    # --- for connections -------------------------------------------------------------------------

    def refuse(self, connection: Connection, address: Address) -> Reply | None:
        """What to say to a connection of this client; None: it may have a place. Said again when it names another."""
        if self.stopping:
            return Reply.SHUTTING_DOWN
        self._limits.leave(connection)
        return self.gate.refuse_connection() or self._limits.enter(connection, address, self.loop.time())

    def greet_delay_s(self, client: ClientInfo) -> float:
        """How long a client has to be silent before it is greeted."""
        delay_ms = self.gate.settings.smtp.greet_delay_ms
        return delay_ms / 1000 if delay_ms and not self._limits.trusts(plain_address(client.address)) else 0.0

    def enter(self, connection: Connection) -> Place:
        place = self._admission.enter(connection, self.loop.time())
        if place is Place.WAITING and self._poll_timer is None:
            self._poll_timer = self.loop.call_later(POLL_S, self._poll)
        return place

    def may_name_clients(self, address: Address) -> bool:
        """Whether XCLIENT is for this host."""
        return self._xclient is not None and bool(self._xclient.holds(address, None))

    def expect(self, arrival: Arrival) -> bool:
        """Whether there is room to wait for its header."""
        if len(self.expected) >= PROXY_HEADERS:
            return False
        self.expected.add(arrival)
        return True

    def leave(self, connection: Connection) -> None:
        """It needs its place no more. May be told twice."""
        self._limits.leave(connection)
        self._admission.leave(connection)
        self._poll()

    def gone(self, connection: Connection) -> None:
        self.leave(connection)
        self.connections.discard(connection)
        if self.stopping and not self.connections:
            self._all_gone.set()

    def _look(self) -> None:
        """Once a second: while anybody waits for a place, those that have one have to make use of it."""
        self._look_timer = self.loop.call_later(LOOK_S, self._look)
        if self._admission.crowded:
            for connection in list(self.connections):
                connection.hurry()

    def _poll(self) -> None:
        if not self._admission.waiting or self.stopping or self._polling:
            return
        self._polling = True
        try:
            self._admission.poll(self.loop.time(), Connection.admitted, Connection.expired)
        finally:
            self._polling = False
        if self._poll_timer is not None:
            self._poll_timer.cancel()
            self._poll_timer = None
        if self._admission.waiting:
            self._poll_timer = self.loop.call_later(POLL_S, self._poll)
