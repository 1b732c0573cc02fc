"""What the tests of the SMTP session and its edge share: a driver without I/O, a gate in memory, a raw client."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from engine.config import Acceptance, Blocking, Settings, Size, Smtp
from engine.events import Event
from engine.listening import MX, Kind
from engine.queue.record import Received
from engine.queue.state import MessageState
from engine.queue.store import Draft
from engine.replies import Reply
from engine.smtp.admission import Admission
from engine.smtp.auth import Credentials
from engine.smtp.connection import Connection
from engine.smtp.effect import Effect, Rejection
from engine.smtp.gate import ACCEPTED, Answer, ClientInfo
from engine.smtp.server import SmtpServer
from engine.smtp.session import Session
from engine.smtp.shared import SharedCounts
from engine.smtp.submission import SubmissionSession

UPPER_S = 60.0  # nothing here takes a hundredth of it
HOSTNAME = "gate.example"
REFUSED = "nobody@nowhere.invalid"
DENIED = Answer(Reply.RELAY_DENIED)
HELLO = b"EHLO c.example\r\n"
ENVELOPE = b"MAIL FROM:<a@c.example>\r\nRCPT TO:<b@local.example>\r\n"


def settings(max_mb: int = 0, **smtp: Any) -> Settings:
    """max_mb: SIZE-01; 0: off."""
    size = Size(enabled=True, max_mb=max_mb) if max_mb else Size()
    return Settings(smtp=Smtp(hostname=HOSTNAME, **smtp), blocking=Blocking(size=size))


@dataclass
class Outcome:
    """What became of one dialogue."""

    replies: list[str] = field(default_factory=list)
    messages: list[tuple[Received, bytes]] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    closed: bool = False

    @property
    def codes(self) -> list[int]:
        """One code for each reply, however many lines it has."""
        return [int(line[:3]) for line in self.replies if line[3:4] != "-"]


class Driver:
    """Drives a Session as the edge does, without sockets: one message queued for each COMMIT."""

    def __init__(
        self,
        settings_: Settings | None = None,
        *,
        tls_offered: bool = False,
        xclient: bool = False,
        refuse: Callable[[], Reply | None] = lambda: None,
        decide: Callable[[str], Answer] = lambda path: DENIED if path == REFUSED else ACCEPTED,
        begin: Reply | None = None,
        write: Reply | None = None,
        commit: Reply | None = None,
        client: Reply | None = None,
        auth: Callable[[Credentials], Reply | None] | None = None,
    ) -> None:
        """auth: a submission session, which asks this."""
        self.client = ClientInfo("192.0.2.1", 4242, "connection1")
        kind = SubmissionSession if auth else Session
        self.session = kind(self.client, settings_ or settings(), HOSTNAME, refuse, tls_offered, xclient)
        self._auth = auth
        self.outcome = Outcome()
        self.trace: list[Effect] = []
        self._decide, self._begin, self._write, self._commit = decide, begin, write, commit
        self._client = client
        self._draft: list[bytes] | None = None
        self._received: Received | None = None

    def feed(self, octets: bytes) -> None:
        """One read. Replies are gathered when the session wants more."""
        session, outcome = self.session, self.outcome
        if outcome.closed:
            return
        session.feed(octets)
        while (effect := session.next()) is not None:
            self._perform(effect)
        outcome.replies += session.take_replies().decode().splitlines()
        outcome.violations += session.violations
        outcome.rejections += session.rejections
        session.violations.clear()
        session.rejections.clear()

    def _perform(self, effect: Effect) -> None:
        session = self.session
        if effect is not Effect.CONTENT:
            self.trace.append(effect)
        if effect is Effect.RECIPIENT:
            session.answer_recipient(self._decide(session.recipient.address))
        elif effect is Effect.BEGIN:
            assert self._draft is None
            if self._begin is None:
                self._draft = []
            self._received = session.received(f"ID{len(self.outcome.messages) + 1}", 1)
            session.answer_begin(self._begin)
        elif effect is Effect.CONTENT:
            assert self._draft is not None
            if self._write is not None:
                self._draft = None
                session.content_failed(self._write)
            else:
                self._draft.append(session.content)
        elif effect is Effect.ABORT:
            self._draft = None
        elif effect is Effect.COMMIT:
            assert self._draft is not None and self._received is not None
            if self._commit is None:
                self.outcome.messages.append((self._received, b"".join(self._draft)))
            self._draft = None
            session.answer_commit(self._commit, self._received.id)
        elif effect is Effect.START_TLS:
            session.tls_started("TLSv1.3 TEST", ("relay.example",))
        elif effect is Effect.AUTH:
            assert isinstance(session, SubmissionSession) and self._auth is not None
            session.answer_auth(self._auth(session.credentials))
        elif effect is Effect.CLIENT:
            session.answer_client(self._client)
        elif effect is Effect.CLOSE:
            self._draft = None
            self.outcome.closed = True


def talk(*segments: bytes, **options: Any) -> Outcome:
    """The outcome of segments, each one read."""
    driver = Driver(**options)
    for segment in segments:
        driver.feed(segment)
    return driver.outcome


def each_octet(octets: bytes) -> Iterator[bytes]:
    return (octets[i : i + 1] for i in range(len(octets)))


def talk_in_turn(*groups: bytes, **options: Any) -> Outcome:
    """The outcome of groups that are sent each after the reply to the one before; the same however a group is cut.

    Groups must not have input behind a command that has to be the last of its group.
    """
    whole = talk(*groups, **options)
    octets = talk(*(octet for group in groups for octet in each_octet(group)), **options)
    assert octets == whole
    for cut in (2, 3, 7):
        pieces = [group[i : i + cut] for group in groups for i in range(0, len(group), cut)]
        assert talk(*pieces, **options) == whole
    return whole


class MemoryDraft:
    """A draft as the contract of the queue says, in memory. fail: raised by commit. gate: waits for it in commit."""

    def __init__(self, gate: "MemoryGate", received: Received) -> None:
        self._gate = gate
        self.received = received
        self.data: list[bytes] = []
        self.aborted = False

    def write(self, data: bytes) -> None:
        assert type(data) is bytes and not self.aborted
        if self._gate.fail_write is not None:
            raise self._gate.fail_write
        self.data.append(data)

    async def commit(self) -> MessageState:
        assert not self.aborted
        gate = self._gate
        gate.committing.set()
        await gate.may_commit.wait()
        if gate.fail_commit is not None:
            raise gate.fail_commit
        gate.stored.append((self.received, b"".join(self.data)))
        return cast(MessageState, SimpleNamespace(id=self.received.id, received=self.received))

    def abort(self) -> None:
        assert not self.aborted
        self.aborted = True


Decide = Callable[[str], Answer | Awaitable[Answer]]


class MemoryGate:
    """A Gate that keeps everything."""

    def __init__(self, settings_: Settings) -> None:
        self.settings = settings_
        self.decide: Decide = lambda path: DENIED if path == REFUSED else ACCEPTED
        self.sender: Callable[[], asyncio.Future[Answer] | None] = lambda: None
        self.wants_certificates = True
        self.full: asyncio.Future[None] | None = None
        self.refusal: Reply | None = None
        self.passwords = {"anna": "correct horse battery"}  # of submitters
        self.may_authenticate = asyncio.Event()
        self.may_authenticate.set()
        self.fail_begin: Exception | None = None
        self.fail_write: Exception | None = None
        self.fail_commit: Exception | None = None
        self.fail_accepted: Exception | None = None
        self.may_commit = asyncio.Event()
        self.may_commit.set()
        self.committing = asyncio.Event()
        self.stored: list[tuple[Received, bytes]] = []
        self.accepted_ids: list[str] = []
        self.drafts: list[MemoryDraft] = []
        self.events: list[Event] = []
        self._ids = 0
        self._happened = asyncio.Event()

    def refuse_connection(self) -> Reply | None:
        return self.refusal

    def mail(self, client: ClientInfo, reverse_path: str) -> asyncio.Future[Answer] | None:
        return self.sender()

    def rcpt(self, client: ClientInfo, reverse_path: str, forward_path: str) -> Answer | Awaitable[Answer]:
        return self.decide(forward_path)

    async def authenticate(self, client: ClientInfo, credentials: Credentials) -> Reply | None:
        await self.may_authenticate.wait()
        return None if self.passwords.get(credentials.name) == credentials.password else Reply.BAD_CREDENTIALS

    def wants_certificate(self, client: ClientInfo) -> bool:
        return self.wants_certificates

    def room(self) -> asyncio.Future[None] | None:
        return self.full

    def begin(self, received: Received) -> Draft:
        if self.fail_begin is not None:
            raise self.fail_begin
        self.drafts.append(MemoryDraft(self, received))
        return cast(Draft, self.drafts[-1])

    def offer(self, draft: Draft, accept: Acceptance, client: ClientInfo) -> None:
        """Nobody examines anything here: all goes by the queue."""

    def accepted(self, message: MessageState, client: ClientInfo) -> None:
        if self.fail_accepted is not None:
            raise self.fail_accepted
        self.accepted_ids.append(message.id)

    def event(self, event: Event) -> None:
        self.events.append(event)
        self._happened.set()

    async def wait_for(self, kind: type[Event], count: int = 1) -> list[Event]:
        """The events of a kind, as soon as there are so many."""
        async with asyncio.timeout(UPPER_S):
            while len(found := [event for event in self.events if isinstance(event, kind)]) < count:
                self._happened.clear()
                await self._happened.wait()
        return found

    def next_smtp_id(self) -> str:
        self._ids += 1
        return f"ID{self._ids}"

    def next_connection_id(self) -> str:
        self._ids += 1
        return f"connection{self._ids}"


class Peer:
    """A raw SMTP client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, octets: bytes) -> None:
        self.writer.write(octets)
        async with asyncio.timeout(UPPER_S):
            await self.writer.drain()

    async def reply(self) -> str:
        """The next reply, its lines joined. Empty at the end of the connection."""
        lines = []
        async with asyncio.timeout(UPPER_S):
            while True:
                line = (await self.reader.readline()).decode()
                lines.append(line)
                if line[3:4] != "-":
                    return "".join(lines)

    async def ask(self, octets: bytes) -> str:
        await self.send(octets)
        return await self.reply()

    async def rest(self) -> bytes:
        """All that comes until the server closes."""
        async with asyncio.timeout(UPPER_S):
            return await self.reader.read()

    async def start_tls(self, context: ssl.SSLContext) -> None:
        async with asyncio.timeout(UPPER_S):
            await self.writer.start_tls(context, server_hostname=HOSTNAME)

    async def close(self) -> None:
        self.writer.close()
        try:
            async with asyncio.timeout(UPPER_S):
                await self.writer.wait_closed()
        except OSError:
            pass  # the server was quicker


@dataclass
class Running:
    """A server on loopback and what it tells."""

    server: SmtpServer
    gate: MemoryGate
    port: int
    shared: SharedCounts
    peers: list[Peer] = field(default_factory=list)

    async def connect(self, limit: int = 1 << 20, receive_len: int = 0) -> Peer:
        """limit: octets that the client reads ahead; receive_len: of its socket buffer."""
        sock = socket.socket()
        if receive_len:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_len)
        sock.setblocking(False)
        async with asyncio.timeout(UPPER_S):
            try:
                await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.port))
            except OSError:
                sock.close()
                raise
            peer = Peer(*await asyncio.open_connection(sock=sock, limit=limit))
        self.peers.append(peer)
        return peer

    async def greeted(self, hello: bytes = HELLO) -> Peer:
        """A client past its EHLO."""
        peer = await self.connect()
        assert (await peer.reply()).startswith("220 ")
        assert (await peer.ask(hello)).startswith("250")
        return peer


def listener(send_len: int = 0) -> socket.socket:
    """send_len: of the socket buffers of its connections."""
    sock = socket.socket()
    if send_len:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_len)
    sock.bind(("127.0.0.1", 0))
    return sock


@asynccontextmanager
async def running(
    settings_: Settings | None = None, tls: ssl.SSLContext | None = None, send_len: int = 0, kind: Kind = MX
) -> Any:
    """A server that ends cleanly with the test, connections and all."""
    gate = MemoryGate(settings_ or settings())
    shared = SharedCounts.create(1)
    admission: Admission[Connection] = Admission(shared.slots, 0, gate.settings.smtp)
    server = SmtpServer(gate, admission, tls, HOSTNAME, shared.clients(0))
    sock = listener(send_len)
    port = sock.getsockname()[1]
    await server.start(sock, kind)
    one = Running(server, gate, port, shared)
    try:
        yield one
    finally:
        gate.may_commit.set()
        for peer in one.peers:
            await peer.close()
        await server.shut_down(UPPER_S)
        assert not server.connections
        assert shared.slots.open() == shared.slots.waiting() == 0
        shared.close()
