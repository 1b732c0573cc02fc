"""One measured run: load in front, sink behind, and the account of every message."""

import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from bench.gateway.corpus import Item
from bench.gateway.peers import Peer
from bench.gateway.processes import cpu_s
from cext.crc32c import crc32c

HERE = Path(__file__).parent
RECIPIENT = "user@bench.example"
QUIET_S = 60.0  # nothing arrived for so long: what is missing is counted as lost
OVER_S = 240.0  # or for so long, if something says that more is to come


@dataclass
class Result:
    peer: str
    messages: int = 0
    accepted: int = 0
    refused: int = 0
    delivered: int = 0
    lost: int = 0
    doubled: int = 0
    doubled_resent: int = 0  # of these, those that the client had to send again
    changed: int = 0
    infected_sent: int = 0
    infected_delivered: int = 0
    answered_s: float = 0.0
    delivered_s: float = 0.0
    megabytes: float = 0.0
    latencies_ms: list[float] = field(default_factory=list)
    cpu_s: float = 0.0
    cpu_by_kind: dict[str, float] = field(default_factory=dict)
    ways_ms: list[float] = field(default_factory=list)  # from MAIL until the sink had it

    def quantile(self, share: float) -> float:
        return _quantile(self.latencies_ms, share)

    def way_quantile(self, share: float) -> float:
        return _quantile(self.ways_ms, share)

    @property
    def rate(self) -> float:
        return self.delivered / self.delivered_s if self.delivered_s else 0.0


def _quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def compile_tools(work: Path) -> None:
    for name in ("load", "sink"):
        source, target = HERE / f"{name}.c", work / name
        if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
            subprocess.run(["gcc", "-O2", "-o", target, source], check=True)


class Sink:
    def __init__(self, work: Path, port: int) -> None:
        self.log = work / "sink.log"
        self._process = subprocess.Popen([work / "sink", str(port), self.log], stdout=subprocess.PIPE, text=True)

    def stop(self) -> float:
        """Returns its CPU seconds."""
        self._process.send_signal(signal.SIGTERM)
        said, _ = self._process.communicate()
        return float(said)


def expected(items: Sequence[Item]) -> list[tuple[str, int]]:
    """CRC-32C and size of what the sink should get behind the X-Bench line."""
    found = []
    for item in items:
        content = item.path.read_bytes()
        found.append((f"{crc32c(content):08x}", len(content)))
    return found


def measure(
    peer: Peer,
    work: Path,
    port: int,
    sink_port: int,
    items: Sequence[Item],
    count: int,
    sessions: int,
    per_session: int = 0,
    disturb: Callable[[], None] | None = None,
    rate: float = 0.0,
    is_over: Callable[[], bool] = lambda: True,
) -> Result:
    """Send `count` messages and account for each. disturb: called while the load runs, which ends when it returns
    (fault tests kill processes there). rate: messages a second, each due at its time; else as fast as it goes.
    is_over: asked when nothing has come for some time, whether nothing will."""
    sink = Sink(work, sink_port)
    log = work / "load.log"
    peer.start()
    before = cpu_s(peer.pids())
    begun = time.monotonic()
    files = work / "files"
    files.write_text("".join(f"{item.path}\n" for item in items))
    with files.open() as standard_input:
        load = subprocess.Popen(
            [work / "load", str(port), str(sessions), str(per_session), str(count), RECIPIENT, log, str(rate)],
            stdin=standard_input,
            stdout=subprocess.PIPE,
            text=True,
        )
    if disturb is not None:
        disturb()
        load.send_signal(signal.SIGTERM)
    said = load.communicate()[0]
    load_ended = time.monotonic()
    if load.returncode:
        raise SystemExit("the load generator gave up")
    count = int(said.split()[0])
    arrivals = _wait_until_quiet(sink.log, count, is_over)
    idle_since = time.monotonic()
    after = cpu_s(peer.pids())  # what has ended meanwhile is in the time of its parent
    used = {kind: after.get(kind, 0.0) - before.get(kind, 0.0) for kind in after.keys() | before.keys()}
    peer.stop()
    sink.stop()
    result = account(peer, log, sink.log, items, count, load_ended - float(said.split()[1]))
    result.answered_s = float(said.split()[1])
    result.delivered_s = max(arrivals - begun, result.answered_s) if arrivals else idle_since - begun
    result.cpu_by_kind = used
    result.cpu_s = sum(used.values())
    return result


def print_account(console: Console, result: Result) -> None:
    console.print(
        f"{result.accepted:,} accepted, {result.refused} refused, {result.lost} lost, {result.doubled} doubled,"
        f" {result.changed} changed, {result.infected_delivered} of {result.infected_sent} infected delivered"
    )


def _wait_until_quiet(log: Path, count: int, is_over: Callable[[], bool]) -> float:
    """Until everything is there, or nothing has come for some time. Returns when the last one came (monotonic)."""
    last_count, last_change = -1, time.monotonic()
    while True:
        ids = {line.split(" ", 1)[0] for line in log.read_text().splitlines()}
        if len(ids) != last_count:
            last_count, last_change = len(ids), time.monotonic()
        quiet_s = time.monotonic() - last_change
        if len(ids) >= count or (quiet_s > QUIET_S and (is_over() or quiet_s > OVER_S)):
            break
        time.sleep(0.05 if quiet_s < QUIET_S else 1.0)
    times = [float(line.split()[3]) for line in log.read_text().splitlines()]
    return max(times) if times else 0.0


def account(peer: Peer, load_log: Path, sink_log: Path, items: Sequence[Item], count: int, load_began: float) -> Result:
    result = Result(peer.name, messages=count)
    sums = expected(items)
    accepted: set[int] = set()
    begun: dict[int, float] = {}
    resent: set[int] = set()
    for line in load_log.read_text().splitlines():
        number, code, latency, at = line.split()
        if code == "resent":
            resent.add(int(number))
            continue
        result.latencies_ms.append(float(latency) * 1000)
        begun[int(number)] = load_began + float(at) - float(latency)
        if code == "250":
            accepted.add(int(number))
        else:
            result.refused += 1
    arrived: Counter[int] = Counter()
    for line in sink_log.read_text().splitlines():
        number, crc, size, at = line.split()
        index = int(number)
        arrived[index] += 1
        if index in begun:
            result.ways_ms.append((float(at) - begun[index]) * 1000)
        untouched = (crc, int(size)) == sums[index % len(items)]
        if items[index % len(items)].infected:
            result.infected_delivered += untouched and peer.scans
        elif not untouched:
            result.changed += 1
        result.megabytes += int(size) / 1e6
    result.accepted = len(accepted)
    result.delivered = len(arrived)
    due = {one for one in accepted if not (peer.discards and items[one % len(items)].infected)}
    result.lost = len(due - arrived.keys())
    doubles = {number: times - 1 for number, times in arrived.items() if times > 1}
    result.doubled = sum(doubles.values())
    result.doubled_resent = sum(times for number, times in doubles.items() if number in resent)
    result.infected_sent = sum(items[number % len(items)].infected for number in range(count))
    return result
