"""`python -m bench.gateway`: this gateway and Postfix under the same load, one after the other, in turns."""

import shutil
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from bench.gateway import corpus, policy, run
from bench.gateway.filtered import PostfixAmavis, PostfixRspamd
from bench.gateway.peers import Mailward, Peer, Postfix
from bench.ports import free_port

# The slow ones get as many as they can take in ten seconds.
BESIDE_PEERS = "mailward:4000,postfix:4000,postfix-rspamd:400,postfix-amavis:200"


def make_peer(name: str, work: Path, port: int, sink: int, definitions: Path | None, dns: str) -> Peer:
    match name:
        case "mailward":
            return Mailward(work, port, sink, definitions)
        case "mailward-relay-only":
            peer = Mailward(work, port, sink, scan=False)
            peer.name = name
            return peer
        case "mailward-without-policy" | "mailward-policy" | "mailward-dns":
            changes = {"without-policy": policy.off, "policy": policy.on, "dns": policy.asking(dns)}
            peer = Mailward(work, port, sink, definitions, change=changes[name.removeprefix("mailward-")])
            peer.name = name
            return peer
        case "postfix":
            return Postfix(work, port, sink)
        case "postfix-tuned":
            return Postfix(work, port, sink, tuned=True)
        case "postfix-rspamd":
            return PostfixRspamd(work, port, sink)
        case "postfix-amavis":
            return PostfixAmavis(work, port, sink)
    known = "mailward, mailward-relay-only, -without-policy, -policy, -dns, postfix, -tuned, -rspamd, -amavis"
    raise click.BadParameter(f"{name!r} is not one of {known}")


@click.command()
@click.option(
    "--peers", default="mailward,postfix", show_default=True, help="NAME:COUNT: so many messages for that one."
)
@click.option("--beside-peers", is_flag=True, help="The table of README.md: four gateways, three rounds, five minutes.")
@click.option("--count", default=10_000, show_default=True, help="Messages in a run.")
@click.option("--sessions", default=20, show_default=True)
@click.option(
    "--per-session", default=0, show_default=True, help="Messages in one connection; 0: connections are kept."
)
@click.option("--kind", type=click.Choice(["text", "mix"]), default="text", show_default=True)
@click.option(
    "--corpus", "folder", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Real messages."
)
@click.option("--definitions", type=click.Path(exists=True, path_type=Path), help="Compiled definitions for mailward.")
@click.option("--dns", default="", help="ADDRESS#PORT of the name server that mailward-dns asks.")
@click.option("--rounds", default=1, show_default=True, help="The peers take turns this often; medians are shown.")
@click.option(
    "--work", type=click.Path(file_okay=False, path_type=Path), help="Where queues lie; default: a new folder."
)
@click.option("--small", is_flag=True, help="A quick look: 2,000 messages, without Postfix where it is not installed.")
def main(
    peers: str,
    beside_peers: bool,
    count: int,
    sessions: int,
    per_session: int,
    kind: str,
    folder: Path | None,
    definitions: Path | None,
    dns: str,
    rounds: int,
    work: Path | None,
    small: bool,
) -> None:
    """Messages and megabytes a second, latency, CPU, and whether anything was lost, doubled, changed or infected."""
    if beside_peers:
        peers, kind, rounds = BESIDE_PEERS, "mix", 3
    if small:
        count = 2000
        if shutil.which("postfix", path="/usr/sbin") is None:
            peers = "mailward"
    base = work or Path(tempfile.mkdtemp(prefix="mailward-bench-", dir="/var/tmp"))
    base.mkdir(parents=True, exist_ok=True)
    base.chmod(0o755)
    run.compile_tools(base)
    items = corpus.from_folder(folder, base / "real") if folder else corpus.build(base / kind, kind, 200)
    results: dict[str, list[run.Result]] = {}
    for turn in range(rounds):
        for one in peers.split(","):
            name, _, own_count = one.partition(":")
            place = base / f"turn{turn}-{name}"
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(mode=0o755)
            for tool in ("load", "sink"):
                shutil.copy(base / tool, place / tool)
            port, sink = free_port(), free_port()
            peer = make_peer(name, place, port, sink, definitions, dns)
            messages = int(own_count or count)
            result = run.measure(peer, place, port, sink, items, messages, sessions, per_session)
            results.setdefault(name, []).append(result)
            click.echo(f"{turn + 1}. {name}: {result.rate:.0f}/s", err=True)
    console = Console(width=170)
    console.print(table_of(results))
    console.print(processes_of(results))
    if len(results) > 1:
        print(markdown_of(results))
    if work is None:
        shutil.rmtree(base)
    worst = [one for many in results.values() for one in many if one.lost or one.changed or one.infected_delivered]
    raise SystemExit(1 if worst else 0)


def markdown_of(results: dict[str, list[run.Result]]) -> str:
    """Medians, for README.md."""
    rows = [
        "| peer | messages/s (range) | MB/s | p50 / p99 ms to 250 | p50 / p99 ms to the next hop | CPU s per 1000 |"
        " infected delivered | lost |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, many in results.items():
        rates = [one.rate for one in many]

        def median(of: Callable[[run.Result], float], many: list[run.Result] = many) -> float:
            return statistics.median(map(of, many))

        cells = (
            name,
            f"**{statistics.median(rates):.0f}** ({min(rates):.0f}–{max(rates):.0f})",
            f"{median(lambda one: one.megabytes / one.delivered_s):.0f}",
            f"{median(lambda one: one.quantile(0.5)):.0f} / {median(lambda one: one.quantile(0.99)):.0f}",
            f"{median(lambda one: one.way_quantile(0.5)):.0f} / {median(lambda one: one.way_quantile(0.99)):.0f}",
            f"{median(lambda one: one.cpu_s / one.messages * 1000):.1f}",
            f"{sum(one.infected_delivered for one in many)} of {sum(one.infected_sent for one in many)}",
            str(sum(one.lost for one in many)),
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def processes_of(results: dict[str, list[run.Result]]) -> Table:
    """Where the processor's time goes."""
    table = Table("peer", "process", "CPU s/1000", box=None)
    for name, many in results.items():
        kinds = sorted({kind for one in many for kind in one.cpu_by_kind})
        for kind in kinds:
            each = [one.cpu_by_kind.get(kind, 0.0) / one.messages * 1000 for one in many]
            table.add_row(name, kind, f"{statistics.median(each):.2f}")
    return table


def table_of(results: dict[str, list[run.Result]]) -> Table:
    table = Table(
        "peer", "msgs/s", "MB/s", "answered/s", "p50 ms", "p99 ms", "way p50", "way p99",
       "CPU s/1000", "accepted", "refused", "delivered",
        "lost", "doubled", "changed", "infected delivered", box=None,
    )  # fmt: skip
    for name, many in results.items():
        table.add_row(
            name,
            f"{statistics.median(one.rate for one in many):.0f}",
            f"{statistics.median(one.megabytes / one.delivered_s for one in many):.1f}",
            f"{statistics.median(one.messages / one.answered_s for one in many):.0f}",
            f"{statistics.median(one.quantile(0.5) for one in many):.1f}",
            f"{statistics.median(one.quantile(0.99) for one in many):.1f}",
            f"{statistics.median(one.way_quantile(0.5) for one in many):.0f}",
            f"{statistics.median(one.way_quantile(0.99) for one in many):.0f}",
            f"{statistics.median(one.cpu_s / one.messages * 1000 for one in many):.2f}",
            *(
                str(sum(getattr(one, key) for one in many))
                for key in ("accepted", "refused", "delivered", "lost", "doubled", "changed")
            ),
            f"{sum(one.infected_delivered for one in many)} of {sum(one.infected_sent for one in many)}",
        )
    return table


if __name__ == "__main__":
    main()
