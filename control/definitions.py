"""The definitions files of an installation: which one is in force, which one it replaced, which others lie there.

    definitions/NAME.mwd        in force: the file that the setting antivirus.definitions names
    definitions/previous.mwd    what it replaced, to go back to
    definitions/installed.json  who put the file in force there, and when
    definitions/candidate.mwd   what relays try on copies of live mail, before it comes into force
    definitions/fetched/        what updates were fetched
    definitions/OTHER.mwd       anything that somebody copied there, to be chosen

A change is one rename, after the whole image was checked; the relays see it within a second, have their scanners load
it beside the old one, and tell in the journal whether they work with it (DEF-16). Nothing is ever changed in a file.
"""

import contextlib
import mmap
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from engine import definitions, durable
from engine.config import Settings
from engine.definitions import DefinitionsRefused
from engine.layout import Layout
from signatures.finding import Head, find_heads

SUFFIX: Final = ".mwd"
PREVIOUS: Final = "previous.mwd"
REFUSED: Final = "refused-{}.mwd"  # an update that did not do well: a person may choose it all the same
RECORD: Final = "installed.json"
SHOWN: Final = 100  # files that can be chosen
_HALF: Final = ".definitions-"
_HALF_S: Final = 3600.0  # after which nobody writes a half file any more
_COPY_LEN: Final = 1 << 20


class Unfit(Exception):
    """A file that is not put in force, and why."""


class DefinitionsFile(msgspec.Struct, frozen=True):
    """changed: microseconds since 1970. problem: why it cannot be used; then revision and signatures are unknown."""

    name: str
    size: int
    changed: int
    revision: str = ""
    signatures: int = 0
    problem: str = ""


class Record(msgspec.Struct, frozen=True):
    """Who put the file in force where it is. time: microseconds since 1970; how: in words, such as "uploaded"."""

    revision: str
    user: str
    time: int
    how: str


class Library:
    """Safe from any thread; one in a process, and one process changes these files."""

    def __init__(self, layout: Layout, settings: Callable[[], Settings]) -> None:
        self._layout = layout
        self._settings = settings
        self._lock = threading.Lock()

    @property
    def path(self) -> Path:
        """Of the file in force."""
        return self._layout.root / self._settings().antivirus.definitions

    def in_force(self) -> DefinitionsFile | None:
        return _described(self.path)

    def previous(self) -> DefinitionsFile | None:
        return _described(self._layout.definitions / PREVIOUS)

    def record(self) -> Record | None:
        """None: the file was put there by hand, or by `mailward init`."""
        try:
            record = msgspec.json.decode((self._layout.definitions / RECORD).read_bytes(), type=Record)
        except (OSError, msgspec.MsgspecError):
            return None
        now = self.in_force()
        return record if now is not None and record.revision == now.revision else None

    def others(self) -> list[DefinitionsFile]:
        """Further files of the directory, by name: they can be put in force."""
        taken = {self.path, self._layout.definitions / PREVIOUS, self._layout.candidate}
        paths = sorted(path for path in self._layout.definitions.glob(f"*{SUFFIX}") if path not in taken)
        return [found for path in paths[:SHOWN] if (found := _described(path)) is not None]

    def find(self, text: str, limit: int) -> list[Head]:
        """Signatures in force whose name holds the text, without regard to case. Raises OSError, DefinitionsRefused."""
        with _mapped(self.path) as octets:
            return find_heads(octets, text, limit)

    # --- what changes it ----------------------------------------------------------------------------

    def install(self, content: bytes, user: str, now_us: int, how: str) -> DefinitionsFile:
        """Raises Unfit, OSError."""
        with self._lock:
            handle, name = tempfile.mkstemp(dir=self._layout.definitions, prefix=_HALF)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(content)
            except BaseException:
                os.unlink(name)
                raise
            return self._put(Path(name), user, now_us, how)

    def adopt(self, source: Path, user: str, now_us: int, how: str) -> DefinitionsFile:
        """Put a copy of a file in force. Raises Unfit, OSError."""
        with self._lock:
            return self._put(self._copied(source), user, now_us, how)

    def offer(self, source: Path) -> None:
        """Let relays try a copy of the file on copies of live mail. Raises OSError."""
        new = self._copied(source)
        os.chmod(new, 0o640)
        os.replace(new, self._layout.candidate)

    def withdraw(self) -> None:
        """Let them try nothing. Raises OSError."""
        self._layout.candidate.unlink(missing_ok=True)

    def tidy(self) -> None:
        """Nothing is tried any more; and away with half files of processes that were killed. Raises OSError."""
        self.withdraw()
        for folder in (self._layout.definitions, self._layout.run):
            for half in folder.glob(f"{_HALF}*"):
                if time.time() - half.lstat().st_mtime > _HALF_S:
                    half.unlink(missing_ok=True)

    def keep_refused(self, source: Path, number: int | str) -> None:
        """So that a person may choose it all the same. One of them is kept. Raises OSError."""
        for other in self._layout.definitions.glob(REFUSED.format("*")):
            other.unlink(missing_ok=True)
        os.replace(self._copied(source), self._layout.definitions / REFUSED.format(number))

    def choose(self, name: str, user: str, now_us: int) -> DefinitionsFile:
        """Put a copy of one of `others` in force. Raises Unfit, OSError; FileNotFoundError if there is no such file."""
        if name not in {file.name for file in self.others()}:
            raise FileNotFoundError(name)
        with self._lock:
            return self._put(self._copied(self._layout.definitions / name), user, now_us, f"from the file {name}")

    def roll_back(self, user: str, now_us: int) -> DefinitionsFile:
        """Exchange the file in force and the one before it. Raises Unfit, OSError."""
        with self._lock:
            return self._put(self._copied(self._layout.definitions / PREVIOUS), user, now_us, "rolled back")

    def _copied(self, source: Path) -> Path:
        """With its time, by which the age of a set is told of which nothing else is known (DEF-13)."""
        handle, name = tempfile.mkstemp(dir=self._layout.definitions, prefix=_HALF)
        try:
            with os.fdopen(handle, "wb") as target, source.open("rb") as file:
                shutil.copyfileobj(file, target, _COPY_LEN)
            _date(Path(name), source)
        except BaseException:
            os.unlink(name)
            raise
        return Path(name)

    def _put(self, new: Path, user: str, now_us: int, how: str) -> DefinitionsFile:
        path, kept = self.path, new.with_name(new.name + ".previous")
        try:
            found = _described(new)
            assert found is not None  # it was written just now
            if found.problem:
                raise Unfit(found.problem)
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(path, kept)
                _date(kept, path)
                durable.sync(kept)
                os.replace(kept, self._layout.definitions / PREVIOUS)
            durable.sync(new)
            os.chmod(new, 0o640)
            record = msgspec.json.encode(Record(found.revision, user, now_us, how))
            (self._layout.definitions / RECORD).write_bytes(record)
            os.replace(new, path)
        except BaseException:
            new.unlink(missing_ok=True)
            kept.unlink(missing_ok=True)
            raise
        return msgspec.structs.replace(found, name=path.name)


def _date(copy: Path, source: Path) -> None:
    status = source.stat()
    os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))


def _described(path: Path) -> DefinitionsFile | None:
    """None: there is no such file."""
    try:
        status = path.stat()
    except OSError:
        return None
    known = DefinitionsFile(path.name, status.st_size, status.st_mtime_ns // 1000)
    try:
        image = definitions.from_file(path)
    except DefinitionsRefused as error:
        return msgspec.structs.replace(known, problem=str(error).removeprefix(f"{path}: "))
    return msgspec.structs.replace(known, revision=image.revision, signatures=image.signatures)


@contextlib.contextmanager
def _mapped(path: Path) -> Iterator[mmap.mmap]:
    definitions.from_file(path)  # what lies in it is used unchecked below
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as octets:
        yield octets
