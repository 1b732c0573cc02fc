"""A connection that may come through a proxy (setting smtp.proxies): read its header, then begin the SMTP connection.

    listed host      header (proxy_header.py), then a Connection whose client is the one that it names
    anybody else     a Connection at once: nothing that it sends is ever read as a header

The server makes an Arrival only while proxies are listed. A listed one must send its header, before anything else and
in time; if not, the connection is closed without a word, as there is nobody to whom one could be said.
"""

import asyncio
from typing import TYPE_CHECKING, Final, cast

from engine.limits import PROXY_HEADER_TIMEOUT_S
from engine.listening import Kind
from engine.relay_rule import HostList, plain_address
from engine.smtp.connection import Connection
from engine.smtp.gate import ClientInfo
from engine.smtp.proxy_header import BadHeader, read
from engine.smtp.reporter import Reporter

if TYPE_CHECKING:
    from engine.smtp.server import SmtpServer

_TOO_LATE: Final = "no PROXY header in time"
_TOO_MANY: Final = "too many connections of proxies without a PROXY header"


class Arrival(asyncio.Protocol):
    """Has the transport until it is known who the client is, and then hands it on with what came behind the header."""

    _transport: asyncio.Transport
    _peer: tuple[str, int]

    def __init__(self, server: "SmtpServer", proxies: HostList, kind: Kind) -> None:
        self._server = server
        self._kind = kind
        self._proxies = proxies
        self._octets = bytearray()
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's has no base class
        peer = transport.get_extra_info("peername")
        if not peer:  # gone before it was accepted
            self._transport.abort()
            return
        address = plain_address(peer[0])
        self._peer = str(address), peer[1]
        server = self._server
        if not self._proxies.holds(address, None):
            self._begin(Connection(server, self._kind))
        elif server.stopping:
            self._transport.abort()
        elif not server.expect(self):
            self._refuse(_TOO_MANY)
        else:
            self._timer = server.loop.call_later(PROXY_HEADER_TIMEOUT_S, self._refuse, _TOO_LATE)

    def data_received(self, data: bytes) -> None:
        if self._transport.is_closing():
            return
        self._octets += data
        try:
            header = read(self._octets)
        except BadHeader as error:
            self._refuse(str(error))
            return
        if header is None:
            return
        self._forget()
        client = header.client
        connection = Connection(self._server, self._kind, (*client, self._peer[0]) if client else None)
        self._begin(connection)
        behind = bytes(self._octets[header.length :])
        if behind:
            connection.data_received(behind)

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()

    def abort(self) -> None:
        """The service stops."""
        self._forget()
        self._transport.abort()

    def _begin(self, connection: Connection) -> None:
        self._transport.set_protocol(connection)
        connection.connection_made(self._transport)

    def _refuse(self, violation: str) -> None:
        gate = self._server.gate
        client = ClientInfo(*self._peer, gate.next_connection_id())
        reporter = Reporter(gate, client)
        reporter.connection("refused")
        reporter.violation(violation)
        reporter.disconnected("server")
        self.abort()

    def _forget(self) -> None:
        self._server.expected.discard(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
