"""`python -m bench.backlog`: a gateway with a hundred thousand messages for a thousand dead next hops.

What a relay takes for it in memory, how long a start takes, what it costs fresh mail to a next hop that lives, and how
long pages and commands take. The messages are written by the queue's own code.
"""

import http.cookiejar
import re
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path

import click
import msgspec

from bench.gateway import corpus, run
from bench.gateway.peers import Mailward
from bench.ports import free_port
from engine import config
from engine.config import Settings
from engine.config.delivery import Route
from engine.ids import IdMaker
from engine.queue import framing, listing
from engine.queue.disk import Disk
from engine.queue.files import MessageFiles
from engine.queue.record import Attempt, Disposition, Moved, Received, Recipient, Result, Verdict
from engine.queue.state import SLOW

PASSWORD = "correct horse battery"
BODY = b"Subject: waits\r\n\r\n" + b"some words of a message that waits for its next hop\r\n" * 60


class _NoSync(Disk):
    """What is only measured need not survive."""

    def fsync(self, fd: int) -> None:
        return


def fill(root: Path, count: int, hops: int, relays: int) -> None:
    """Messages in the slow queue, spread over the relays, each tried some times."""
    files = MessageFiles(root / "queue", _NoSync())
    files.prepare()
    start_ns = time.time_ns() - 2 * 86_400 * 1_000_000_000
    makers = [IdMaker(number, lambda: 0) for number in range(relays)]
    for number in range(count):
        maker = makers[number % relays]
        at_ns = start_ns + number * 86_400 * 1_000_000_000 // count
        maker._last = max(maker._last, at_ns // 1000)
        smtp_id = maker.next()
        recipient = Recipient(f"user{number}@dead{number % hops}.example")
        received = Received(
            smtp_id, at_ns, "c" + smtp_id.lower(), "192.0.2.1", 2525, "client.example", "ESMTP", "",
            f"sender{number % 5000}@example.org", (recipient,),
        )  # fmt: skip
        due_ns = time.time_ns() + (60 + number * 7 % 7200) * 1_000_000_000
        notes = [
            Verdict(smtp_id, "clean", Disposition.DELIVER, subject="waits"),
            *[Attempt(smtp_id, at_ns, 0, Result.PENDING, "connection refused", "")] * 4,
            Moved(smtp_id, at_ns, SLOW, "connection refused", due_ns, 4),
        ]
        files.write(SLOW, smtp_id, framing.encode(received), [BODY], [framing.encode(note) for note in notes])


def change(hops: int, good: int) -> Callable[[Settings], Settings]:
    """Routes to addresses of their own, where nobody listens."""
    dead = free_port()
    routes = [Route("bench.example", "127.0.0.1", good)]
    routes += [Route(f"dead{n}.example", f"127.1.{n // 250}.{n % 250 + 1}", dead) for n in range(hops)]

    def changed(settings: Settings) -> Settings:
        replace = msgspec.structs.replace
        return replace(
            settings,
            routing=replace(settings.routing, local=tuple(routes)),
            delivery=replace(settings.delivery, retry_first_s=300, retry_last_s=14_400),
            processes=replace(settings.processes, relays=2),
        )

    return changed


def memory_mb(pids: list[int], module: bytes) -> list[int]:
    """Of what runs that module: octets that are its own, in MiB."""
    found = []
    for pid in pids:
        if module in Path(f"/proc/{pid}/cmdline").read_bytes():
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            kilobytes = sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Private_"))
            found.append(kilobytes // 1024)
    return found


class Pages:
    """A person who is logged on."""

    def __init__(self, port: int, password: str) -> None:
        self._base = f"https://127.0.0.1:{port}"
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        context = urllib.request.HTTPSHandler(context=ssl._create_unverified_context())
        self._opener = urllib.request.build_opener(cookies, context)
        token = re.search(r'name="token" value="([0-9a-f]+)"', self.get("/logon"))
        fields = {"token": token[1] if token else "", "user": "admin", "password": password, "next": ""}
        self._opener.open(self._base + "/logon", urllib.parse.urlencode(fields).encode())

    def get(self, path: str) -> str:
        with self._opener.open(self._base + path) as answer:
            return str(answer.read().decode())


def timed(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def command(root: Path, *words: str) -> None:
    arguments = [sys.executable, "-m", "control.cli", "queue", *words, f"--root={root}"]
    subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)


@click.command()
@click.option("--count", default=100_000, show_default=True, help="Messages that wait.")
@click.option("--hops", default=1000, show_default=True, help="Next hops where nobody answers.")
@click.option("--mail", default=5000, show_default=True, help="Fresh messages in a measured run.")
@click.option("--rounds", default=3, show_default=True, help="Runs with and without the backlog, in turns.")
def main(count: int, hops: int, mail: int, rounds: int) -> None:
    """Two relays. Medians; throughput is that of fresh 4 KB mail to a next hop that takes it."""
    base = Path(tempfile.mkdtemp(prefix="mailward-backlog-", dir="/var/tmp"))
    run.compile_tools(base)
    items = corpus.build(base / "text", "text", 200)
    gateways: dict[str, Mailward] = {}
    sinks: dict[str, int] = {}
    for name in ("empty", "full"):
        place = base / name
        place.mkdir()
        for tool in ("load", "sink"):
            shutil.copy(base / tool, place / tool)
        port, sink = free_port(), free_port()
        gateways[name] = Mailward(place, port, sink, change=change(hops, sink))
        sinks[name] = sink
        gateways[name].start()
        gateways[name].stop()
    full = gateways["full"]
    filling = timed(lambda: fill(full.root, count, hops, 2))
    click.echo(f"{count} messages for {hops} next hops written in {filling:.0f} s")
    looked_at(full)
    rates: dict[str, list[float]] = {"empty": [], "full": []}
    for _ in range(rounds):
        for name, gateway in gateways.items():
            result = run.measure(gateway, gateway.root.parent, gateway.port, sinks[name], items, mail, 20)
            rates[name].append(result.rate)
            click.echo(f"{name:6} {result.rate:6.0f} messages/s, lost {result.lost}, doubled {result.doubled}")
    ratio = statistics.median(full / empty for full, empty in zip(rates["full"], rates["empty"], strict=True))
    click.echo(f"fresh mail with the backlog: {ratio:.2f} of that without")
    shutil.rmtree(base)


def looked_at(gateway: Mailward) -> None:
    """Start, memory, pages and commands."""
    root = gateway.root
    subprocess.run(
        [sys.executable, "-m", "control.cli", "password", f"--root={root}", f"--password={PASSWORD}"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    click.echo(f"start until ready: {timed(gateway.start):.1f} s")
    click.echo(f"memory of relays, MiB: {memory_mb(gateway.pids(), b'engine.relay')}")
    pages = Pages(config.load(root / config.FILE_NAME).web.https.port, PASSWORD)
    for path in ("/queues/overview", "/queues/slow", "/queues/fast", "/queues/slow?recipient=user99999@", "/status"):
        times = [timed(lambda path=path: pages.get(path)) for _ in range(3)]  # type: ignore[misc]
        click.echo(f"page {path:35} first {times[0]:.2f} s, then {min(times[1:]):.2f} s")
    first = next(iter(listing.Queue(root, (SLOW,)))).id
    for words in (["list", "--limit=20"], ["list", "--json"], ["list", "--json", "--to=user77@"], ["stats"],
                  ["stats", "--json", "--senders"], ["show", first], ["hold", first], ["release", first]):  # fmt: skip
        click.echo(f"mailward queue {' '.join(words):35} {timed(lambda words=words: command(root, *words)):.1f} s")  # type: ignore[misc]
    click.echo(f"memory of relays then, MiB: {memory_mb(gateway.pids(), b'engine.relay')}; of the pages "
               f"{memory_mb(gateway.pids(), b'control.serve')}")  # fmt: skip
    gateway.stop()


if __name__ == "__main__":
    main()
