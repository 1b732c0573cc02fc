"""`python -m bench.quarantine --minutes 10`: the central quarantine server is killed under infected load.

A real gateway, a real server, and load of clean and infected mail, three times: without quarantine, with the server,
and with the server killed for so many minutes. Then it is started again, and what it has is compared with what was
sent, file by file. It ends with 1 if mail was lost or changed, a file is missing, or the local store passed its bounds.
"""

import base64
import hashlib
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

import click
import msgspec
from rich.console import Console
from rich.table import Table

from bench.gateway import corpus, run
from bench.gateway.corpus import EICAR, Item
from bench.gateway.peers import START_S, Mailward
from bench.ports import free_port
from control.quarantine_server import authority
from control.quarantine_server.index import Index
from control.quarantine_server.layout import ServerLayout
from control.quarantine_server.vault import Vault
from engine.config import Quarantine, QuarantinedFiles, Settings
from engine.limits import MIB, QUARANTINE_ITEMS
from engine.quarantine.folder import Folder

CLEAN: Final = 180
INFECTED: Final = 20  # different files, so that digests tell one from another
LOOK_S: Final = 0.5
DRAIN_S: Final = 1800.0
OTHERS_S: Final = 30.0  # for the two runs to compare with, at most


class Server:
    """The central quarantine server, with its own settings and one enrolled gateway."""

    def __init__(self, work: Path) -> None:
        self.layout = ServerLayout(work / "central")
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        (work / "password").write_text("a password of the bench")
        subprocess.run(
            [
                *(sys.executable, "-m", "control.cli", "quarantine", "init", f"--root={self.layout.root}"),
                *("--name=127.0.0.1", f"--admin-password-file={work / 'password'}"),
                *(f"--gateways=127.0.0.1:{self.port}", f"--pages=127.0.0.1:{free_port()}"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        self.enrollment = authority.enroll(self.layout, "bench")

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "control.cli", "quarantine", "serve", "--root", str(self.layout.root)],
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], START_S)[0] or not self._process.stdout.readline():
            raise SystemExit("the quarantine server did not start")

    def end(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.communicate()
            self._process = None

    def has(self) -> Counter[str]:
        """Digests of all items, each content read and checked."""
        index = Index(self.layout.index)
        try:
            with index.transaction() as connection:
                found = Counter(row[0] for row in connection.execute("SELECT sha256 FROM item"))
        finally:
            index.close()
        vault = Vault(self.layout)
        for sha256 in found:
            if hashlib.sha256(vault.content(sha256)).hexdigest() != sha256:
                raise SystemExit(f"the server has another file for {sha256}")
        return found


class Local:
    """The most that lay in the local store."""

    def __init__(self, root: Path) -> None:
        self._folder = Folder(root / "quarantine")
        self.files = self.octets = 0

    def look(self) -> int:
        entries = self._folder.entries()
        self.files = max(self.files, len(entries))
        self.octets = max(self.octets, sum(entry.length for entry in entries))
        return len(entries)


def infected(folder: Path) -> tuple[list[Item], list[str]]:
    """Messages, and the digests of the files that are to be put aside."""
    chance = random.Random(1)
    items, digests = [], []
    for number in range(INFECTED):
        file = EICAR + bytes(chance.choices(b" \t", k=50)) + b"\r\n"  # as much as may follow it, and still be it
        path = folder / f"infected-{number}.eml"
        path.write_bytes(
            b"From: a@bench.example\r\nTo: b@bench.example\r\nSubject: %d\r\nMIME-Version: 1.0\r\n"
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\n"
            b'Content-Type: application/octet-stream; name="tool.com"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
            b"%s\r\n--b--\r\n" % (number, base64.b64encode(file))
        )
        items.append(Item(path, True))
        digests.append(hashlib.sha256(file).hexdigest())
    return items, digests


def mixed(clean: Sequence[Item], bad: Sequence[Item]) -> list[Item]:
    step = len(clean) // len(bad)
    return [one for at, item in enumerate(bad) for one in (*clean[at * step : (at + 1) * step], item)]


def accepted(log: Path) -> Iterable[int]:
    for line in log.read_text().splitlines():
        number, code, *_ = line.split()
        if code == "250":
            yield int(number)


@click.command()
@click.option("--minutes", default=10.0, show_default=True, help="How long the server is dead.")
@click.option("--sessions", default=10, show_default=True)
def main(minutes: float, sessions: int) -> None:
    work = Path(tempfile.mkdtemp(prefix="mailward-bench-"))
    try:
        sys.exit(_run(work, minutes * 60, sessions))
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _run(work: Path, dead_s: float, sessions: int) -> int:
    run.compile_tools(work)
    bad, digests = infected(work)
    items = mixed(corpus.build(work / "corpus", "text", CLEAN), bad)
    at = {index: digests[bad.index(item)] for index, item in enumerate(items) if item.infected}
    server = Server(work)
    sent: Counter[str] = Counter()

    def load(name: str, seconds: float, quarantine: Quarantine, disturb: Callable[[Mailward], None]) -> run.Result:
        folder = work / name.replace(" ", "-")
        folder.mkdir()

        def change(settings: Settings) -> Settings:
            (folder / "mailward" / "tls" / "quarantine.pem").write_bytes(server.enrollment)
            return msgspec.structs.replace(settings, quarantine=quarantine)

        peer = Mailward(folder, free_port(), sink := free_port(), change=change)
        peer.name, local = name, Local(peer.root)

        def meanwhile() -> None:
            disturb(peer)
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                local.look()
                time.sleep(LOOK_S)

        result = run.measure(peer, work, peer.port, sink, items, 100_000_000, sessions, disturb=meanwhile)
        if quarantine.what is not QuarantinedFiles.NOTHING:
            sent.update(at[number % len(items)] for number in accepted(work / "load.log") if number % len(items) in at)
            _drain(peer, local, server)
        results.append((result, local))
        return result

    results: list[tuple[run.Result, Local]] = []
    central = Quarantine(what=QuarantinedFiles.ALL, server="127.0.0.1", port=server.port)
    others_s = min(dead_s, OTHERS_S)
    load("no quarantine", others_s, Quarantine(what=QuarantinedFiles.NOTHING), lambda peer: None)
    server.start()
    load("server up", others_s, central, lambda peer: None)
    before = server.has()
    load("server killed", dead_s, central, lambda peer: server.end(signal.SIGKILL))
    server.end(signal.SIGTERM)
    return _told(results, sent, before, server.has(), central)


def _drain(peer: Mailward, local: Local, server: Server) -> None:
    """What lies there is sent, also over a restart of the gateway."""
    waiting = local.look()
    server.end(signal.SIGTERM)
    server.start()
    peer.start()
    begun = time.monotonic()
    while local.look() and time.monotonic() - begun < DRAIN_S:
        time.sleep(LOOK_S)
    took_s = time.monotonic() - begun
    peer.stop()
    click.echo(f"{peer.name}: {waiting:,} files waited at the end of the load, and were sent in {took_s:.1f} s")


def _told(
    results: Sequence[tuple[run.Result, Local]],
    sent: Counter[str],
    before: Counter[str],
    has: Counter[str],
    bounds: Quarantine,
) -> int:
    table = Table("run", "messages/s", "median ms", "99 % ms", "lost", "changed", "infected out", "local files", "KiB")
    for result, local in results:
        table.add_row(
            *(result.peer, f"{result.rate:.0f}", f"{result.quantile(0.5):.1f}", f"{result.quantile(0.99):.1f}"),
            *(str(result.lost), str(result.changed), str(result.infected_delivered)),
            *(f"{local.files:,}", f"{local.octets // 1024:,}"),
        )
    Console(width=140).print(table)
    missing, more = sent - has, has - sent
    click.echo(
        f"accepted infected: {sent.total():,}; on the server: {has.total():,} ({before.total():,} before it was"
        f" killed); missing: {missing.total()}; doubled: {more.total()}; different files: {len(has)} of {len(sent)}"
    )
    within = all(local.octets <= bounds.max_mb * MIB and local.files <= QUARANTINE_ITEMS for _, local in results)
    click.echo(f"local store within {bounds.max_mb} MiB and {QUARANTINE_ITEMS:,} files: {'yes' if within else 'NO'}")
    clean = not any(result.lost or result.changed or result.infected_delivered for result, _ in results)
    return 0 if clean and within and not missing and not more else 1


if __name__ == "__main__":
    main()
