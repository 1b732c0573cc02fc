"""`python -m bench.updates`: publish definitions while mail flows at full load, and see when all relays have them.

Two questions. How long does it take from the call of `mailward definitions update` until the last relay has loaded what
was just published (fetched, verified, self-tested, perhaps tried on copies of live mail, in force)? And does mail wait
for it: how long did the longest SMTP transaction take while nothing was updated, and how long while something was?
No message may be lost, doubled or changed.
"""

import hashlib
import math
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click
import msgspec
from rich.console import Console
from rich.table import Table

from bench.gateway import corpus, run
from bench.gateway.peers import Mailward
from bench.ports import free_port
from control.updates import memory as memories
from control.updates.keeper import ask
from control.updates.keys import Keys
from control.updates.memory import Attempt
from control.updates.publish import publish
from control.updates.repository import Repository
from control.updates.trust import TRUSTED, trust
from engine import events
from engine.config import Settings
from engine.layout import Layout
from signatures import image
from signatures.clamav.collect import collect
from signatures.compile import read_all, starter
from signatures.model import Digest, Signature

POLL_S: Final = 0.02
REST_S: Final = 5.0  # after each update
_decode: Final = msgspec.json.Decoder(events.AnyEvent).decode


class Publisher:
    """A repository in a folder, and definitions of so many signatures, each time with another one. databases: of
    ClamAV or YARA, whose signatures and rules come to that."""

    def __init__(self, folder: Path, signatures: int, rounds: int, databases: Path | None) -> None:
        self.repository = Repository(folder / "repository", lambda: datetime.now(UTC))
        self._keys = Keys([folder / "keys"], lambda path: None)
        self.root = self.repository.create({}, {}, self._keys, None).to_bytes()
        self._folder = folder
        built(folder, signatures, rounds, databases)  # before the load begins: a publisher has a machine of its own

    def publish(self, number: int) -> str:
        """The revision of the image."""
        return publish(self.repository, self._folder / f"{number}.mwd", self._keys).revision.image


def built(folder: Path, signatures: int, rounds: int, databases: Path | None) -> list[Path]:
    """Files of definitions, each with one signature of its own."""
    own = read_all(starter())
    taken = collect([databases] if databases else [])
    annexes = own.annexes() | taken.annexes()
    many = [*own.signatures, *taken.signatures, *(_digest(number) for number in range(signatures))]
    paths = [folder / f"{number}.mwd" for number in range(rounds)]
    for number, path in enumerate(paths):
        path.write_bytes(image.build([*many, _digest(-number - 1)], annexes=annexes))
    return paths


def _digest(number: int) -> Signature:
    return Signature(f"Bench.{number}", Digest("sha256", hashlib.sha256(b"%d" % number).digest()))


class Updating(Mailward):
    """This gateway, which takes its definitions from there."""

    def __init__(self, work: Path, port: int, sink: int, publisher: Publisher, canary_minutes: int) -> None:
        def change(settings: Settings) -> Settings:
            sources = (str(publisher.repository.directory),)
            updates = msgspec.structs.replace(
                settings.updates, enabled=False, sources=sources, canary_minutes=canary_minutes
            )
            return msgspec.structs.replace(settings, updates=updates)

        super().__init__(work, port, sink, change=change)
        self._trusted = publisher.root

    def _init(self) -> None:
        super()._init()
        trust(self._trusted, Layout(self.root).definitions / TRUSTED)


class Journals:
    """What relays have loaded; read on, never twice."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._offsets: dict[Path, int] = {}
        self.relays: dict[str, str] = {}  # name -> the revision that it works with

    def look(self) -> None:
        for path in sorted(self._layout.journal.glob("relay-*")):
            with path.open("rb") as file:
                file.seek(self._offsets.get(path, 0))
                read = file.read()
            whole = read[: read.rfind(b"\n") + 1]
            self._offsets[path] = self._offsets.get(path, 0) + len(whole)
            for line in whole.splitlines():
                if b"definitions-loaded" in line:
                    told = _decode(line)
                    if isinstance(told, events.DefinitionsLoaded):
                        self.relays[told.process] = told.revision


class Update(msgspec.Struct):
    """One of them; times on the monotonic clock."""

    begun: float
    published: float
    ended: float


class Disturbance:
    """What happens while the load runs."""

    def __init__(self, gateway: Updating, publisher: Publisher, rounds: int, quiet_s: float, patience_s: float) -> None:
        self._gateway = gateway
        self._publisher = publisher
        self._rounds = rounds
        self._quiet_s = quiet_s
        self._patience_s = patience_s
        self.load_begun = 0.0
        self.updates: list[Update] = []

    def __call__(self) -> None:
        self.load_begun = time.monotonic()
        layout = Layout(self._gateway.root)
        journals = Journals(layout)
        for number in range(self._rounds):
            time.sleep(self._quiet_s)
            journals.look()
            begun = time.monotonic()
            revision = self._publisher.publish(number)
            published = time.monotonic()
            before = _last(layout)
            ask(layout, "bench")
            self._wait(journals, layout, revision, before)
            self.updates.append(Update(begun, published, time.monotonic()))
            time.sleep(REST_S)
        time.sleep(self._quiet_s)

    def _wait(self, journals: Journals, layout: Layout, revision: str, before: Attempt | None) -> None:
        deadline = time.monotonic() + self._patience_s
        while not journals.relays or set(journals.relays.values()) != {revision}:
            journals.look()
            last = _last(layout)
            if last != before and last is not None and last.revision != revision:
                raise SystemExit(f"the update: {last.result}: {last.reason}")
            if time.monotonic() > deadline:
                raise SystemExit(f"not in force after {self._patience_s:g} s: {journals.relays}, {last}")
            time.sleep(POLL_S)


def _last(layout: Layout) -> Attempt | None:
    history = memories.read(layout.control / memories.FILE_NAME).history
    return history[0] if history else None


@click.command()
@click.option("--signatures", default=100_000, show_default=True, help="In the definitions.")
@click.option("--sessions", default=20, show_default=True, help="SMTP connections of the load.")
@click.option("--rounds", default=5, show_default=True, help="Updates.")
@click.option("--quiet", default=10.0, show_default=True, help="Seconds of load between them.")
@click.option("--rate", default=0.0, help="Messages a second, each due at its time; 0: as many as go through.")
@click.option("--databases", type=click.Path(exists=True, path_type=Path), help="Of ClamAV or YARA, in addition.")
@click.option("--canary", default=0, show_default=True, help="Minutes on copies of live mail.")
def main(
    signatures: int, sessions: int, rounds: int, quiet: float, rate: float, databases: Path | None, canary: int
) -> None:
    """How long an update of the definitions takes on a loaded gateway, and whether mail waits for it."""
    base = Path(tempfile.mkdtemp(prefix="mailward-bench-", dir="/var/tmp"))
    base.chmod(0o755)
    try:
        publisher = Publisher(base / "publisher", signatures, rounds, databases)
        run.compile_tools(base)
        items = corpus.build(base / "mix", "mix", 200)
        port, sink = free_port(), free_port()
        gateway = Updating(base, port, sink, publisher, canary)
        disturbance = Disturbance(gateway, publisher, rounds, quiet, 120.0 + canary * 60)
        try:
            result = run.measure(
                gateway, base, port, sink, items, 100_000_000, sessions, disturb=disturbance, rate=rate
            )
        finally:
            gateway.stop()
        _print(result, disturbance, base / "load.log")
    finally:
        shutil.rmtree(base)
    if result.lost or result.changed or result.infected_delivered:
        raise SystemExit("messages were lost, changed, or came through infected")


def latencies(log: Path, load_begun: float, updates: Sequence[Update]) -> tuple[list[float], list[float]]:
    """(during an update, otherwise): how long the transactions of a load took, in ms."""
    during: list[float] = []
    otherwise: list[float] = []
    for line in log.read_text().splitlines():
        _, code, latency, since_start = line.split()
        if code == "resent":
            continue
        ended = load_begun + float(since_start)
        begun = ended - float(latency)
        if any(begun < one.ended and ended > one.published for one in updates):
            during.append(float(latency) * 1000)
        elif not any(begun < one.ended and ended > one.begun for one in updates):
            otherwise.append(float(latency) * 1000)
    return during, otherwise


def print_latencies(console: Console, during: list[float], otherwise: list[float]) -> None:
    table = Table(title="SMTP transactions, ms")
    for name in ("", "number", "median", "99 %", "99.9 %", "longest"):
        table.add_column(name, justify="left" if not name else "right")
    for name, taken in (("nothing is updated", sorted(otherwise)), ("during an update", sorted(during))):
        shares = [f"{_quantile(taken, share):.1f}" for share in (0.5, 0.99, 0.999, 1.0)]
        table.add_row(name, f"{len(taken):,}", *shares)
    console.print(table)


def _print(result: run.Result, disturbance: Disturbance, log: Path) -> None:
    console = Console(width=110)
    table = Table(title=f"{len(disturbance.updates)} updates, at {result.rate:,.0f} messages a second")
    for name in ("", "median", "longest"):
        table.add_column(name, justify="left" if not name else "right")
    for name, find in _SPANS.items():
        times = sorted(find(one) for one in disturbance.updates)
        table.add_row(name, f"{_quantile(times, 0.5):.2f} s", f"{times[-1]:.2f} s")
    console.print(table)
    print_latencies(console, *latencies(log, disturbance.load_begun, disturbance.updates))
    run.print_account(console, result)


_SPANS: Final[dict[str, Callable[[Update], float]]] = {
    "publish": lambda one: one.published - one.begun,
    "asked, until all relays work with it": lambda one: one.ended - one.published,
    "publish to all relays": lambda one: one.ended - one.begun,
}


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


if __name__ == "__main__":
    main()
