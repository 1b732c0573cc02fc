"""`python -m bench.faults`: every fault point of every process under load, and what became of the mail."""

import random
import shutil
import tempfile
import time
from pathlib import Path

import click

from bench.faults.board import Role
from bench.faults.matrix import House, Matrix
from bench.ports import free_port


@click.command()
@click.option("--runs", default=1, show_default=True, help="Of each fault point.")
@click.option("--seconds", default=0.0, help="Stop after so long; 0: when all is done.")
@click.option("--roles", default="relay,scanner,supervisor,control", show_default=True)
@click.option("--only", default="", help="Only points with this in their name.")
@click.option("--batch", default=10, show_default=True, help="Faults between two accounts.")
@click.option("--clients", default=8, show_default=True)
@click.option("--seed", default=0, help="0: another one each time.")
@click.option("--work", type=click.Path(file_okay=False, path_type=Path), help="Default: a new folder.")
def main(
    runs: int, seconds: float, roles: str, only: str, batch: int, clients: int, seed: int, work: Path | None
) -> None:
    """Lost and infected must be 0. Doubled: taken by the next hop before a kill, and not yet written down here."""
    base = work or Path(tempfile.mkdtemp(prefix="mailward-faults-", dir="/var/tmp"))
    base.mkdir(parents=True, exist_ok=True)
    seed = seed or time.time_ns() % 1_000_000
    dice = random.Random(seed)
    click.echo(f"seed {seed}, in {base}")
    house = House(base, free_port(), free_port(), clients)
    house.traffic.start()
    house.start()
    matrix = Matrix(house, dice, click.echo)
    wanted = {Role[name.upper()] for name in roles.split(",")}
    points = [point for point in matrix.survey(6.0) if point.role in wanted and only in str(point)]
    click.echo(f"{len(points)} fault points")
    deadline = time.monotonic() + (seconds or 1e9)
    try:
        for _ in range(runs):
            dice.shuffle(points)
            for at in range(0, len(points), batch):
                if time.monotonic() < deadline:
                    matrix.batch(points[at : at + batch])
    finally:
        house.gateway.stop()
    report(matrix)
    if work is None and not matrix.bad:
        shutil.rmtree(base)
    raise SystemExit(bool(matrix.bad))


def report(matrix: Matrix) -> None:
    for point, tally in sorted(matrix.tallies.items(), key=lambda item: str(item[0])):
        click.echo(f"{point!s:50} {tally.runs:4} runs, met {tally.met}")
    for points, account in matrix.bad:
        click.echo(f"BAD: {account}, after")
        for point in points:
            click.echo(f"     {point}")
    tallies = matrix.tallies.values()
    gaps = sorted(gap * 1000 for gap in matrix.doubled)
    click.echo(
        f"{sum(one.runs for one in tallies)} runs at {len(tallies)} points, {sum(one.met for one in tallies)} met; "
        f"{matrix.accepted} messages accepted; bad batches {len(matrix.bad)}; doubled {len(gaps)}"
        + (f", taken {gaps[0]:.1f} to {gaps[-1]:.1f} ms before a kill" if gaps else "")
    )


if __name__ == "__main__":
    main()
