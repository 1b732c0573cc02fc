"""The whole scan of messages (walk, decode, match, digests where needed) beside clamd, with the same signatures.

`python -m bench.message_scan DATABASES` takes a folder of ClamAV's databases; both get those files of it that clamd
loads. One core each, rounds take turns, medians of processor time: clamd's from /proc, asked through one session of its
Unix socket, so that no connection is made for a message. Both must find the same number of infected messages.

`python -m bench.message_scan --corpus FOLDER DATABASES` scans the files of a folder instead of the generated mix.
"""

import argparse
import contextlib
import os
import shutil
import socket
import statistics
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from bench.gateway import corpus
from cext.automaton import Image
from engine.config import Settings
from engine.scan import knowledge
from engine.scan.service import examine
from signatures.clamav.collect import collect
from signatures.image import build

MESSAGES: Final = 200
ROUNDS: Final = 3
PATIENCE_S: Final = 120.0
SHARED: Final = frozenset({".hdb", ".hsb", ".ndb", ".ldb", ".mdb", ".msb"})
_TICKS: Final = os.sysconf("SC_CLK_TCK")

Scan = Callable[[list[bytes]], tuple[int, float]]  # messages -> (infected, seconds of processor time)


def databases(folder: Path, target: Path) -> Path:
    """Copies of what both take, each under a name of its own, and a line for what the mix is infected with."""
    target.mkdir()
    (target / "mix.ndb").write_text(f"Bench.Eicar:0:*:{corpus.EICAR.hex()}\n")
    for number, path in enumerate(sorted(folder.rglob("*"))):
        if path.suffix in SHARED and path.is_file():
            shutil.copyfile(path, target / f"{number}{path.suffix}")
    return target


def ours(folder: Path) -> Image:
    taken = collect([folder])
    return knowledge.load(build(taken.signatures, annexes=taken.annexes()))


def scan_ours(image: Image) -> Scan:
    settings = Settings()

    def scan(messages: list[bytes]) -> tuple[int, float]:
        begun = time.process_time()
        infected = sum(bool(examine(one, image, settings).facts.matches) for one in messages)
        return infected, time.process_time() - begun

    return scan


@contextlib.contextmanager
def clamd(folder: Path, work: Path) -> Iterator[Scan]:
    path = work / "clamd.sock"
    config = work / "clamd.conf"
    config.write_text(
        f"LocalSocket {path}\nDatabaseDirectory {folder}\nForeground yes\nMaxThreads 1\n"
        "ConcurrentDatabaseReload no\nDisableCache yes\n"
        f"LogFile {work / 'clamd.log'}\nStreamMaxLength 200M\nMaxScanSize 400M\nMaxFileSize 200M\nUser {_user()}\n"
    )
    process = subprocess.Popen(["clamd", f"--config-file={config}"], stdout=subprocess.DEVNULL)
    try:
        with _connected(path) as peer:
            yield lambda messages: _asked(peer, process.pid, messages)
    finally:
        process.terminate()
        process.wait()


def _user() -> str:
    return "root" if os.getuid() == 0 else os.environ["USER"]


def _connected(path: Path) -> socket.socket:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        peer = socket.socket(socket.AF_UNIX)
        peer.settimeout(PATIENCE_S)
        try:
            peer.connect(os.fspath(path))
        except OSError:
            peer.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            peer.sendall(b"zIDSESSION\0")
            return peer


def _asked(peer: socket.socket, pid: int, messages: list[bytes]) -> tuple[int, float]:
    begun, infected = _processor_s(pid), 0
    for message in messages:
        peer.sendall(b"zINSTREAM\0" + struct.pack(">I", len(message)) + message + bytes(4))
        answer = b""
        while not answer.endswith(b"\0"):
            answer += peer.recv(4096)
        if b"ERROR" in answer:
            raise RuntimeError(f"clamd: {answer!r}")
        infected += b"FOUND" in answer
    return infected, _processor_s(pid) - begun


def _processor_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("databases", type=Path)
    parser.add_argument("--corpus", type=Path, help="messages to scan; without it a generated mix")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        if given.corpus:
            messages = [path.read_bytes() for path in sorted(given.corpus.rglob("*")) if path.is_file()]
        else:
            messages = [one.path.read_bytes() for one in corpus.build(work / "mail", "mix", MESSAGES)]
        folder = databases(given.databases, work / "databases")
        with clamd(folder, work) as scan_clamd:
            peers: dict[str, Scan] = {"mailward": scan_ours(ours(folder)), "clamd": scan_clamd}
            found: dict[str, list[tuple[int, float]]] = {name: [] for name in peers}
            for _ in range(ROUNDS):
                for name, scan in peers.items():
                    found[name].append(scan(messages))
    size = sum(map(len, messages)) / 1e6
    print(f"{len(messages)} messages, {size:.1f} MB, {ROUNDS} rounds")
    seconds = {name: statistics.median(one for _, one in runs) for name, runs in found.items()}
    for name, runs in found.items():
        print(f"{name:10} {seconds[name]:8.3f} s {size / seconds[name]:8.1f} MB/s   infected {runs[0][0]}")
    print(f"ratio {seconds['clamd'] / seconds['mailward']:.1f}")


if __name__ == "__main__":
    main()
