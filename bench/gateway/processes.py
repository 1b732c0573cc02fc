"""What the processes of a peer use, by what they are."""

import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Usage:
    """Of processes of one kind. cpu_s: with that of their children that have ended."""

    processes: int = 0
    cpu_s: float = 0.0
    rss_mb: float = 0.0
    pss_mb: float = 0.0
    own_mb: float = 0.0  # written to, and shared with nobody
    descriptors: int = 0
    threads: int = 0


def usage(pids: Iterable[int], *, memory: bool = True) -> dict[str, Usage]:
    """By kind: the module that Python runs, else the name of the program. What has ended meanwhile is left out.

    memory: also what takes long to find out.
    """
    found: dict[str, Usage] = defaultdict(Usage)
    for pid in pids:
        process = Path(f"/proc/{pid}")
        try:
            kind = _kind(process)
            stat = (process / "stat").read_text()
            pss, own = _memory_mb(process) if memory else (0.0, 0.0)
            descriptors = len(os.listdir(process / "fd"))
        except OSError:
            continue
        fields = stat[stat.rindex(")") + 2 :].split()
        one = found[kind]
        one.processes += 1
        one.cpu_s += sum(map(int, fields[11:15])) / TICK
        one.threads += int(fields[17])
        one.rss_mb += int(fields[21]) * PAGE / 1e6
        one.pss_mb += pss
        one.own_mb += own
        one.descriptors += descriptors
    return dict(found)


def cpu_s(pids: Iterable[int]) -> dict[str, float]:
    return {kind: one.cpu_s for kind, one in usage(pids, memory=False).items()}


def _kind(process: Path) -> str:
    words = (process / "cmdline").read_bytes().split(b"\0")
    name = (process / "comm").read_text().split()[0]
    if b"-m" in words and name.startswith("python"):
        return words[words.index(b"-m") + 1].decode()
    return name  # not the command line: there some tell how they do


def _memory_mb(process: Path) -> tuple[float, float]:
    """Proportional to who shares it, and its own."""
    found = dict(line.split(":") for line in (process / "smaps_rollup").read_text().splitlines() if ":" in line)
    pss, own = (int(found.get(name, "0 kB").split()[0]) / 1000 for name in ("Pss", "Private_Dirty"))
    return pss, own
