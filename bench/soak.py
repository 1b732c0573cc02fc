"""`python -m bench.soak`: full load for some minutes, and what every process of the gateway holds meanwhile.

Memory, descriptors, threads and files of the queue, a minute after the start, in the middle and at the end: what grows
between the middle and the end leaks.
"""

import shutil
import tempfile
import threading
import time
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from bench.gateway import corpus, run
from bench.gateway.peers import Mailward
from bench.gateway.processes import Usage, usage
from bench.ports import free_port

ENDLESS = 1_000_000_000
Snapshot = tuple[float, dict[str, Usage], int]


class Watch:
    """Looks at the gateway while the load runs. step_s: between looks."""

    def __init__(self, peer: Mailward, seconds: float, step_s: float) -> None:
        self.seen: list[Snapshot] = []
        self._peer = peer
        self._seconds = seconds
        self._step_s = step_s

    def __call__(self) -> None:
        begun = time.monotonic()
        while (now := time.monotonic() - begun) < self._seconds:
            self.look(now)
            threading.Event().wait(min(self._step_s, self._seconds - now))
        self.look(self._seconds)

    def look(self, at_s: float) -> None:
        queue = self._peer.root / "queue"
        files = sum(1 for path in queue.rglob("*") if path.is_file())
        self.seen.append((at_s, usage(self._peer.pids()), files))


@click.command()
@click.option("--minutes", default=5.0, show_default=True)
@click.option("--sessions", default=20, show_default=True)
@click.option("--kind", type=click.Choice(["text", "mix"]), default="mix", show_default=True)
@click.option("--work", type=click.Path(file_okay=False, path_type=Path), help="Where the queue lies.")
def main(minutes: float, sessions: int, kind: str, work: Path | None) -> None:
    """Whether memory, descriptors, threads and files stay flat under full load."""
    base = work or Path(tempfile.mkdtemp(prefix="mailward-bench-", dir="/var/tmp"))
    base.mkdir(parents=True, exist_ok=True)
    run.compile_tools(base)
    items = corpus.build(base / kind, kind, 200)
    port, sink = free_port(), free_port()
    peer = Mailward(base, port, sink)
    watch = Watch(peer, minutes * 60, max(5.0, minutes * 3))
    result = run.measure(peer, base, port, sink, items, ENDLESS, sessions, disturb=watch)
    seen = watch.seen
    middle = len(seen) // 2
    table = Table("process", "at s", "processes", "RSS MB", "PSS MB", "descriptors", "threads", box=None)
    for kind_of in sorted({name for _, found, _ in seen for name in found}):
        for at_s, found, _ in (seen[min(1, middle)], seen[middle], seen[-2], seen[-1]):
            one = found.get(kind_of, Usage())
            figures = (one.processes, f"{one.rss_mb:.1f}", f"{one.pss_mb:.1f}", one.descriptors, one.threads)
            table.add_row(kind_of, f"{at_s:.0f}", *map(str, figures))
    console = Console(width=150)
    console.print(table)
    console.print("files of the queue:", *(f"{files} at {at_s:.0f} s" for at_s, _, files in seen))
    console.print(
        f"{result.delivered} messages, {result.rate:.0f} a second; lost {result.lost}, doubled {result.doubled},"
        f" changed {result.changed}, infected delivered {result.infected_delivered} of {result.infected_sent}"
    )
    if work is None:
        shutil.rmtree(base)
    raise SystemExit(1 if result.lost or result.changed or result.infected_delivered else 0)


if __name__ == "__main__":
    main()
