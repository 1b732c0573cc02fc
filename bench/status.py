"""`python -m bench.status`: open Status pages while mail flows at full load.

Two questions. What do ten open pages cost the mail? Runs with and without them take turns, and the medians of messages
a second are compared. And how fast is the page meanwhile? One more run asks for it and for its JSON again and again.

An open page does what a browser with its script does: it loads the page once, keeps the connection, and asks for news
every two seconds. The pages are watched from one process, whose processor time a real browser would not take from the
gateway; it is told, and is small.
"""

import contextlib
import http.client
import multiprocessing
import re
import shutil
import ssl
import statistics
import tempfile
import time
from collections.abc import Callable
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Final

import click
import msgspec
from rich.console import Console
from rich.table import Table

from bench.gateway import corpus, run
from bench.gateway.peers import Mailward
from bench.ports import free_port
from control.access import AccessDatabase
from control.authentication import SESSION_COOKIE
from control.sessions import Sessions
from engine import config
from engine.config import Settings

RENEW_S: Final = 2.0  # as in control/static/live.js
PROBE_S: Final = 0.1  # between two requests of the run that measures latency
PATIENCE_S: Final = 30.0


def _settings(settings: Settings) -> Settings:
    """Looking on is no activity, and sessions have to outlast a run."""
    return msgspec.structs.replace(settings, web=msgspec.structs.replace(settings.web, timeout_minutes=1440))


class Page:
    """One browser at the Status page."""

    def __init__(self, port: int, session: str) -> None:
        context = ssl._create_unverified_context()
        self._connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=PATIENCE_S, context=context)
        self._headers = {"cookie": f"{SESSION_COOKIE}={session}"}

    def close(self) -> None:
        self._connection.close()

    def get(self, path: str) -> tuple[bytes, float]:
        """The answer, and how many seconds it took."""
        begun = time.monotonic()
        self._connection.request("GET", path, headers=self._headers)
        response = self._connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise SystemExit(f"{path}: {response.status}")
        return body, time.monotonic() - begun


def _watch(port: int, session: str, pages: int, begun: Event, ended: Event) -> None:
    """Open pages, evenly spread over the time between two looks."""
    opened = [Page(port, session) for _ in range(pages)]
    shown = []
    for page in opened:
        found = re.search(rb'data-version="(\w+)"', page.get("/status")[0])
        assert found is not None
        shown.append(found[1].decode())
    begun.set()
    number, due = 0, time.monotonic()
    while not ended.wait(max(0.0, due - time.monotonic())):
        news = msgspec.json.decode(opened[number].get(f"/status/live?span=hour&shown={shown[number]}")[0])
        assert "accepted" in news["figures"]
        shown[number] = news["version"]
        number, due = (number + 1) % pages, due + RENEW_S / pages


class Watched(Mailward):
    """This gateway with so many open Status pages."""

    def __init__(
        self, work: Path, port: int, sink: int, pages: int, change: Callable[[Settings], Settings] = _settings
    ) -> None:
        super().__init__(work, port, sink, change=change)
        self.name = f"{pages} open pages"
        self._pages = pages
        self._ended = multiprocessing.Event()
        self._watcher: multiprocessing.Process | None = None

    @property
    def https_port(self) -> int:
        return config.load(self.root / config.FILE_NAME).web.https.port

    def session(self) -> str:
        database = AccessDatabase(self.root)
        try:
            return Sessions(database, time.time, lambda: 86_400.0).begin("admin", "127.0.0.1")
        finally:
            database.close()

    def start(self) -> None:
        super().start()
        if self._pages:
            begun = multiprocessing.Event()
            arguments = (self.https_port, self.session(), self._pages, begun, self._ended)
            self._watcher = multiprocessing.Process(target=_watch, args=arguments)
            self._watcher.start()
            begun.wait(PATIENCE_S)

    def stop(self) -> None:
        if self._watcher is not None:
            self._ended.set()
            self._watcher.join(PATIENCE_S)
            if self._watcher.exitcode:
                raise SystemExit("an open page was not answered")
        super().stop()


def _probe(port: int, session: str, begun: Event, ended: Event, file: Path) -> None:
    """Load the page and its JSON in turns, and note how long each took."""
    page = Page(port, session)
    times: dict[str, list[float]] = {"/status": [], "/status?span=week": [], "/api/v1/status": []}
    begun.set()
    while not ended.wait(PROBE_S):
        for path, taken in times.items():
            taken.append(page.get(path)[1])
    file.write_bytes(msgspec.json.encode(times))


class Probed(Watched):
    """The same, and besides the page is asked for again and again."""

    def __init__(self, work: Path, port: int, sink: int, pages: int) -> None:
        super().__init__(work, port, sink, pages)
        self.name = f"{pages} open pages, probed"
        self._prober: multiprocessing.Process | None = None
        self.file = work / "probe.json"

    def start(self) -> None:
        super().start()
        begun = multiprocessing.Event()
        arguments = (self.https_port, self.session(), begun, self._ended, self.file)
        self._prober = multiprocessing.Process(target=_probe, args=arguments)
        self._prober.start()
        begun.wait(PATIENCE_S)

    def stop(self) -> None:
        self._ended.set()
        if self._prober is not None:
            self._prober.join(PATIENCE_S)
        super().stop()


@click.command()
@click.option("--count", default=30_000, show_default=True, help="Messages in a run.")
@click.option("--sessions", default=20, show_default=True)
@click.option("--pages", default=10, show_default=True, help="Open Status pages.")
@click.option("--rounds", default=3, show_default=True, help="Runs with and without pages; they take turns.")
def main(count: int, sessions: int, pages: int, rounds: int) -> None:
    """What open Status pages cost the mail, and how fast the page is meanwhile."""
    base = Path(tempfile.mkdtemp(prefix="mailward-bench-", dir="/var/tmp"))
    base.chmod(0o755)
    try:
        _measure(base, count, sessions, pages, rounds)
    finally:
        shutil.rmtree(base)


def _measure(base: Path, count: int, sessions: int, pages: int, rounds: int) -> None:
    run.compile_tools(base)
    items = corpus.build(base / "text", "text", 200)
    results: dict[int, list[run.Result]] = {0: [], pages: []}
    for turn in range(rounds):
        order = (0, pages) if turn % 2 == 0 else (pages, 0)  # what warms up must not favour one of them
        for number in order:
            results[number].append(_run(base, Watched, number, items, count, sessions)[0])
    _, probed = _run(base, Probed, pages, items, count, sessions)
    assert isinstance(probed, Probed)
    _print(results, msgspec.json.decode(probed.file.read_bytes(), type=dict[str, list[float]]))


def _run(
    base: Path, kind: type[Watched], pages: int, items: list[corpus.Item], count: int, sessions: int
) -> tuple[run.Result, Watched]:
    place = Path(tempfile.mkdtemp(prefix="turn-", dir=base))
    place.chmod(0o755)
    for tool in ("load", "sink"):
        shutil.copy(base / tool, place / tool)
    port, sink = free_port(), free_port()
    peer = kind(place, port, sink, pages)
    result = run.measure(peer, place, port, sink, items, count, sessions)
    if result.lost or result.changed:
        raise SystemExit(f"{result.lost} messages were lost, {result.changed} changed")
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(place / "mailward")
    return result, peer


def _print(results: dict[int, list[run.Result]], times: dict[str, list[float]]) -> None:
    table = Table("open pages", "msgs/s", "each run", "p99 ms of SMTP", "CPU s/1000", box=None)
    rates = {}
    for pages, many in results.items():
        rates[pages] = statistics.median(one.rate for one in many)
        table.add_row(
            str(pages),
            f"{rates[pages]:.0f}",
            " ".join(f"{one.rate:.0f}" for one in many),
            f"{statistics.median(one.quantile(0.99) for one in many):.1f}",
            f"{statistics.median(one.cpu_s / one.messages * 1000 for one in many):.2f}",
        )
    console = Console(width=120)
    console.print(table)
    none, some = (rates[pages] for pages in results)
    console.print(f"with pages: {100 * some / none:.1f} % of the messages a second without")
    for path, taken in times.items():
        if len(taken) < 20:
            console.print(f"{path}: only {len(taken)} answers; use a larger --count")
            continue
        cuts = statistics.quantiles(taken, n=100)
        console.print(
            f"{path}: p50 {cuts[49] * 1000:.1f} ms, p95 {cuts[94] * 1000:.1f} ms, p99 {cuts[98] * 1000:.1f} ms,"
            f" {len(taken)} answers"
        )


if __name__ == "__main__":
    main()
