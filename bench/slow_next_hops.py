"""`python -m bench.slow_next_hops`: how long mail to a good next hop takes while another one misbehaves.

A gateway with its usual limits (30 outgoing connections) gets a burst for each odd next hop, and from then on more for
it all the time. Beside that it gets mail for a good next hop at an even rate; what is shown is the time from its
MAIL FROM until the good next hop has it. Beside each stands the same without any odd one, measured just before.

    python -m bench.slow_next_hops --only "of 40"    # in portions
"""

import asyncio
import shutil
import socket
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import click
import msgspec
import uvloop
from rich.console import Console
from rich.table import Table

from bench.gateway.peers import Mailward
from bench.ports import free_port
from engine.config import Route, Settings, TlsPolicy

BURST = 200  # messages for each odd next hop before the measuring begins
ODD_RATE = 20.0  # a second, for the odd next hops together, while it is measured
ODD_OCTETS_S = 4e6  # of mail for them at most, burst and rate
LATE_S = 30.0  # what has not arrived so long after the last one was handed in counts with that
ENDLESS = 10 << 20

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter
Hop = Callable[[Reader, Writer], Awaitable[None]]


async def conversation(
    reader: Reader, writer: Writer, say: Callable[[bytes], Awaitable[None]], answers: dict[bytes, bytes]
) -> None:
    """An SMTP server as simple as can be. say: sends a reply. answers: other replies than 250, by verb; DOT at the end
    of the content; an empty one: the connection ends instead."""
    await say(b"220 hop.example ESMTP\r\n")
    while line := await reader.readline():
        verb = line[:4].upper().strip()
        ehlo = b"250-hop.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n"
        usual = {b"EHLO": ehlo, b"DATA": b"354 go on\r\n"}.get(verb, b"250 ok\r\n")
        answer = answers.get(verb, usual)
        if not answer:
            return
        await say(answer)
        if answer.startswith(b"354"):
            while (line := await reader.readline()) != b".\r\n":
                if not line:
                    return
            answer = answers.get(b"DOT", b"250 taken\r\n")
            if not answer:
                return
            await say(answer)


def answering(answers: dict[bytes, bytes], octet_s: float = 0.0) -> Hop:
    """octet_s: between the octets of every reply."""

    async def hop(reader: Reader, writer: Writer) -> None:
        async def say(reply: bytes) -> None:
            for piece in (bytes([one]) for one in reply) if octet_s else (reply,):
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(octet_s)

        await conversation(reader, writer, say, answers)

    return hop


async def silent(reader: Reader, writer: Writer) -> None:
    await reader.read(-1)


async def hangs_in_tls(reader: Reader, writer: Writer) -> None:
    writer.write(b"220 hop.example ESMTP\r\n")
    await reader.readline()
    writer.write(b"250-hop.example\r\n250 STARTTLS\r\n")
    await reader.readline()
    writer.write(b"220 go on\r\n")
    await reader.read(-1)


async def silent_after_the_dot(reader: Reader, writer: Writer) -> None:
    async def say(reply: bytes) -> None:
        if reply == b"250 taken\r\n":
            await asyncio.sleep(3600)
        writer.write(reply)

    await conversation(reader, writer, say, {})


async def reads_no_content(reader: Reader, writer: Writer) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    writer.write(b"220 hop.example ESMTP\r\n")
    while line := await reader.readline():
        writer.write(b"354 go on\r\n" if line.startswith(b"DATA") else b"250 ok\r\n")
        if line.startswith(b"DATA"):
            await asyncio.sleep(3600)


class Kind(NamedTuple):
    """hop: None: it listens, and its system answers no SYN. well: next hops beside them that behave, with as much mail
    for each. octets: of a message for any of them."""

    hop: Hop | None
    odd: int = 1
    well: int = 0
    octets: int = 1000


LONG = b"".join(b"250-%072d\r\n" % number for number in range(ENDLESS // 78)) + b"250 ok\r\n"
KINDS: dict[str, Kind] = {
    "one octet a second": Kind(answering({}, 1.0)),
    "closes after the content": Kind(answering({b"DOT": b""})),
    "4xx to everything": Kind(answering({b"RCPT": b"451 4.3.0 later\r\n"})),
    "a reply of 10 MB": Kind(answering({b"MAIL": LONG})),
    "says nothing": Kind(silent),
    "hangs in the TLS handshake": Kind(hangs_in_tls),
    "says nothing after the dot": Kind(silent_after_the_dot),
    "does not read the content": Kind(reads_no_content, octets=6 << 20),  # more than the buffers of a connection
    "answers no SYN": Kind(None),
    "12 of 40 say nothing": Kind(silent, 12, 28),
    "12 of 40 say nothing after the dot": Kind(silent_after_the_dot, 12, 28),
    "12 of 40 answer no SYN": Kind(None, 12, 28),
    "40 of 40 say nothing": Kind(silent, 40),
}


class Hops:
    """Next hops of this process, until they are closed."""

    def __init__(self) -> None:
        self._open: list[asyncio.Server | socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, hop: Hop) -> int:
        """Returns its port."""

        def begin(reader: Reader, writer: Writer) -> None:
            task = asyncio.get_running_loop().create_task(self._converse(hop, reader, writer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        port = free_port()
        self._open.append(await asyncio.start_server(begin, "127.0.0.1", port, backlog=500))
        return port

    @staticmethod
    async def _converse(hop: Hop, reader: Reader, writer: Writer) -> None:
        try:
            await hop(reader, writer)
        except ConnectionError:
            pass  # the gateway had enough of it
        finally:
            writer.transport.abort() if hop is reads_no_content else writer.close()

    def deaf(self) -> int:
        """A port whose queue of connections is full: the system drops each further SYN. Returns it."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=0)
        self._open.append(listener)
        for _ in range(3):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
            self._open.append(sock)
        return int(listener.getsockname()[1])

    async def close(self) -> None:
        for one in self._open:
            one.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class Good:
    """The good next hop: notes when each message came."""

    def __init__(self) -> None:
        self.arrived: dict[int, float] = {}

    async def __call__(self, reader: Reader, writer: Writer) -> None:
        writer.write(b"220 good.example ESMTP\r\n")
        number = -1
        while line := await reader.readline():
            verb = line[:4].upper()
            if verb == b"EHLO":
                writer.write(b"250-good.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
            elif verb == b"DATA":
                writer.write(b"354 go on\r\n")
                while (line := await reader.readline()) != b".\r\n":
                    if line.startswith(b"X-Number: "):
                        number = int(line[10:])
                self.arrived.setdefault(number, time.monotonic())
                writer.write(b"250 taken\r\n")
            else:
                writer.write(b"250 ok\r\n")


class Client:
    """Hands in mail on one connection."""

    async def connect(self, port: int) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", port)
        await self._reply()
        await self._ask(b"EHLO client.example")

    async def _reply(self) -> bytes:
        while (line := await self._reader.readline())[3:4] == b"-":
            pass
        return line

    async def _ask(self, line: bytes) -> bytes:
        self._writer.write(line + b"\r\n")
        return await self._reply()

    def close(self) -> None:
        self._writer.close()

    async def send(self, recipient: str, number: int, octets: int = 1000) -> None:
        lines = f"MAIL FROM:<a@client.example>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n".encode()
        self._writer.write(lines)
        for _ in range(3):
            await self._reply()
        head = b"From: a@client.example\r\nTo: b@bench.example\r\nSubject: number %d\r\nX-Number: %d\r\n\r\n"
        self._writer.write(head % (number, number) + b"A line of text.\r\n" * (octets // 17) + b".\r\n")
        answer = await self._reply()
        if not answer.startswith(b"250"):
            raise SystemExit(f"the gateway said {answer!r}")


class Figures(msgspec.Struct):
    times_ms: list[float]
    late: int

    def shown(self) -> list[str]:
        """p50, p99 and the longest."""
        ordered = sorted(self.times_ms)
        last = len(ordered) - 1
        return [f"{ordered[min(last, int(share * len(ordered)))]:.1f}" for share in (0.5, 0.99, 1.0)]


async def measure(work: Path, kind: Kind | None, count: int, rate: float) -> Figures:
    """kind: None for the same without."""
    good = Good()
    hops = Hops()
    good_port, port = await hops.serve(good), free_port()
    ports = []
    if kind is not None:
        ports += [await hops.serve(kind.hop) if kind.hop else hops.deaf() for _ in range(kind.odd)]
        ports += [await hops.serve(answering({})) for _ in range(kind.well)]
    routes = [Route(f"odd{number}.example", "127.0.0.1", odd) for number, odd in enumerate(ports)]
    usual = Settings()

    def change(settings: Settings) -> Settings:
        smtp = msgspec.structs.replace(
            settings.smtp, max_incoming=usual.smtp.max_incoming, max_outgoing=usual.smtp.max_outgoing
        )
        delivery = msgspec.structs.replace(usual.delivery, tls=TlsPolicy.OPPORTUNISTIC)
        routing = msgspec.structs.replace(settings.routing, local=(*routes, *settings.routing.local))
        return msgspec.structs.replace(settings, smtp=smtp, delivery=delivery, routing=routing)

    work.mkdir()
    peer = Mailward(work, port, good_port, scan=False, change=change)
    await asyncio.to_thread(peer.start)
    try:
        return await _under_load(port, good, kind, count, rate)
    finally:
        await asyncio.to_thread(peer.stop)
        await hops.close()
        shutil.rmtree(work)


async def _under_load(port: int, good: Good, kind: Kind | None, count: int, rate: float) -> Figures:
    clients = [Client() for _ in range(10)]  # both relays have some of them
    for client in clients:
        await client.connect(port)
    octets = kind.octets if kind else 0
    hops = kind.odd + kind.well if kind else 0

    async def burst(client: Client, numbers: range) -> None:
        for number in numbers:
            await client.send(f"b@odd{number % hops}.example", number, octets)

    odd_rate = min(ODD_RATE, ODD_OCTETS_S / octets) if octets else 0.0
    if hops:
        total = int(max(BURST, 10 * hops) * odd_rate / ODD_RATE)
        await asyncio.gather(*(burst(client, range(at, total, 4)) for at, client in enumerate(clients[:4])))
        await asyncio.sleep(3)
    begun = time.monotonic()
    sent: dict[int, float] = {}

    async def to_good(client: Client, at: int, step: int) -> None:
        for number in range(at, count, step):
            await asyncio.sleep(max(0.0, begun + number / rate - time.monotonic()))
            sent[number] = time.monotonic()
            await client.send("b@bench.example", number)

    async def to_odd(client: Client, at: int, step: int) -> None:
        for number in range(at, int(count / rate * odd_rate), step):
            await asyncio.sleep(max(0.0, begun + number / odd_rate - time.monotonic()))
            await client.send(f"b@odd{number % hops}.example", number, octets)

    await asyncio.gather(
        *(to_good(client, at, 4) for at, client in enumerate(clients[4:8])),
        *(to_odd(client, at, 2) for at, client in enumerate(clients[8:])),
    )
    end = time.monotonic() + LATE_S
    while len(good.arrived) < count and time.monotonic() < end:
        await asyncio.sleep(0.05)
    for client in clients:
        client.close()
    late = count - len(good.arrived)
    return Figures([(good.arrived.get(number, end) - at) * 1000 for number, at in sent.items()], late)


@click.command()
@click.option("--count", default=1000, show_default=True, help="Messages for the good next hop, in each case.")
@click.option("--rate", default=100.0, show_default=True, help="Of them a second.")
@click.option("--only", default="", help="Kinds whose name contains this.")
def main(count: int, rate: float, only: str) -> None:
    """Latency of mail to a good next hop beside each kind of bad one."""
    base = Path(tempfile.mkdtemp(prefix="mailward-bench-", dir="/var/tmp"))
    figures = ("p50", "p99", "max")
    heads = (*(f"{one} ms" for one in figures), *(f"{one} without" for one in figures), "not there after 30 s")
    table = Table("beside", *heads, box=None)
    for name, kind in KINDS.items():
        if only not in name:
            continue
        without = uvloop.run(measure(base / "gateway", None, count, rate))
        found = uvloop.run(measure(base / "gateway", kind, count, rate))
        row = [name, *found.shown(), *without.shown(), str(found.late)]
        table.add_row(*row)
        print(*row, sep="\t", flush=True)  # a long run may be interrupted
    Console(width=150).print(table)
    shutil.rmtree(base)


if __name__ == "__main__":
    main()
