"""Diagnostic files: their names, and how they are found. Relays write them, the pages and the command line show them.

    20261122T153353Z-inbound-0123456789abc-192.0.2.1.log       one connection (DIAG-10)
    20261122T153353Z-outbound-0123456789abc.2-mx.example.log   the second attempt on one connection
    20261122T153353Z-queue-0123456789ABC-crash.eml, .json      a message as received, and its envelope (DIAG-01)

A file is only ever opened by a name that is of this grammar, which has nothing that leads out of a directory, and that
is a regular file. What else lies there is not ours, and neither shown nor deleted.
"""

import datetime
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from engine.ids import DIGITS, ID_LEN

INBOUND: Final = "inbound"
OUTBOUND: Final = "outbound"
QUEUE: Final = "queue"
PEER_LEN: Final = 80  # characters of the last part of a name

_NAME: Final = re.compile(
    r"(?P<time>\d{8}T\d{6}Z)-(?P<kind>inbound|outbound|queue)-"
    rf"(?P<id>(?i:[{DIGITS}]{{{ID_LEN}}}))(?:\.(?P<number>\d{{1,9}}))?-"
    rf"(?P<subject>[A-Za-z0-9._-]{{1,{PEER_LEN}}})\.(?P<suffix>log|eml|json)",
    re.ASCII,
)
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9.-]+")


class DiagnosticFile(msgspec.Struct, frozen=True):
    """kind: inbound, outbound or queue. time: as in its name. id: of connection or message. subject: peer or cause."""

    name: str
    kind: str
    time: str
    id: str
    subject: str
    suffix: str
    size: int = 0


def name_of(time: str, kind: str, id_: str, subject: str, suffix: str, number: int = 0) -> str:
    """time: as `stamp` gives it. subject: anything; what names may not have becomes `_`. number: 0 for none."""
    subject = _UNSAFE.sub("_", subject).strip("._-")[:PEER_LEN] or "unknown"
    return f"{time}-{kind}-{id_}{f'.{number}' if number else ''}-{subject}.{suffix}"


def stamp(timestamp: str) -> str:
    """The time of a name, of an RFC 3339 time in UTC."""
    return f"{timestamp[:19].replace('-', '').replace(':', '')}Z"


def parse(name: str) -> DiagnosticFile | None:
    """What a name tells, or None: it is not one of ours."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    try:
        time = datetime.datetime.fromisoformat(found["time"]).strftime("%Y-%m-%dT%H:%M:%SZ")
    except ValueError:  # there is no such day or hour
        return None
    return DiagnosticFile(name, found["kind"], time, found["id"], found["subject"], found["suffix"])


def listing(directory: Path) -> list[DiagnosticFile]:
    """All of them, newest first. Raises OSError only if there is a directory that cannot be read."""
    return sorted(_found(directory), key=lambda file: file.name, reverse=True)


def _found(directory: Path) -> Iterator[DiagnosticFile]:
    try:
        entries = os.scandir(directory)
    except FileNotFoundError:
        return
    with entries:
        for entry in entries:
            file = parse(entry.name)
            try:
                if file is not None and entry.is_file(follow_symlinks=False):
                    yield msgspec.structs.replace(file, size=entry.stat(follow_symlinks=False).st_size)
            except FileNotFoundError:
                continue  # it made room for another meanwhile


def _named(directory: Path, name: str) -> Path:
    """Raises FileNotFoundError: there is no such diagnostic file."""
    path = directory / name if parse(name) else None
    if path is None or not stat.S_ISREG(path.lstat().st_mode):
        raise FileNotFoundError(f"there is no diagnostic file {name!r}")
    return path


def open_file(directory: Path, name: str) -> BinaryIO:
    """For reading. Raises FileNotFoundError also for what is no file of ours, OSError."""
    fd = os.open(_named(directory, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise FileNotFoundError(f"{name!r} is no regular file")
    return os.fdopen(fd, "rb")


def delete(directory: Path, name: str) -> None:
    """Raises FileNotFoundError, OSError."""
    _named(directory, name).unlink()
