"""`python -m bench.slow_next_hops`: how long mail to a good next hop takes while another one misbehaves.

A gateway with its usual limits (30 outgoing connections) gets a burst for each odd next hop, and from then on more for
it all the time. Beside that it gets mail for a good next hop at an even rate; what is shown is the time from its
MAIL FROM until the good next hop has it. "alone" is the same without any odd one.
"""

import asyncio
import contextlib
import shutil
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

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


async def reads_nothing(reader: Reader, writer: Writer) -> None:
    writer.write(b"220 hop.example ESMTP\r\n")
    await asyncio.sleep(3600)


def ended(hop: Hop) -> Hop:
    """Closes the connection in any case."""

    async def closing(reader: Reader, writer: Writer) -> None:
        with contextlib.suppress(ConnectionError):
            await hop(reader, writer)
        writer.close()

    return closing


LONG = b"".join(b"250-%072d\r\n" % number for number in range(ENDLESS // 78)) + b"250 ok\r\n"
ODD: dict[str, tuple[Hop, int]] = {
    "one octet a second": (answering({}, 1.0), 1),
    "closes after the content": (answering({b"DOT": b""}), 1),
    "4xx to everything": (answering({b"RCPT": b"451 4.3.0 later\r\n"}), 1),
    "a reply of 10 MB": (answering({b"MAIL": LONG}), 1),
    "says nothing": (silent, 1),
    "hangs in the TLS handshake": (hangs_in_tls, 1),
    "says nothing after the dot": (silent_after_the_dot, 1),
    "does not read": (reads_nothing, 1),
    "12 that say nothing": (silent, 12),
    "40 that say nothing": (silent, 40),
    "12 that say nothing after the dot": (silent_after_the_dot, 12),
}


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

    async def send(self, recipient: str, number: int) -> None:
        lines = f"MAIL FROM:<a@client.example>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n".encode()
        self._writer.write(lines)
        for _ in range(3):
            await self._reply()
        head = b"From: a@client.example\r\nTo: b@bench.example\r\nSubject: number %d\r\nX-Number: %d\r\n\r\n"
        self._writer.write(head % (number, number) + b"A line of text.\r\n" * 60 + b".\r\n")
        answer = await self._reply()
        if not answer.startswith(b"250"):
            raise SystemExit(f"the gateway said {answer!r}")


class Figures(msgspec.Struct):
    times_ms: list[float]
    late: int

    def quantile(self, share: float) -> float:
        ordered = sorted(self.times_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def measure(work: Path, odd: tuple[Hop, int] | None, count: int, rate: float) -> Figures:
    good = Good()
    good_port, port = free_port(), free_port()
    servers = [await asyncio.start_server(ended(good), "127.0.0.1", good_port, backlog=500)]
    routes = []
    for number in range(odd[1] if odd else 0):
        assert odd is not None
        odd_port = free_port()
        servers.append(await asyncio.start_server(ended(odd[0]), "127.0.0.1", odd_port, backlog=500))
        routes.append(Route(f"odd{number}.example", "127.0.0.1", odd_port))
    usual = Settings()

    def change(settings: Settings) -> Settings:
        smtp = msgspec.structs.replace(
            settings.smtp, max_incoming=usual.smtp.max_incoming, max_outgoing=usual.smtp.max_outgoing
        )
        delivery = msgspec.structs.replace(usual.delivery, tls=TlsPolicy.OPPORTUNISTIC)
        entries = (*routes, *settings.routing.local)
        routing = msgspec.structs.replace(settings.routing, local=entries)
        return msgspec.structs.replace(settings, smtp=smtp, delivery=delivery, routing=routing)

    peer = Mailward(work, port, good_port, scan=False, change=change)
    await asyncio.to_thread(peer.start)
    try:
        return await _under_load(port, good, len(routes), count, rate)
    finally:
        await asyncio.to_thread(peer.stop)
        for server in servers:
            server.close()


async def _under_load(port: int, good: Good, odd: int, count: int, rate: float) -> Figures:
    clients = [Client() for _ in range(10)]  # both relays have some of them
    for client in clients:
        await client.connect(port)

    async def burst(client: Client, numbers: range) -> None:
        for number in numbers:
            await client.send(f"b@odd{number % odd}.example", number)

    if odd:
        total = max(BURST, 10 * odd)
        await asyncio.gather(*(burst(client, range(at, total, 4)) for at, client in enumerate(clients[:4])))
        await asyncio.sleep(3)
    begun = time.monotonic()
    sent: dict[int, float] = {}

    async def steadily(client: Client, at: int, step: int, of: int, recipient: str, a_second: float) -> None:
        for number in range(at, of, step):
            await asyncio.sleep(max(0.0, begun + number / a_second - time.monotonic()))
            if recipient:
                sent[number] = time.monotonic()
            await client.send(recipient or f"b@odd{number % odd}.example", number)

    to_odd = int(count / rate * ODD_RATE) if odd else 0
    jobs = [steadily(client, at, 4, count, "b@bench.example", rate) for at, client in enumerate(clients[4:8])]
    jobs += [steadily(client, at, 2, to_odd, "", ODD_RATE) for at, client in enumerate(clients[8:])]
    await asyncio.gather(*jobs)
    end = time.monotonic() + LATE_S
    while len(good.arrived) < count and time.monotonic() < end:
        await asyncio.sleep(0.05)
    late = count - len(good.arrived)
    return Figures([(good.arrived.get(number, end) - at) * 1000 for number, at in sent.items()], late)


@click.command()
@click.option("--count", default=1000, show_default=True, help="Messages for the good next hop, in each case.")
@click.option("--rate", default=100.0, show_default=True, help="Of them a second.")
@click.option("--only", default="", help="Cases whose name contains this.")
def main(count: int, rate: float, only: str) -> None:
    """Latency of mail to a good next hop beside each kind of bad one."""
    base = Path(tempfile.mkdtemp(prefix="mailward-bench-", dir="/var/tmp"))
    table = Table("beside", "p50 ms", "p90 ms", "p99 ms", "max ms", "not there after 30 s", box=None)
    cases: dict[str, tuple[Hop, int] | None] = {"alone": None, **ODD, "alone again": None}
    for number, (name, odd) in enumerate(cases.items()):
        if only not in name:
            continue
        (place := base / str(number)).mkdir()
        found = uvloop.run(measure(place, odd, count, rate))
        figures = [f"{found.quantile(share):.1f}" for share in (0.5, 0.9, 0.99)]
        table.add_row(name, *figures, f"{max(found.times_ms):.1f}", str(found.late))
        print(name, *figures, found.late, f"mean {statistics.mean(found.times_ms):.1f}", flush=True)
    Console(width=150).print(table)
    shutil.rmtree(base)


if __name__ == "__main__":
    main()
