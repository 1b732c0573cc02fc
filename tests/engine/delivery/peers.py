"""Peers for delivery tests, on real loopback sockets: a scripted next hop; the DNS server is tests/dns_server.py."""

import asyncio
import datetime
import itertools
import ssl
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from engine.config import Delivery, MailListener, Route, Routing, Settings, Smtp
from engine.delivery.deliver import Deliverer
from engine.delivery.route import Router
from engine.diagnostics.recorder import Recorder
from engine.dns import Resolver
from engine.events import Event
from engine.queue.record import Received, Recipient, Result, Splice
from tests.dns_server import Names

FULL = ("PIPELINING", "SIZE 50000000", "8BITMIME", "SMTPUTF8", "CHUNKING", "DSN", "ENHANCEDSTATUSCODES")
Answer = bytes | None  # None: close; b"": say nothing any more
CONTENT = b"Subject: hello\r\n\r\nline\r\n.dot\r\n..dots\r\n"


class Taken:
    """A message that the next hop took."""

    def __init__(self, mail: str, recipients: list[str], content: bytes) -> None:
        self.mail = mail
        self.recipients = recipients
        self.content = content

    @property
    def body(self) -> bytes:
        """Without the Received field that was put before it."""
        assert self.content.startswith(b"Received: ")
        end = self.content.index(b"\r\n")
        while self.content[end + 2 : end + 3] in (b" ", b"\t"):
            end = self.content.index(b"\r\n", end + 2)
        return self.content[end + 2 :]


class Hop:
    """A next hop that does what it is told.

    answers: verb -> function of the argument; verbs as sent, CONTENT for what follows DATA, CHUNK for each BDAT,
    GREETING. What is not there is answered well.
    """

    def __init__(self, capabilities: Sequence[str] = FULL) -> None:
        self.capabilities = tuple(capabilities)
        self.answers: dict[str, Callable[[str], Answer]] = {}
        self.commands: list[str] = []
        self.taken: list[Taken] = []
        self.writes: list[int] = []  # octets of each arrival
        self.connections = 0
        self.standing: set[_Session] = set()
        self.context: ssl.SSLContext | None = None
        self.port = 0
        self._server: asyncio.Server | None = None

    async def start(self, port: int = 0, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> "Hop":
        """tls: from the first octet."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Session(self), host, port, ssl=tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self.drop()

    def drop(self) -> None:
        """Close all standing connections without a word."""
        for session in list(self.standing):
            session.transport.close()

    def said(self, verb: str) -> list[str]:
        return [command for command in self.commands if command.upper().startswith(verb)]

    def answer(self, verb: str, argument: str, good: bytes) -> Answer:
        answer = self.answers.get(verb)
        return good if answer is None else answer(argument)


class _Session(asyncio.Protocol):
    transport: asyncio.Transport

    def __init__(self, hop: Hop) -> None:
        self.hop = hop
        self.buffer = b""
        self.mail = ""
        self.recipients: list[str] = []
        self.content = b""
        self.in_data = False
        self.need = -1
        self.last = False
        self.mute = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.hop.connections += 1
        self.hop.standing.add(self)
        self.reply(self.hop.answer("GREETING", "", b"220 hop.example ESMTP\r\n"))

    def connection_lost(self, exc: Exception | None) -> None:
        self.hop.standing.discard(self)

    def reply(self, answer: Answer) -> None:
        if answer is None:
            self.transport.close()
        elif not answer:
            self.mute = True
        elif not self.mute:
            self.transport.write(answer)

    def data_received(self, data: bytes) -> None:
        self.hop.writes.append(len(data))
        self.buffer += data
        while not self.transport.is_closing() and self.step():
            pass

    def step(self) -> bool:
        """One command, chunk or end of data. Returns whether to go on."""
        if self.need >= 0:
            if len(self.buffer) < self.need:
                return False
            self.content += self.buffer[: self.need]
            self.buffer, self.need = self.buffer[self.need :], -1
            if not self.recipients:
                self.content = b""
                self.reply(self.hop.answer("CHUNK", "", b"503 5.5.1 no recipients\r\n"))
            else:
                self.finish("CHUNK") if self.last else self.reply(self.hop.answer("CHUNK", "", b"250 2.0.0 more\r\n"))
            return True
        if self.in_data:
            octets = b"\r\n" + self.buffer
            end = octets.find(b"\r\n.\r\n")
            if end < 0:
                return False
            self.content = octets[: end + 2].replace(b"\r\n..", b"\r\n.")[2:]
            self.buffer, self.in_data = octets[end + 5 :], False
            self.finish("CONTENT")
            return True
        line, found, rest = self.buffer.partition(b"\r\n")
        if not found:
            return False
        self.buffer = rest
        self.command(line.decode())
        return True

    def finish(self, verb: str) -> None:
        answer = self.hop.answer(verb, "", b"250 2.0.0 queued\r\n")
        if answer is not None and answer.startswith(b"2"):
            self.hop.taken.append(Taken(self.mail, self.recipients, self.content))
        self.mail, self.recipients, self.content = "", [], b""
        self.reply(answer)

    def command(self, line: str) -> None:
        hop = self.hop
        hop.commands.append(line)
        verb = line.split(" ")[0].upper()
        good = b"250 2.0.0 ok\r\n"
        if verb == "EHLO":
            lines = ["hop.example", *hop.capabilities]
            good = b"".join(
                f"250{'-' if i + 1 < len(lines) else ' '}{text}\r\n".encode() for i, text in enumerate(lines)
            )
        elif verb == "MAIL":
            self.recipients = []
        elif verb == "RCPT" and not self.mail:
            good = b"503 5.5.1 MAIL first\r\n"
        elif verb == "RSET":
            self.mail, self.recipients, self.content = "", [], b""
        elif verb == "DATA":
            good = b"354 go on\r\n" if self.recipients else b"503 5.5.1 no recipients\r\n"
        elif verb == "STARTTLS":
            good = b"220 2.0.0 go on\r\n"
        elif verb == "QUIT":
            good = b"221 2.0.0 bye\r\n"
        elif verb == "BDAT":
            self.need, self.last = int(line.split()[1]), line.upper().endswith("LAST")
            return
        answer = hop.answer(verb, line, good)
        self.reply(answer)
        done = answer is not None and answer[:1] in b"23" and answer != b""
        if verb == "MAIL":
            self.mail = line if done else ""
        elif verb == "RCPT" and self.mail and done:
            self.recipients.append(line)
        elif verb == "DATA" and answer is not None and answer.startswith(b"354"):
            self.in_data = True
        elif verb == "STARTTLS" and done and hop.context is not None:
            self.transport.pause_reading()
            self._upgrade = asyncio.get_running_loop().create_task(self.upgrade(hop.context))

    async def upgrade(self, context: ssl.SSLContext) -> None:
        try:
            transport = await asyncio.get_running_loop().start_tls(self.transport, self, context, server_side=True)
        except OSError:
            return
        if transport is not None:
            self.transport = transport


def self_signed() -> ssl.SSLContext:
    """A server context with a certificate that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hop.example")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "both.pem")
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.write_bytes(pem + certificate.public_bytes(serialization.Encoding.PEM))
        context.load_cert_chain(path)
    return context


class Mail:
    """A message as delivery sees it: the part of the queue's state that it needs."""

    def __init__(self, received: Received, content: bytes, splices: tuple[Splice, ...] = ()) -> None:
        self.id = received.id
        self.received = received
        self.content = content
        self.size = len(content)
        self.waits_since_ns = received.time_ns
        self.results: list[Result] = [Result.PENDING] * len(received.recipients)
        self.splices = splices
        self.authentication_results = ""

    def pieces(self, size: int = 256 * 1024) -> Iterator[bytes | memoryview]:
        out, at = b"", 0
        for splice in self.splices:
            out += self.content[at : splice.start] + splice.data
            at = splice.end
        out += self.content[at:]
        view = memoryview(out)
        for start in range(0, len(out), size):
            yield view[start : start + size]


_numbers = itertools.count(1)


def mail(
    *recipients: str | Recipient, content: bytes = CONTENT, sender: str = "from@example.org", **fields: Any
) -> Mail:
    fields.setdefault("helo", "client.example.org")
    received = Received(
        id=f"MAIL{next(_numbers):09d}",
        time_ns=time.time_ns(),
        connection_id="c",
        client="192.0.2.7",
        client_port=40000,
        protocol="ESMTP",
        tls="",
        reverse_path=sender,
        recipients=tuple(one if isinstance(one, Recipient) else Recipient(one) for one in recipients),
        **fields,
    )
    return Mail(received, content)


class Outbound:
    """A deliverer for tests, and the events it wrote."""

    def __init__(self, settings: Settings, resolver: Resolver | None = None, recorder: Recorder | None = None) -> None:
        self.events: list[Event] = []
        numbers = itertools.count(1)
        self.deliverer: Deliverer[Mail] = Deliverer(
            settings,
            Router(
                settings.routing,
                [settings.smtp.listen],
                "gw.example.net",
                settings.delivery.tls,
                connections=settings.delivery.connections,
                messages_per_minute=settings.delivery.messages_per_minute,
                exempt=settings.delivery.policy_exempt,
            ),
            resolver or Resolver(hosts_file=None),
            Mail.pieces,
            self.events.append,
            lambda: f"out{next(numbers):010}",
            hostname="gw.example.net",
            recorder=recorder,
        )

    def named(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def settings_for(port: int, *local: Route, max_outgoing: int = 30, **delivery: Any) -> Settings:
    """Everything to 127.0.0.1:port but what local says."""
    return Settings(
        smtp=Smtp(listen=MailListener("127.0.0.1", 2525), max_outgoing=max_outgoing),
        routing=Routing(default_host="127.0.0.1", default_port=port, local=local),
        delivery=Delivery(**delivery),
    )


async def until(condition: Callable[[], object]) -> None:
    """Wait for what another party does; bounded by `run`."""
    while not condition():
        await asyncio.sleep(0.001)


class Room:
    """The parties of one test; whatever happens, all of them are closed at its end."""

    def __init__(self) -> None:
        self._hops: list[Hop] = []
        self._names: list[Names] = []
        self._outbound: list[Outbound] = []
        self.cleanups: list[Callable[[], None]] = []

    async def hop(
        self,
        capabilities: Sequence[str] = FULL,
        port: int = 0,
        host: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
    ) -> Hop:
        hop = Hop(capabilities)
        self._hops.append(hop)
        return await hop.start(port, host, tls)

    async def names(self, zone: dict[tuple[str, str], list[str]]) -> Names:
        names = Names(zone)
        self._names.append(names)
        return await names.start()

    def outbound(
        self, settings: Settings, resolver: Resolver | None = None, recorder: Recorder | None = None
    ) -> Outbound:
        outbound = Outbound(settings, resolver, recorder)
        self._outbound.append(outbound)
        return outbound

    async def close(self) -> None:
        for outbound in self._outbound:
            await outbound.deliverer.close()
        for hop in self._hops:
            await hop.stop()
        for names in self._names:
            names.stop()
        for cleanup in self.cleanups:
            cleanup()
        await asyncio.sleep(0)  # transports tell their protocols on the next turn


def run(test: Callable[[Room], Awaitable[None]]) -> None:
    """Run a test on uvloop; the upper bound only ends what hangs."""

    async def bounded() -> None:
        room = Room()
        try:
            async with asyncio.timeout(30):
                await test(room)
        finally:
            await room.close()

    uvloop.run(bounded())
