"""`python -m bench.soak`: full load for some minutes, and what every process of the gateway holds meanwhile.

Beside the load there is what a gateway meets in a day (company.py). Own memory, descriptors and threads by minute, and
for each whether it grows: its slope after a quarter of the time, against what is allowed (record.py).
"""

import shutil
import tempfile
from pathlib import Path

import click
from rich.console import Console

from bench.gateway import corpus, run
from bench.ports import free_port
from bench.soak.company import Company
from bench.soak.record import Record, table, verdict
from bench.status import Watched

ENDLESS = 1_000_000_000
PER_CONNECTION = 50


@click.command()
@click.option("--minutes", default=5.0, show_default=True, help="A verdict needs five.")
@click.option("--sessions", default=20, show_default=True)
@click.option("--kind", type=click.Choice(["text", "mix"]), default="mix", show_default=True)
@click.option("--alone", is_flag=True, help="Only the load.")
@click.option("--work", type=click.Path(file_okay=False, path_type=Path), help="Where the queue lies.")
def main(minutes: float, sessions: int, kind: str, alone: bool, work: Path | None) -> None:
    """Whether memory, descriptors and threads stay flat under full load."""
    base = work or Path(tempfile.mkdtemp(prefix="mailward-bench-", dir="/var/tmp"))
    base.mkdir(parents=True, exist_ok=True)
    run.compile_tools(base)
    items = corpus.build(base / kind, kind, 200)
    port, sink = free_port(), free_port()
    company = Company(port)
    gateway = Watched(base, port, sink, pages=0, change=company.change)
    record = Record(gateway, base / "sink.log")

    def watch() -> None:
        if alone:
            record.run(minutes * 60)
            return
        company.start(gateway)
        try:
            record.run(minutes * 60)
        finally:
            company.stop()

    result = run.measure(gateway, base, port, sink, items, ENDLESS, sessions, PER_CONNECTION, disturb=watch)
    console = Console(width=170)
    console.print("own MB / PSS MB / descriptors / threads, of all processes of a kind")
    console.print(table(record.minutes))
    found, grows = verdict(record.minutes)
    console.print(found)
    console.print("grows: " + ", ".join(grows) if grows else "nothing grows")
    for name, counted in (("beside it", company.done), ("failed", company.failed)):
        console.print(f"{name}:", ", ".join(f"{what} {times}" for what, times in sorted(counted.items())) or "nothing")
    run.print_account(console, result)
    if work is None:
        shutil.rmtree(base)
    raise SystemExit(bool(grows or result.lost or result.changed or result.infected_delivered))


if __name__ == "__main__":
    main()
