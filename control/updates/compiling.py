"""From ClamAV's databases to a definitions file, in a process of its own at the lowest priority.

`python -m control.updates.compiling` reads a Task as JSON from its standard input and writes a line for each step, and
at the end a Done, to its standard output. A database is what `NAME.cvd` or `NAME.cld` has, after the increments that
lie beside it as `NAME-VERSION.cdiff`. Everything is checked by ClamAV's signatures: containers as a whole, increments
each by its own, and what comes of them by the signed list of files in it.
"""

import contextlib
import errno
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from control.updates import background
from control.updates.trial import FROM_OUTSIDE
from engine import durable
from signatures.clamav import cdiff, container

COMPILE_S: Final = 3600.0
PROCESSOR_S: Final = 3600
ADDRESS_SPACE: Final = 12 << 30
NICENESS: Final = 19
COMPILED: Final = "compiled.mwd"
_DSIG: Final = b"DSIG:"


class Keys(msgspec.Struct, frozen=True):
    """Moduli of those who sign, in decimal; their exponents are ClamAV's."""

    containers: str = str(container.KEY_MODULUS)
    increments: str = str(cdiff.MODULUS)


class Task(msgspec.Struct, frozen=True):
    """databases: names and the versions that increments lead to."""

    directory: str
    databases: dict[str, int]
    keys: Keys = Keys()


class Done(msgspec.Struct, frozen=True):
    """date: the newest of the databases, seconds since 1970. broken: names of databases that have to come anew."""

    taken: int = 0
    refused: int = 0
    date: int = 0
    problem: str = ""
    broken: tuple[str, ...] = ()


class NotCompiled(Exception):
    """And why, in words. broken: names of databases that have to be fetched as a whole."""

    def __init__(self, text: str, broken: tuple[str, ...] = ()) -> None:
        super().__init__(text)
        self.broken = broken


def compiled(task: Task, begun: Callable[[str], None], stopped: Callable[[], bool]) -> Done:
    """The file is `compiled.mwd` in the directory then. Raises NotCompiled, OSError."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-s", "-m", "control.updates.compiling"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None and process.stdout is not None
    ending = threading.Timer(COMPILE_S, process.kill)
    ending.daemon = True
    ending.start()
    last = b""
    try:
        with contextlib.suppress(BrokenPipeError), process.stdin:  # it says below how it ended
            process.stdin.write(msgspec.json.encode(task))
        for line in process.stdout:
            if stopped():
                raise NotCompiled("the service was stopped")
            last = line
            if not line.startswith(b"{"):
                begun(line.decode("utf-8", "replace").strip()[:200])
    finally:
        ending.cancel()
        process.kill()
        process.wait()
        process.stdout.close()
    try:
        done = msgspec.json.decode(last, type=Done)
    except msgspec.MsgspecError:
        if -process.returncode in FROM_OUTSIDE:
            raise InterruptedError(errno.EINTR, "compiling was ended from outside") from None
        raise NotCompiled(
            f"compiling ended early, with status {process.returncode}: are there enough memory and disk space?"
        ) from None
    if done.problem:
        raise NotCompiled(done.problem, done.broken)
    return done


# --- inside of the process ------------------------------------------------------------------------


class _Broken(Exception):
    pass


def _main() -> int:
    background.settle(NICENESS, PROCESSOR_S, ADDRESS_SPACE)
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    directory = Path(task.directory)
    container.KEY_MODULUS = int(task.keys.containers)  # of this process alone
    broken = []
    dates = []
    for name, version in task.databases.items():
        try:
            dates.append(_brought_up(directory, name, version, task))
        except _Broken as error:
            broken.append((name, str(error)))
    if broken:
        text = "; ".join(f"{name}: {why}" for name, why in broken)
        return _say(Done(problem=text, broken=tuple(name for name, _ in broken)))
    return _say(_compiled(directory, task, max(dates)))


def _say(done: Done) -> int:
    print(msgspec.json.encode(done).decode(), flush=True)
    return os.EX_OK


def _brought_up(directory: Path, name: str, version: int, task: Task) -> int:
    """Apply the increments; what is there then is checked. Returns the time of the database."""
    path = _container(directory, name)
    octets = path.read_bytes()
    header = container.header(octets)
    increments = list(range(header.version + 1, version + 1))
    try:
        files = dict(container.members(octets, path.suffix))
        built = _told(files, name, header.version)
        if not increments:
            return built
        for number in increments:
            print(f"Applying {name} {number}", flush=True)
            diff = directory / f"{name}-{number}.cdiff"
            key = int(task.keys.increments)
            files = cdiff.run(cdiff.script_of(diff.read_bytes(), number, key), files)
        return _kept(directory, name, version, files, key)
    except (container.BadContainer, cdiff.BadDiff) as error:
        raise _Broken(str(error)) from None


def _container(directory: Path, name: str) -> Path:
    found = [path for suffix in (".cld", ".cvd") if (path := directory / f"{name}{suffix}").exists()]
    if not found:
        raise _Broken("there is no database")
    return found[0]


def _told(files: dict[str, bytes], name: str, version: int) -> int:
    """When it was built, by the list of its files: that is signed, and what the container begins with is not."""
    first = files.get(f"{name}.info", b"").partition(b"\n")[0]
    header = container.header(first.ljust(container.HEADER_LEN))
    if header.version != version:
        raise _Broken(f"it says that it is version {version}, and is {header.version}")
    return header.time


def _kept(directory: Path, name: str, version: int, files: dict[str, bytes], key: int) -> int:
    """Check what came of increments by its signed list, and write it as a local container."""
    info = files.get(f"{name}.info", b"")
    listed, mark, signature = info.rpartition(_DSIG)
    if not mark or not cdiff.is_signed(listed, signature.strip(), key):
        raise _Broken("the list of its files is not signed")
    first, built = listed.partition(b"\n")[0], _told(files, name, version)
    sums = container.infos(info)
    for file, content in files.items():
        if file != f"{name}.info" and sums.get(file) != hashlib.sha256(content).hexdigest():
            raise _Broken(f"{file} did not become what it should")
    with durable.replacing(directory / f"{name}.cld", 0o640) as half, half.open("wb") as out:
        out.write(first[: container.HEADER_LEN].ljust(container.HEADER_LEN))
        with tarfile.open(fileobj=out, mode="w|") as archive:
            for file, content in files.items():
                member = tarfile.TarInfo(file)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    (directory / f"{name}.cvd").unlink(missing_ok=True)
    return built


def _compiled(directory: Path, task: Task, date: int) -> Done:
    from signatures import image
    from signatures.clamav.collect import collect
    from signatures.compile import read_all, starter

    print("Reading the databases", flush=True)
    taken = collect([_container(directory, name) for name in task.databases])
    own = read_all(starter())
    print(f"Compiling {len(taken.signatures):,} signatures", flush=True)
    octets = image.build([*own.signatures, *taken.signatures], annexes={**own.annexes(), **taken.annexes()})
    durable.put(directory / COMPILED, octets, 0o640)
    return Done(taken=sum(taken.counts.values()), refused=len(taken.refused), date=date)


if __name__ == "__main__":
    sys.exit(_main())
