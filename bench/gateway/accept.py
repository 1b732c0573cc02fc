"""The ways to accept (`accept` of a listener) beside each other: messages a second, and how long clients wait.

    python -m bench.gateway.accept [--rounds N] [--count N] [--sessions N]

Runs of all ways alternate; medians. The next hop is the sink of bench/gateway, which answers at once.
"""

import statistics
import tempfile
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.table import Table

from bench.gateway import corpus
from bench.gateway.peers import Mailward
from bench.gateway.run import Result, compile_tools, measure
from bench.ports import free_port
from engine.config import Acceptance, Settings


def accepting(settings: Settings, accept: Acceptance) -> Settings:
    listen = msgspec.structs.replace(settings.smtp.listen, accept=accept)
    return msgspec.structs.replace(settings, smtp=msgspec.structs.replace(settings.smtp, listen=listen))


@click.command()
@click.option("--rounds", default=3)
@click.option("--count", default=6000)
@click.option("--sessions", default=20)
def main(rounds: int, count: int, sessions: int) -> None:
    found: dict[Acceptance, list[Result]] = {accept: [] for accept in Acceptance}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        compile_tools(work)
        items = corpus.build(work / "corpus", "text", 200)
        for number in range(rounds):
            for accept in Acceptance:
                port, sink = free_port(), free_port()
                room = work / f"{accept}-{number}"
                room.mkdir()
                peer = Mailward(room, port, sink, change=lambda settings, way=accept: accepting(settings, way))  # type: ignore[misc]
                found[accept].append(measure(peer, work, port, sink, items, count, sessions))
    table = Table("accept", "messages/s", "CPU s per 1000", "p50 ms", "p99 ms", "lost", "doubled")
    for accept, results in found.items():
        table.add_row(
            str(accept),
            f"{statistics.median(one.rate for one in results):.0f}",
            f"{statistics.median(1000 * one.cpu_s / one.delivered for one in results):.2f}",
            f"{statistics.median(one.quantile(0.5) for one in results):.1f}",
            f"{statistics.median(one.quantile(0.99) for one in results):.1f}",
            str(sum(one.lost for one in results)),
            str(sum(one.doubled for one in results)),
        )
    Console().print(table)


if __name__ == "__main__":
    main()
