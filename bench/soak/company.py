"""What a gateway meets beside plain mail: TLS, bounces, odd next hops, clients that leave, people at pages, changes."""

import asyncio
import contextlib
import functools
import itertools
import os
import shutil
import smtplib
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

import msgspec

from bench.ports import free_port
from bench.slow_next_hops import Client, Good, Hop, Reader, Writer, answering, silent
from bench.status import Page, Watched
from engine import config
from engine.config import Route, Settings, TlsPolicy
from engine.layout import Layout

PAGES: Final = (
    "/status",
    "/messages",
    "/queues/slow",
    "/events",
    "/reports/summary",
    "/queues/overview",
    "/reports/virus",
    "/quarantine/items",
    "/definitions",
    "/configuration/history",
    "/configuration/setup/smtp",
)
MOODS_S: Final = 20.0  # so long a next hop has 451 for everything, and so long it takes everything
WAITING: Final = 50  # messages for each next hop that never takes one: more would be growth that is meant
NOISE: Final = (
    b"\x16\x03\x01\x02\x00" + bytes(40),
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"EHLO a\r\n" * 3,
    b"MAIL\nRCPT\n",
)


class Company:
    """Its threads run from start() to stop(). done: how often, by what."""

    def __init__(self, port: int) -> None:
        self.done: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self._port = port
        self._loop = asyncio.new_event_loop()
        self._threads: list[threading.Thread] = []
        self._ending = threading.Event()
        self._begun = time.monotonic()
        self._home = Good()
        self._hops: dict[str, Hop] = {
            "home": self._home,
            "refuses": answering({b"RCPT": b"550 5.1.1 nobody of that name\r\n"}),
            "moody": self._moody,
            "slow": answering({}, 0.05),
            "closes": self._closing,
            "silent": silent,
        }
        self._ports = {name: free_port() for name in (*self._hops, "dead")}

    def change(self, settings: Settings) -> Settings:
        """Routes to the odd next hops, and mail that is tried again soon."""
        replace = msgspec.structs.replace
        hosts = {**self._ports, "client": self._ports["home"]}  # bounces go there
        routes = [Route(f"{name}.example", "127.0.0.1", port) for name, port in hosts.items()]
        delivery = replace(settings.delivery, tls=TlsPolicy.OPPORTUNISTIC, retry_first_s=5, retry_last_s=30)
        return replace(
            settings,
            routing=replace(settings.routing, local=(*settings.routing.local, *routes)),
            delivery=delivery,
            web=replace(settings.web, timeout_minutes=1440),
        )

    def start(self, gateway: Watched) -> None:
        ready = threading.Event()
        works: tuple[tuple[Callable[[], object], float], ...] = (
            (self._by_tls, 0.3),
            (self._leaves, 0.7),
            (self._noise, 1.1),
            (functools.partial(self._page, itertools.cycle(PAGES), gateway), 1.0),
            (functools.partial(self._settings, gateway), 10.0),
            (functools.partial(self._definitions, gateway), 120.0),
        )
        self._threads = [threading.Thread(target=self._serve, args=(ready,))]
        self._threads += [threading.Thread(target=self._again, args=work) for work in works]
        for thread in self._threads:
            thread.start()
            ready.wait()

    def stop(self) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def _again(self, work: Callable[[], object], pause_s: float) -> None:
        while not self._ending.wait(pause_s):
            name = getattr(work, "func", work).__name__.strip("_")
            try:
                work()
                self.done[name] += 1
            except (OSError, smtplib.SMTPException, SystemExit) as error:
                self.failed[f"{name}: {error!r:.100}"] += 1

    # --- next hops and who writes to them -----------------------------------------------------------

    def _serve(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._all(ready))
        self._loop.close()

    async def _all(self, ready: threading.Event) -> None:
        servers = [
            await asyncio.start_server(_ended(hop), "127.0.0.1", self._ports[name], limit=1 << 24)
            for name, hop in self._hops.items()
        ]
        ready.set()
        writers = [
            asyncio.create_task(self._write("silent", 0.0, WAITING)),
            asyncio.create_task(self._write("dead", 0.0, WAITING)),
            *(asyncio.create_task(self._write(name, 1.0)) for name in ("refuses", "moody", "slow", "closes")),
        ]
        while not self._ending.is_set():
            await asyncio.sleep(0.2)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in (*writers, *others):
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for server in servers:
            server.close()

    async def _write(self, name: str, pause_s: float, most: int = 1 << 60) -> None:
        """Messages for that next hop."""
        client, number = None, 0
        while number < most:
            try:
                if client is None:
                    client = Client()
                    await client.connect(self._port)
                await client.send(f"b@{name}.example", number)
                number += 1
                self.done[f"to {name}"] += 1
            except (OSError, SystemExit) as error:
                self.failed[f"to {name}: {error!r:.100}"] += 1
                client = None
            await asyncio.sleep(pause_s)

    async def _moody(self, reader: Reader, writer: Writer) -> None:
        is_bad = (time.monotonic() - self._begun) // MOODS_S % 2
        await answering({b"RCPT": b"451 4.3.0 later\r\n"} if is_bad else {})(reader, writer)

    async def _closing(self, reader: Reader, writer: Writer) -> None:
        """Closes after the content, as long as it is in that mood."""
        is_bad = (time.monotonic() - self._begun) // MOODS_S % 2
        await answering({b"DOT": b""} if is_bad else {})(reader, writer)

    # --- clients --------------------------------------------------------------------------------------

    def _by_tls(self) -> None:
        with smtplib.SMTP("127.0.0.1", self._port, "client.example", timeout=60) as client:
            client.starttls(context=ssl._create_unverified_context())
            head = "From: a@home.example\r\nTo: b@home.example\r\nSubject: by TLS\r\nX-Number: 1\r\n\r\n"
            client.sendmail("a@home.example", ["b@home.example"], head + "a line\r\n" * 500)

    def _leaves(self) -> None:
        """In the midst of a message."""
        with socket.create_connection(("127.0.0.1", self._port), 60) as client:
            client.sendall(b"EHLO client.example\r\nMAIL FROM:<a@home.example>\r\nRCPT TO:<b@home.example>\r\nDATA\r\n")
            seen = b""
            while b"354" not in seen:
                if not (more := client.recv(4096)):
                    raise OSError(f"the gateway said {seen!r}")
                seen += more
            client.sendall(b"Subject: never whole\r\n\r\n" + b"a line\r\n" * 40_000)

    def _noise(self) -> None:
        for octets in NOISE:
            with socket.create_connection(("127.0.0.1", self._port), 60) as client, contextlib.suppress(OSError):
                client.sendall(octets)
                client.shutdown(socket.SHUT_WR)
                while client.recv(4096):
                    pass

    def _page(self, paths: "itertools.cycle[str]", gateway: Watched) -> None:
        page = Page(gateway.https_port, gateway.session())
        try:
            page.get(next(paths))
        finally:
            page.close()

    # --- changes ----------------------------------------------------------------------------------------

    def _settings(self, gateway: Watched) -> None:
        path = gateway.root / config.FILE_NAME
        found = config.load(path)
        most = 500 + 501 - found.smtp.max_incoming
        smtp = msgspec.structs.replace(found.smtp, max_incoming=most)
        config.save(msgspec.structs.replace(found, smtp=smtp), path)

    def _definitions(self, gateway: Watched) -> None:
        """The same once more, as a file of its own: new scanners come."""
        target = Layout(gateway.root).definitions / "starter.mwd"
        shutil.copyfile(target, beside := target.with_suffix(".new"))
        os.replace(beside, target)


def _ended(hop: Hop) -> Hop:
    """Closes the connection in any case."""

    async def closing(reader: Reader, writer: Writer) -> None:
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):  # the load is over
            await hop(reader, writer)
        writer.close()

    return closing
