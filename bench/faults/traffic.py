"""Mail that accounts for itself: clients that remember every 250, and a next hop that remembers what it took.

The number of a message says what it is and what must become of it, so that after any fault each one can be looked for.
"""

import asyncio
import contextlib
import random
import re
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from cext.crc32c import crc32c

DOMAIN = "bench.example"
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-" + rb"ANTIVIRUS-TEST-FILE!$H+H*"
HELD_SUBJECT = "to be held"
LAG_S = 2.0  # the next hop may be so late in reading what was sent before a kill
LONG_S = 2.0  # from a 250 to its record: never so long
_NUMBER = re.compile(rb"^X-Bench: (\d+)\r$", re.MULTILINE)


class Fate(StrEnum):
    """Of one recipient, by the front of its address."""

    TAKEN = "taken"
    LATER = "later"  # the next hop has 451 for the first attempt
    REFUSED = "refused"  # 550: its sender is told
    HELD = "held"


# kind by number modulo its length: what it is, and its recipients
_KINDS: list[tuple[str, tuple[Fate, ...]]] = [
    *[("small", (Fate.TAKEN,))] * 6,
    *[("large", (Fate.TAKEN,))] * 2,
    *[("infected", (Fate.TAKEN,))] * 3,
    *[("small", (Fate.LATER,))] * 3,
    ("large", (Fate.LATER,)),
    ("small", (Fate.TAKEN, Fate.LATER)),
    ("small", (Fate.TAKEN, Fate.REFUSED)),
    ("small", (Fate.REFUSED,)),
    ("small", (Fate.HELD,)),
    ("infected", (Fate.LATER,)),
]


def kind_of(number: int) -> tuple[str, tuple[Fate, ...]]:
    return _KINDS[number % len(_KINDS)]


def addresses(number: int) -> list[str]:
    return [f"{fate}-{number}@{DOMAIN}" for fate in kind_of(number)[1]]


def content(number: int) -> bytes:
    """CRLF line ends, and a part that no other message has."""
    kind, fates = kind_of(number)
    dice = random.Random(number)
    subject = HELD_SUBJECT if Fate.HELD in fates else f"number {number}"
    head = f"X-Bench: {number}\r\nSubject: {subject}\r\nFrom: <sender@{DOMAIN}>\r\n".encode()
    lines = 2500 if kind == "large" else 20
    text = b"".join(b"Line %d of it says %d and no more.\r\n" % (n, dice.getrandbits(60)) for n in range(lines))
    if kind != "infected":
        return head + b"\r\n" + text
    return (
        head
        + b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\n'
        + text
        + b'\r\n--b\r\nContent-Type: application/octet-stream; name="a.com"\r\n\r\n'
        + EICAR
        + b"\r\n--b--\r\n"
    )


@dataclass
class Account:
    """What is the matter with a batch of messages. doubled: seconds between a 250 and the kill that followed it.
    unexplained: what was doubled, and no kill followed soon."""

    accepted: int = 0
    lost: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    infected: list[str] = field(default_factory=list)
    doubled: list[float] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)
    told_twice: int = 0

    @property
    def is_good(self) -> bool:
        return not (self.lost or self.changed or self.infected)


class Traffic:
    """In a thread of its own. accepted: so many got 250; unanswered: so many were sent and wait for their reply."""

    def __init__(self, gateway_port: int, port: int, clients: int) -> None:
        self._gateway_port = gateway_port
        self._port = port
        self._clients = clients
        self._lock = threading.Lock()
        self._number = 0
        self._accepted: list[tuple[int, float]] = []
        self._taken: dict[tuple[int, str], list[float]] = defaultdict(list)
        self._told: Counter[int] = Counter()
        self._wrong: list[str] = []
        self._infected: list[str] = []
        self._refused_once: set[str] = set()
        self._flowing = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.accepted = 0
        self.unanswered = 0
        self.answers: Counter[str] = Counter()

    def start(self) -> None:
        ready = threading.Event()
        self._thread.start()
        self._work = asyncio.run_coroutine_threadsafe(self._all(ready), self._loop)  # kept: loops hold tasks weakly
        ready.wait()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _all(self, ready: threading.Event) -> None:
        self._server = await asyncio.start_server(self._next_hop, "127.0.0.1", self._port, limit=1 << 20)
        ready.set()
        async with asyncio.TaskGroup() as group:
            self._tasks = [group.create_task(self._client()) for _ in range(self._clients)]

    def flow(self, on: bool) -> None:
        self._loop.call_soon_threadsafe(self._flowing.set if on else self._flowing.clear)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        self._server.close()
        for task in others:
            task.cancel()
        await asyncio.wait(others)

    # --- clients ---------------------------------------------------------------------------------------

    async def _client(self) -> None:
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, _Refused):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._gateway_port, limit=1 << 20)
                try:
                    await self._session(reader, writer)
                finally:
                    writer.close()
            await asyncio.sleep(0.02)

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._say(reader, writer, b"", "220")
        await self._say(reader, writer, b"EHLO client.example\r\n", "250")
        while True:
            await self._flowing.wait()
            self._number += 1
            number = self._number
            await self._say(reader, writer, f"MAIL FROM:<sender-{number}@{DOMAIN}>\r\n".encode(), "250")
            for address in addresses(number):
                await self._say(reader, writer, f"RCPT TO:<{address}>\r\n".encode(), "250")
            await self._say(reader, writer, b"DATA\r\n", "354")
            self.unanswered += 1
            try:
                await self._say(reader, writer, content(number) + b".\r\n", "250")
                with self._lock:
                    self._accepted.append((number, time.monotonic()))
                    self.accepted += 1
            finally:
                self.unanswered -= 1

    async def _say(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, words: bytes, code: str) -> None:
        writer.write(words)
        await writer.drain()
        line = b"   -"
        while line[3:4] == b"-":
            line = await reader.readuntil(b"\n")
        if line[:3].decode() != code:
            self.answers[line.decode("ascii", "replace").strip()] += 1
            raise _Refused

    # --- the next hop ----------------------------------------------------------------------------------

    async def _next_hop(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            writer.write(b"220 next.example\r\n")
            recipients: list[str] = []
            while (line := await reader.readuntil(b"\r\n")) != b"QUIT\r\n":
                verb = line[:4].upper()
                if verb == b"EHLO":
                    writer.write(b"250-next.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
                elif verb == b"RCPT":
                    writer.write(self._rcpt(line[9 : line.index(b">")].decode(), recipients))
                elif verb == b"DATA":
                    writer.write(b"354 go on\r\n" if recipients else b"503 no recipients\r\n")
                    if recipients:
                        body = (await reader.readuntil(b"\r\n.\r\n"))[:-3].replace(b"\r\n..", b"\r\n.")
                        writer.write(b"250 taken\r\n")
                        await writer.drain()
                        self._take(body, recipients)
                        recipients = []
                else:
                    recipients = recipients if verb != b"RSET" else []
                    writer.write(b"250 fine\r\n")
                if not reader._buffer:  # type: ignore[attr-defined]  # answers to what was pipelined go together
                    await writer.drain()
            writer.write(b"221 bye\r\n")
        writer.close()

    def _rcpt(self, address: str, recipients: list[str]) -> bytes:
        fate = address.partition("-")[0]
        if fate == Fate.REFUSED:
            return b"550 5.1.1 nobody of that name\r\n"
        if fate == Fate.LATER and address not in self._refused_once:
            self._refused_once.add(address)
            return b"451 4.2.1 later\r\n"
        recipients.append(address)
        return b"250 fine\r\n"

    def _take(self, body: bytes, recipients: list[str]) -> None:
        now = time.monotonic()
        found = _NUMBER.search(body)
        with self._lock:
            if found is None:
                self._wrong.append(f"something without a number for {recipients}")
                return
            number = int(found[1])
            if recipients[0].startswith("sender-"):
                self._told[number] += 1
                return
            if EICAR in body:
                self._infected.append(str(number))
            elif kind_of(number)[0] != "infected":
                sent = content(number)
                if crc32c(body[-len(sent) :]) != crc32c(sent):
                    self._wrong.append(str(number))
            for address in recipients:
                self._taken[number, address].append(now)

    # --- what became of it -------------------------------------------------------------------------------

    def numbers(self) -> list[int]:
        with self._lock:
            return [number for number, _ in self._accepted]

    def account(self, held: Counter[str], killed_s: Sequence[float]) -> Account:
        """Of all since the last one, with everything delivered that can be. held: reverse-paths in the hold queue.
        killed_s: when relays were killed."""
        with self._lock:
            result = Account(len(self._accepted), [], self._wrong, self._infected)
            for number, _ in self._accepted:
                for address in addresses(number):
                    result.lost += self._lost(number, address, held)
            for (_, address), times in self._taken.items():
                if address.startswith(Fate.HELD):
                    result.changed.append(f"{address} delivered though held")
                for first in times[:-1]:
                    gap = min((kill_s - first for kill_s in killed_s if kill_s > first - LAG_S), default=LONG_S)
                    result.doubled.append(gap)
                    if gap >= LONG_S:
                        result.unexplained.append(f"{address} ({gap:.3f} s)")
            result.told_twice = sum(times - 1 for times in self._told.values())
            self._accepted, self._wrong, self._infected = [], [], []
            self._taken.clear()
            self._told.clear()
        return result

    def _lost(self, number: int, address: str, held: Counter[str]) -> list[str]:
        match Fate(address.partition("-")[0]):
            case Fate.REFUSED:
                there = self._told[number]
            case Fate.HELD:
                there = held[f"sender-{number}@{DOMAIN}"]
            case _:
                there = len(self._taken[number, address])
        return [] if there else [address]


class _Refused(Exception):
    """Another reply than the one that goes on."""
