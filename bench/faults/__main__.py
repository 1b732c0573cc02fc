"""`python -m bench.faults`: every fault point of every process under load, and what became of the mail."""

import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import click

from bench.faults.board import Role
from bench.faults.doubles import Why
from bench.faults.house import House
from bench.faults.matrix import Matrix
from bench.faults.points import table, total


@click.command()
@click.option("--runs", default=1, show_default=True, help="In which each fault point is met.")
@click.option("--seconds", default=0.0, help="Stop after so long; 0: when all is done.")
@click.option("--roles", default="relay,supervisor,scanner,control", show_default=True, help="In this order.")
@click.option("--only", default="", help="Only points with this in their name.")
@click.option("--batch", default=60, show_default=True, help="Faults between two accounts.")
@click.option("--clients", default=8, show_default=True)
@click.option("--survey", default=1.0, show_default=True, help="Seconds for each occasion.")
@click.option("--part", default="0/1", show_default=True, help="K/N: one of N parts of the points, from 0.")
@click.option("--clock/--no-clock", default=True, show_default=True, help="The clock is set at first.")
@click.option("--seed", default=0, help="0: another one each time.")
@click.option("--work", type=click.Path(file_okay=False, path_type=Path), help="Default: a new folder.")
def main(
    runs: int,
    seconds: float,
    roles: str,
    only: str,
    batch: int,
    clients: int,
    survey: float,
    part: str,
    clock: bool,
    seed: int,
    work: Path | None,
) -> None:
    """Lost and infected must be 0. Doubled: taken by the next hop before a kill, and not yet written down here."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what it has started ends with it
    base = work or Path(tempfile.mkdtemp(prefix="mailward-faults-", dir="/var/tmp"))
    base.mkdir(parents=True, exist_ok=True)
    seed = seed or time.time_ns() % 1_000_000
    dice = random.Random(seed)
    number, parts = map(int, part.split("/"))
    click.echo(f"seed {seed}, in {base}")
    house = House(base, clients, dice)
    matrix = Matrix(house, dice, click.echo)
    deadline = time.monotonic() + (seconds or 1e9)
    try:
        house.traffic.start()
        house.start()
        found = [point for point in matrix.survey(survey) if only in str(point)]
        click.echo(f"{len(found)} fault points")
        if clock:
            matrix.clocks()
        for name in roles.split(","):
            points = [point for point in found if point.role is Role[name.upper()] and point.part(parts) == number]
            while (wanted := [point for point in points if matrix.is_wanted(point, runs)]) and (
                time.monotonic() < deadline
            ):
                dice.shuffle(wanted)
                matrix.batch((wanted * runs)[:batch], runs)
                (base / "table").write_text("\n".join(table(matrix.tallies)) + "\n")
    finally:
        house.gateway.close()
        report(matrix)
        answers = sorted(house.people.answers.items())
        click.echo("asked of pages: " + ", ".join(f"{name} {status}: {count}" for (name, status), count in answers))
    if work is None and not matrix.bad and not matrix.stuck:
        shutil.rmtree(base)
    raise SystemExit(bool(matrix.bad or matrix.stuck))


def report(matrix: Matrix) -> None:
    for line in table(matrix.tallies):
        click.echo(line)
    for points, account in matrix.bad:
        click.echo(f"BAD: {account}, after")
        for point in points:
            click.echo(f"     {point}")
    whys = Counter(double.why for double in matrix.doubles)
    gaps = sorted(double.gap_s * 1000 for double in matrix.doubles if double.why is Why.KILLED)
    click.echo(
        f"{total(matrix.tallies.values())}; {matrix.accepted} messages accepted; bad batches {len(matrix.bad)}; "
        f"stuck {len(matrix.stuck)}; "
        f"held for a postmaster {matrix.held}; notices of success that the disk cost {matrix.untold}; doubled: "
        + ", ".join(f"{why} {whys[why]}" for why in Why)
        + (f"; taken {gaps[0]:.1f} to {gaps[-1]:.1f} ms before a kill" if gaps else "")
    )


if __name__ == "__main__":
    main()
