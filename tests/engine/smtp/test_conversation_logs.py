"""Logs of inbound conversations over real sockets (DIAG-03..13)."""

import asyncio
import re
import socket
import ssl
import struct
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from engine.certificate import FILE_NAME, server_context
from engine.config import ConversationLog, DataStream, Diagnostics, ErrorClass, LogLevel
from engine.diagnostics.recorder import Recorder
from engine.diagnostics.room import Room
from engine.events import Disconnected, ProtocolViolation
from engine.ids import IdMaker
from engine.limits import CONVERSATION_HELD_LEN
from tests.engine.smtp.conftest import Run
from tests.engine.smtp.harness import ENVELOPE, HELLO, HOSTNAME, Peer, Running, running, settings

START_NS = 1_900_000_000 * 1_000_000_000
MESSAGE = b"Subject: between us\r\n\r\nline\r\n..dot\r\n"
CLASSES = list(ErrorClass)[1:]


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Contexts of server and client."""
    directory = tmp_path_factory.mktemp("tls")
    server = server_context(directory, HOSTNAME)
    return server, ssl.create_default_context(cafile=str(directory / FILE_NAME))


def inbound(level: LogLevel, errors: ErrorClass = ErrorClass.ALL, data: DataStream = DataStream.IGNORE) -> Diagnostics:
    return Diagnostics(inbound=ConversationLog(level, errors, data))


class Logs:
    """A server whose conversations are recorded."""

    def __init__(self, one: Running, room: Room) -> None:
        self.one = one
        self.directory = room.directory
        self.room = room

    def use(self, diagnostics: Diagnostics) -> None:
        assert self.one.server.recorder is not None
        self.one.server.recorder.apply(diagnostics)

    def files(self) -> list[Path]:
        return sorted(self.directory.glob("*"))

    async def of(self, count: int) -> list[str]:
        """The logs there are after so many connections have ended, without times."""
        await self.one.gate.wait_for(Disconnected, count)
        return [re.sub(r"(?m)^\d\d:\d\d:\d\d\.\d\d\d ", "", path.read_text()) for path in self.files()]

    async def talk(self, *segments: bytes) -> Peer:
        """Each segment when the one before is answered; then the connection is left to the caller."""
        peer = await self.one.greeted()
        for segment in segments:
            await peer.ask(segment)
        return peer


@asynccontextmanager
async def logged(tmp_path: Path, diagnostics: Diagnostics, max_mb: int = 16, **options: object) -> AsyncIterator[Logs]:
    async with running(**options) as one:  # type: ignore[arg-type]
        ids = IdMaker(0, lambda: START_NS)
        one.gate.next_connection_id = lambda: ids.next().lower()
        room = Room(tmp_path / "diag", 1, lambda id_: True, print)
        room.apply(max_mb)
        one.server.recorder = Recorder(room, diagnostics, lambda: START_NS)
        yield Logs(one, room)


def test_one_log_for_each_connection(run: Run, tmp_path: Path) -> None:
    """DIAG-03, DIAG-04, DIAG-10: of all traffic, with date, direction, connection ID and peer in the name."""

    async def main() -> None:
        async with logged(tmp_path, inbound(LogLevel.ALL)) as logs:
            for _ in range(2):
                peer = await logs.talk(b"MAIL FROM:<a@c.example>\r\n", b"QUIT\r\n")
                await peer.close()
            first, second = await logs.of(2)
            assert first.splitlines()[1:] == [
                "begun 2030-03-17T17:46:40.000000Z, level all, errors all, content: ignore",
                "S: 220 gate.example ESMTP", "C: EHLO c.example", "S: 250-gate.example", "S: 250-PIPELINING",
                "S: 250-SIZE 2146435072", "S: 250-8BITMIME", "S: 250-SMTPUTF8", "S: 250-ENHANCEDSTATUSCODES",
                "S: 250-CHUNKING", "S: 250-DSN", "S: 250 LIMITS RCPTMAX=1000",
                "C: MAIL FROM:<a@c.example>", "S: 250 2.1.0 sender ok", "C: QUIT",
                "S: 221 2.0.0 closing the connection", "-- closed by the server",
            ]  # fmt: skip
            assert second.splitlines()[2:] == first.splitlines()[2:]
            events = await logs.one.gate.wait_for(Disconnected, 2)
            assert [path.name for path in logs.files()] == [
                f"20300317T174640Z-inbound-{event.connection_id}-127.0.0.1.log"  # type: ignore[attr-defined]
                for event in events
            ]

    run(main())


def test_nothing_is_written_by_default(run: Run, tmp_path: Path) -> None:
    """DIAG-03: disabled until somebody asks for it; a change takes effect for new connections."""

    async def main() -> None:
        async with logged(tmp_path, Diagnostics()) as logs:
            before = await logs.talk(b"TURN\r\n")
            logs.use(inbound(LogLevel.ALL))
            after = await logs.talk(b"TURN\r\n")
            logs.use(Diagnostics())
            await before.ask(b"QUIT\r\n")
            await after.ask(b"QUIT\r\n")
            await before.close()
            await after.close()
            (log,) = await logs.of(2)
            assert log.count("C: TURN") == 1 and "C: QUIT" in log

    run(main())


async def err(logs: Logs, error: ErrorClass | None) -> None:
    """A connection in which an error of this class happens, or none."""
    peer = await logs.talk()
    if error is ErrorClass.COMMUNICATION:
        await peer.send(ENVELOPE + b"DATA\r\n")
        assert [(await peer.reply())[:3] for _ in range(3)] == ["250", "250", "354"]
        await peer.send(b"half a mess")
        sock: socket.socket = peer.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
        peer.writer.transport.abort()
        return
    command = {
        ErrorClass.PROTOCOL: b"RCPT TO:<b@local.example>\r\n",
        ErrorClass.UNSUPPORTED: b"TURN\r\n",
        ErrorClass.LOCAL: b"MAIL FROM:<a@c.example> SIZE=2000000\r\n",
        None: b"NOOP\r\n",
    }[error]
    await peer.ask(command)
    assert (await peer.ask(b"QUIT\r\n")).startswith("221")
    await peer.close()


@pytest.mark.parametrize("wanted", ErrorClass)
def test_a_log_is_kept_if_an_error_of_the_chosen_class_happened(run: Run, tmp_path: Path, wanted: ErrorClass) -> None:
    """DIAG-04, DIAG-05, DIAG-06, DIAG-07, DIAG-08, DIAG-13, SMTP-13, SIZE-04."""

    async def main() -> None:
        async with logged(tmp_path, inbound(LogLevel.ON_ERROR, wanted), settings_=settings(max_mb=1)) as logs:
            for error in (None, *CLASSES):
                await err(logs, error)
            kept = [re.findall("(?m)^!! (\\w+) error", log) for log in await logs.of(5)]
            expected = CLASSES if wanted is ErrorClass.ALL else [wanted]
            assert kept == [[error] for error in expected]

    run(main())


def test_unsupported_operations_are_answered_with_an_error(run: Run, tmp_path: Path) -> None:
    """SMTP-13, DIAG-13."""

    async def main() -> None:
        async with logged(tmp_path, inbound(LogLevel.ON_ERROR, ErrorClass.UNSUPPORTED)) as logs:
            verbs = [b"TURN", b"ETRN x", b"EXPN x", b"SEND FROM:<>", b"MAIL FROM:<> WHAT=1"]
            peer = await logs.talk(*(verb + b"\r\n" for verb in verbs), b"QUIT\r\n")
            await peer.close()
            (log,) = await logs.of(1)
            assert re.findall("(?m)^S: (50[02]|555) ", log) == ["502", "502", "502", "502", "555"]
            assert log.count("!! unsupported error") == 5

    run(main())


def test_a_client_that_leaves_too_early(run: Run, tmp_path: Path) -> None:
    """DIAG-06: in the middle of a command or a message, not where it has merely not said QUIT."""

    async def main() -> None:
        async with logged(tmp_path, inbound(LogLevel.ON_ERROR, ErrorClass.COMMUNICATION)) as logs:
            for number, segment in enumerate((b"", b"NOOP", b"MAIL FROM:<a@c.example>\r\n"), 1):
                peer = await logs.talk()
                if segment:
                    await peer.send(segment)
                if segment.endswith(b"\n"):
                    await peer.reply()
                await peer.close()
                await logs.one.gate.wait_for(Disconnected, number)
            words = "the connection ended before its time"
            half, inside = await logs.of(3)
            assert f"-- 4 octets that are no whole line\n!! communication error: {words}\n" in half
            assert f"!! communication error: {words}\n-- closed by the client\n" in inside

    run(main())


@pytest.mark.parametrize("way", ["DATA", "BDAT"])
@pytest.mark.parametrize("data", DataStream)
def test_content(run: Run, tmp_path: Path, data: DataStream, way: str) -> None:
    """DIAG-09: left out by default, counted, or shown as it came."""
    assert ConversationLog().data is DataStream.IGNORE

    async def main() -> None:
        async with logged(tmp_path, inbound(LogLevel.ALL, data=data)) as logs:
            peer = await logs.talk()
            if way == "DATA":
                await peer.send(ENVELOPE + b"DATA\r\n")
                assert [(await peer.reply())[:3] for _ in range(3)] == ["250", "250", "354"]
                await peer.send(MESSAGE + b".\r\n")
            else:
                await peer.send(ENVELOPE + b"BDAT %d LAST\r\n" % len(MESSAGE) + MESSAGE)
                assert [(await peer.reply())[:3] for _ in range(2)] == ["250", "250"]
            assert (await peer.reply()).startswith("250 ")
            await peer.ask(b"QUIT\r\n")
            await peer.close()
            (log,) = await logs.of(1)
            dot = way == "DATA"
            assert ("between us" in log) is (data is DataStream.ECHO)
            shown = ["Subject: between us", "", "line", "..dot", *(["."] if dot else [])]
            assert re.findall("(?m)^D: (.*)$", log) == (shown if data is DataStream.ECHO else [])
            count = f"-- data: {4 + dot} lines, {len(MESSAGE) + 3 * dot} octets\n"
            assert (count in log) is (data is not DataStream.IGNORE)
            assert f"C: {way}" in log

    run(main())


def test_unwanted_chunks_are_no_commands(run: Run, tmp_path: Path) -> None:
    """DIAG-09: the content of a BDAT that is refused."""

    async def main() -> None:
        async with logged(tmp_path, inbound(LogLevel.ALL, data=DataStream.SUMMARIZE)) as logs:
            peer = await logs.talk(b"BDAT 6 LAST\r\nQUIT\r\n", b"QUIT\r\n")
            await peer.close()
            (log,) = await logs.of(1)
            assert log.count("C: QUIT") == 1
            assert "C: BDAT 6 LAST\n-- data: 1 lines, 6 octets\nS: 503 " in log

    run(main())


def test_secrets_are_masked(run: Run, tmp_path: Path) -> None:
    """DIAG-12: in the log of the conversation, and in the journal."""
    secret = b"AGpvaG4Ac2VjcmV0"

    async def main() -> None:
        async with logged(tmp_path, inbound(LogLevel.ALL, data=DataStream.ECHO)) as logs:
            lines = [b"AUTH PLAIN " + secret, b"AUTH LOGIN", secret, b"auth " + secret, b"AUTH  PLAIN\t" + secret]
            peer = await logs.talk(*(line + b"\r\n" for line in lines), b"QUIT\r\n")
            await peer.close()
            (log,) = await logs.of(1)
            assert secret.decode() not in log
            assert log.count("****") == len(lines)
            violations = [event.violation for event in await logs.one.gate.wait_for(ProtocolViolation, len(lines))]  # type: ignore[attr-defined]
            assert not any(secret.decode() in words for words in violations)
            assert violations[0] == "502 command not supported, see HELP: AUTH PLAIN ****\\r\\n"

    run(main())


def test_tls_is_noted(run: Run, tmp_path: Path, tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async def main() -> None:
        async with logged(tmp_path, inbound(LogLevel.ALL), tls=tls[0]) as logs:
            peer = await logs.talk(b"STARTTLS\r\n")
            await peer.start_tls(tls[1])
            await peer.ask(HELLO)
            await peer.ask(b"QUIT\r\n")
            await peer.close()
            (log,) = await logs.of(1)
            assert "C: STARTTLS\nS: 220 2.0.0 ready to start TLS\n-- TLS begins: TLSv1.3 TLS_" in log
            assert log.count("C: EHLO") == 2

    run(main())


def test_a_handshake_that_fails(run: Run, tmp_path: Path, tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    """DIAG-06."""

    async def main() -> None:
        diagnostics = inbound(LogLevel.ON_ERROR, ErrorClass.COMMUNICATION)
        async with logged(tmp_path, diagnostics, tls=tls[0]) as logs:
            peer = await logs.talk(b"STARTTLS\r\n")
            await peer.send(b"this is no handshake\r\n")
            await peer.rest()
            await peer.close()
            (log,) = await logs.of(1)
            assert "!! communication error: TLS handshake failed" in log

    run(main())


def test_a_full_disk_costs_the_log_and_nothing_else(run: Run, tmp_path: Path) -> None:
    """DIAG-02: mail is taken as before."""

    async def main() -> None:
        async with logged(tmp_path, inbound(LogLevel.ALL)) as logs:
            (tmp_path / "diag").write_text("no directory")
            for _ in range(2):
                peer = await logs.talk(*([b"NOOP " + b"x" * 3000 + b"\r\n"] * 4))
                await peer.send(ENVELOPE + b"DATA\r\n")
                assert [(await peer.reply())[:3] for _ in range(3)] == ["250", "250", "354"]
                assert (await peer.ask(MESSAGE + b".\r\n")).startswith("250 ")
                await peer.close()
            await logs.one.gate.wait_for(Disconnected, 2)
            assert len(logs.one.gate.stored) == 2

    run(main())


def test_thousands_of_connections_stay_within_bounds(tmp_path: Path) -> None:
    """DIAG-02: in number and size of files, whatever the clients do."""

    async def main() -> None:
        async with logged(tmp_path, inbound(LogLevel.ON_ERROR), settings_=settings(max_incoming=100)) as logs:
            room = logs.room
            room.max_files, room.max_len = 200, 60_000
            work = iter(range(2000))

            async def client() -> None:
                for number in work:
                    peer = await logs.one.connect()
                    await peer.reply()
                    await peer.send(HELLO + b"TURN " + b"x" * (number % 7 * 100) + b"\r\nQUIT\r\n")
                    await peer.rest()
                    await peer.close()

            await asyncio.gather(*(client() for _ in range(20)))
            await logs.one.gate.wait_for(Disconnected, 2000)
            sizes = [path.stat().st_size for path in logs.files()]
            assert sum(sizes) == room.total_len <= room.max_len
            assert 50 < len(sizes) == len(room) <= room.max_files
            last = logs.one.gate.events[-1]
            assert isinstance(last, Disconnected)
            kept = [path.name for path in logs.files()]  # by their beginnings, in which twenty clients overlap
            assert any(last.connection_id in name for name in kept), "the newest are kept"

    asyncio.run(main())


def test_memory_of_open_connections_is_bounded(tmp_path: Path) -> None:
    """DIAG-02: what clients say waits in memory up to a bound for each; the rest is in its file."""

    async def main() -> None:
        async with logged(tmp_path, inbound(LogLevel.ON_ERROR), settings_=settings(max_incoming=100)) as logs:
            peers = [await logs.talk() for _ in range(50)]
            tracemalloc.start()
            try:
                for peer in peers:
                    for _ in range(8):
                        await peer.ask(b"NOOP " + b"x" * 3500 + b"\r\n")
                held, _ = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            assert held < len(peers) * CONVERSATION_HELD_LEN * 2, "of 28 KB that each of them has said"
            assert len(logs.files()) == len(peers)
            for peer in peers:
                await peer.ask(b"QUIT\r\n")
                await peer.close()
            assert await logs.of(len(peers)) == [], "no error happened, so none is kept"

    asyncio.run(main())
