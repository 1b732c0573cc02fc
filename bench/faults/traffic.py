"""Mail that accounts for itself: clients that remember every 250, and a next hop that remembers what it took.

The number of a message says what it is and what must become of it, so that after any fault each one can be looked for.
"""

import asyncio
import contextlib
import itertools
import random
import re
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from bench.faults.doubles import Twice
from cext.crc32c import crc32c

DOMAIN = "bench.example"
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-" + rb"ANTIVIRUS-TEST-FILE!$H+H*"
HELD_SUBJECT = "to be held"
PACE_S = 0.1  # between two messages of a client: starts of processes need the processors, too
_NUMBER = re.compile(rb"^X-Bench: (\d+)\r$", re.MULTILINE)
_TOLD = re.compile(rb"^Original-Recipient: rfc822; ?o-(\S+)\r\n(?:.+\r\n)*?Action: (\w+)\r$", re.MULTILINE)


class Fate(StrEnum):
    """Of one recipient, by the front of its address."""

    TAKEN = "taken"
    LATER = "later"  # the next hop has 451 for the first attempt
    REFUSED = "refused"  # 550: its sender is told
    HELD = "held"
    DROPPED = "dropped"  # by a postmaster, as soon as there is one


# kind by number modulo its length: what it is, and its recipients
_KINDS: list[tuple[str, tuple[Fate, ...]]] = [
    *[("small", (Fate.TAKEN,))] * 5,
    ("small", (Fate.DROPPED,)),
    *[("large", (Fate.TAKEN,))] * 2,
    *[("infected", (Fate.TAKEN,))] * 3,
    *[("small", (Fate.LATER,))] * 3,
    ("large", (Fate.LATER,)),
    ("small", (Fate.TAKEN, Fate.LATER)),
    ("small", (Fate.TAKEN, Fate.REFUSED)),
    ("small", (Fate.REFUSED,)),
    ("small", (Fate.HELD,)),
    ("infected", (Fate.LATER,)),
] * 10 + [("huge", (Fate.TAKEN,))]
_LINES = {"large": 2500, "huge": 60_000}  # 2 MB: it is neither kept in memory nor sent to scanners, but mapped


def kind_of(number: int) -> tuple[str, tuple[Fate, ...]]:
    return _KINDS[number % len(_KINDS)]


def addresses(number: int) -> list[str]:
    return [f"{fate}-{number}@{DOMAIN}" for fate in kind_of(number)[1]]


class Wanted(StrEnum):
    """NOTIFY of RFC 3461, which the next hop does not know."""

    NOTHING_SAID = ""
    ALL = "SUCCESS,FAILURE"
    NEVER = "NEVER"


def wanted(number: int) -> Wanted:
    return {3: Wanted.ALL, 5: Wanted.NEVER}.get(number % 7, Wanted.NOTHING_SAID)


def commands(number: int) -> list[bytes]:
    """MAIL, and a RCPT for each recipient."""
    notify = wanted(number)
    ret = f" RET={'FULL' if number % 2 else 'HDRS'} ENVID=e-{number}" if notify else ""
    more = f" NOTIFY={notify}" if notify else ""
    rcpt = [f"RCPT TO:<{address}>{more} ORCPT=rfc822;o-{address}\r\n" for address in addresses(number)]
    return [one.encode() for one in (f"MAIL FROM:<{sender(number)}>{ret}\r\n", *rcpt)]


def notices(number: int) -> set[tuple[str, str]]:
    """What its sender shall be told: recipients, and what became of them."""
    notify, found = wanted(number), set()
    for address in addresses(number):
        if address.startswith(Fate.REFUSED) and notify is not Wanted.NEVER:
            found.add((address, "failed"))
        if address.startswith((Fate.TAKEN, Fate.LATER)) and notify is Wanted.ALL:
            found.add((address, "relayed"))
    return found


def sender(number: int) -> str:
    return f"sender-{number}@{DOMAIN}"


def content(number: int) -> bytes:
    """CRLF line ends, and a part that no other message has."""
    kind, fates = kind_of(number)
    dice = random.Random(number)
    subject = HELD_SUBJECT if {Fate.HELD, Fate.DROPPED} & {*fates} else f"number {number}"
    head = f"X-Bench: {number}\r\nSubject: {subject}\r\nFrom: <sender@{DOMAIN}>\r\n".encode()
    lines = (b"Line %d of it says %d and no more.\r\n" % (n, dice.getrandbits(60)) for n in range(20))
    text = b"".join(lines) * (_LINES.get(kind, 20) // 20)
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
    """What is the matter with a batch of messages. lost: with the time of their 250. failed: returned, though a next
    hop would have taken them. wrong: of what their senders were told. untold: senders who do not hear of success.
    held: by a fault, and so not lost, but a postmaster has to look at them.
    """

    accepted: int = 0
    lost: list[tuple[str, float]] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    infected: list[str] = field(default_factory=list)
    doubled: list[Twice] = field(default_factory=list)
    told_twice: int = 0
    failed: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    untold: list[tuple[str, float]] = field(default_factory=list)
    held: list[str] = field(default_factory=list)

    @property
    def faults(self) -> str:
        wrong = f"failed {self.failed}, wrong {self.wrong}"
        return f"lost {self.lost}, changed {self.changed}, infected {self.infected}, {wrong}"

    @property
    def is_good(self) -> bool:
        return not (self.lost or self.changed or self.infected or self.wrong)


class Traffic:
    """In a thread of its own. accepted: so many got 250; unanswered: so many were sent and wait for their reply."""

    def __init__(self, gateway_ports: Sequence[int], port: int, clients: int) -> None:
        """gateway_ports: clients take them by turns. port: of the next hop."""
        self._gateway_ports = gateway_ports
        self._port = port
        self._clients = clients
        self._lock = threading.Lock()
        self._number = 0
        self._accepted: list[tuple[int, float]] = []
        self._taken: dict[tuple[int, str], list[float]] = defaultdict(list)
        self._told: Counter[tuple[str, str]] = Counter()  # recipients, and what senders were told of them
        self._wrong: list[str] = []
        self._unclear: list[str] = []  # notices
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
        self._server = await asyncio.start_server(self._next_hop, "127.0.0.1", self._port, limit=1 << 23)
        ready.set()
        async with asyncio.TaskGroup() as group:
            self._tasks = [group.create_task(self._client(number)) for number in range(self._clients)]

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

    async def _client(self, number: int) -> None:
        port = self._gateway_ports[number % len(self._gateway_ports)]
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, _Refused):
                reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
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
            for command in commands(number):
                await self._say(reader, writer, command, "250")
            await self._say(reader, writer, b"DATA\r\n", "354")
            self.unanswered += 1
            try:
                await self._say(reader, writer, content(number) + b".\r\n", "250")
                with self._lock:
                    self._accepted.append((number, time.monotonic()))
                    self.accepted += 1
            finally:
                self.unanswered -= 1
            await asyncio.sleep(PACE_S)

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
                        now_s = time.monotonic()
                        writer.write(b"250 taken\r\n")
                        await writer.drain()
                        self._take(body, recipients, now_s)
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

    def _take(self, body: bytes, recipients: list[str], now_s: float) -> None:
        found = _NUMBER.search(body)
        with self._lock:
            if found is None:
                self._wrong.append(f"something without a number for {recipients}")
                return
            number = int(found[1])
            if recipients[0].startswith("sender-"):
                told = [(address.decode(), action.decode()) for address, action in _TOLD.findall(body)]
                self._told.update(told)
                envid = b"Original-Envelope-Id: e-%d\r\n" % number
                if not told or (wanted(number) and envid not in body):
                    self._unclear.append(f"{recipients[0]}: {body[-2000:]!r}")
                return
            if EICAR in body:
                self._infected.append(str(number))
            elif kind_of(number)[0] != "infected":
                sent = content(number)
                if crc32c(body[-len(sent) :]) != crc32c(sent):
                    self._wrong.append(str(number))
            for address in recipients:
                self._taken[number, address].append(now_s)

    # --- what became of it -------------------------------------------------------------------------------

    def held(self) -> set[str]:
        """Reverse-paths of what was sent to be held."""
        kinds = ((number, kind_of(number)[1]) for number in range(1, self._number + 1))
        return {sender(number) for number, fates in kinds if {Fate.HELD, Fate.DROPPED} & {*fates}}

    def account(self, held: Collection[str]) -> Account:
        """Of all since the last one, with everything delivered that can be. held: reverse-paths in the hold queue."""
        with self._lock:
            result = Account(len(self._accepted), [], self._wrong, self._infected, wrong=self._unclear)
            for number, accepted_s in self._accepted:
                for address in addresses(number):
                    result.lost += self._lost(number, address, held, accepted_s)
                for one in notices(number):
                    if not self._told[one]:
                        of_success = one[1] == "relayed"
                        (result.untold if of_success else result.lost).append((f"notice: {one}", accepted_s))
            for (_, address), times in self._taken.items():
                if address.startswith((Fate.HELD, Fate.DROPPED)):
                    result.changed.append(f"{address} delivered though held")
                result.doubled += [Twice(address, *pair) for pair in itertools.pairwise(times)]
            for told, count in self._told.items():
                address, action = told
                number = int(address.partition("@")[0].rpartition("-")[2])
                if action == "failed" and not address.startswith(Fate.REFUSED):
                    result.failed.append(address)
                elif told not in notices(number):
                    result.wrong.append(f"{action}: {address}")
                result.told_twice += max(count - 1, 0)
            self._accepted, self._wrong, self._infected, self._unclear = [], [], [], []
            self._taken.clear()
            self._told.clear()
        return result

    def _lost(self, number: int, address: str, held: Collection[str], accepted_s: float) -> list[tuple[str, float]]:
        match Fate(address.partition("-")[0]):
            case Fate.REFUSED | Fate.DROPPED:  # of the one tells its notice, of the other nothing
                is_there = True
            case Fate.HELD:
                is_there = sender(number) in held
            case _:
                is_there = bool(self._taken[number, address])
        return [] if is_there else [(address, accepted_s)]


class _Refused(Exception):
    """Another reply than the one that goes on."""
