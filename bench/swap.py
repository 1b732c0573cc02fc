"""`python -m bench.swap`: put definitions in force while mail comes at a fixed rate, and see whether any of it waits.

Each message is due at its time, whatever the gateway does (an open loop), and its transaction is timed from then on.
Swaps and quiet take turns, so that both see the same machine. The sets are made before; how they come to a gateway is
the matter of bench.updates. Also told: what memory each scanner has of its own, before the first and after the last.
"""

import contextlib
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Final

import click
from rich.console import Console

from bench.gateway import corpus, run
from bench.gateway.peers import Mailward
from bench.ports import free_port
from bench.updates import Journals, Update, built, latencies, print_latencies
from engine.layout import Layout

AFTER_S: Final = 1.0  # that counts as during the swap: what was replaced is still tidied up
PATIENCE_S: Final = 60.0
POLL_S: Final = 0.01


class Swapping:
    """What happens while the load runs."""

    def __init__(self, gateway: Mailward, sets: list[Path], rounds: int, quiet_s: float) -> None:
        self._gateway = gateway
        self._sets = sets
        self._rounds = rounds
        self._quiet_s = quiet_s
        self.load_begun = 0.0
        self.swaps: list[Update] = []
        self.before: list[int] = []  # KiB of each scanner
        self.after: list[int] = []

    def __call__(self) -> None:
        self.load_begun = time.monotonic()
        layout = Layout(self._gateway.root)
        target = layout.definitions / "starter.mwd"
        journals = Journals(layout)
        time.sleep(self._quiet_s)
        self.before = self._own_kib()
        for number in range(self._rounds):
            time.sleep(self._quiet_s)
            journals.look()
            seen, journals.relays = len(journals.relays), {}
            shutil.copyfile(self._sets[number % len(self._sets)], beside := target.with_suffix(".new"))
            begun = time.monotonic()
            os.replace(beside, target)
            while len(journals.relays) < seen:
                if time.monotonic() > begun + PATIENCE_S:
                    raise SystemExit(f"not in force after {PATIENCE_S:g} s: see {layout.journal}")
                time.sleep(POLL_S)
                journals.look()
            time.sleep(AFTER_S)
            self.swaps.append(Update(begun, begun, time.monotonic()))
        time.sleep(self._quiet_s)
        self.after = self._own_kib()

    def _own_kib(self) -> list[int]:
        found = []
        for pid in self._gateway.pids():
            with contextlib.suppress(OSError):
                if b"engine.scanner.worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
                    found.append(sum(int(line.split()[1]) for line in lines if line.startswith("Private_")))
        return sorted(found)


@click.command()
@click.option("--signatures", default=100_000, show_default=True, help="In the definitions.")
@click.option("--databases", type=click.Path(exists=True, path_type=Path), help="Of ClamAV or YARA, in addition.")
@click.option("--rate", default=100.0, show_default=True, help="Messages a second.")
@click.option("--sessions", default=40, show_default=True, help="SMTP connections of the load.")
@click.option("--rounds", default=20, show_default=True, help="Swaps.")
@click.option("--quiet", default=3.0, show_default=True, help="Seconds of load between them.")
@click.option("--folder", default="/var/tmp", show_default=True, help="In memory, others cannot keep the disk busy.")
def main(
    signatures: int, databases: Path | None, rate: float, sessions: int, rounds: int, quiet: float, folder: str
) -> None:
    """Whether mail waits while definitions are put in force."""
    base = Path(tempfile.mkdtemp(prefix="mailward-bench-", dir=folder))
    base.chmod(0o755)
    try:
        sets = built(base, signatures, 2, databases)
        run.compile_tools(base)
        items = corpus.build(base / "mix", "mix", 200)
        port, sink = free_port(), free_port()
        gateway = Mailward(base, port, sink, definitions=sets[-1])
        swapping = Swapping(gateway, sets, rounds, quiet)
        try:
            result = run.measure(gateway, base, port, sink, items, 100_000_000, sessions, disturb=swapping, rate=rate)
        finally:
            gateway.stop()
        during, other = latencies(base / "load.log", swapping.load_begun, swapping.swaps)
    finally:
        shutil.rmtree(base)
    console = Console(width=110)
    print_latencies(console, during, other)
    swaps = sorted(one.ended - one.begun - AFTER_S for one in swapping.swaps)
    console.print(f"{len(swaps)} swaps, in force after {swaps[len(swaps) // 2]:.2f} s, {swaps[-1]:.2f} s at most")
    console.print(f"KiB of a scanner's own: {swapping.before} before the first, {swapping.after} after the last")
    run.print_account(console, result)
    if result.lost or result.refused or result.changed or result.infected_delivered:
        raise SystemExit("messages were lost, refused, changed, or came through infected")


if __name__ == "__main__":
    main()
