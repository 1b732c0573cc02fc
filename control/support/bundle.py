"""A .tar.gz of texts, each bounded, listed before it is made.

A part that cannot be made says why in its place: a bundle is asked for when something is broken.
"""

import io
import json
import os
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from control.support import journal, machine
from control.support.redaction import Redactor
from engine.config import ConfigError, Settings, fields
from engine.layout import Layout
from engine.queue.errors import QueueError
from engine.watch import last_good

PART_LEN: Final = 8 << 20  # octets of one part; what is beyond is cut
EVENTS: Final = 20_000
TROUBLES: Final = 5_000

_README: Final = """\
Mailward support bundle. Look through it before you send it: all of it is plain text.

Not in it: messages, their headers, subjects and names of files; conversation logs and copies of messages; keys,
passwords and their hashes; the names of accounts. Addresses of people have ~marks in place of what is before
the @, other texts are marks as a whole. The same mark stands for the same text in this bundle, and in no other.
In it: names and addresses of machines, and domains.
"""


class Part(msgspec.Struct, frozen=True):
    """One file of the bundle. what: in words, for who is asked whether to make it."""

    name: str
    what: str
    make: Callable[[], bytes]


def parts(root: Path) -> list[Part]:
    """What a bundle of this installation has, in order. Nothing is read yet."""
    layout, redactor = Layout(root), Redactor(os.urandom(32))

    def events(count: int, kinds: frozenset[str] = frozenset()) -> bytes:
        found = journal.newest(layout.journal, count, kinds)
        return b"".join(msgspec.json.encode(redactor.event(event)) + b"\n" for event in found)

    return [
        Part("README.txt", "What is in the bundle and what is not.", _README.encode),
        Part("versions.json", "Versions of Mailward, its libraries and the system.", lambda: _json(machine.versions())),
        Part(
            "settings.txt",
            "Settings that differ from the defaults, without secrets and texts; addresses are marked.",
            lambda: _settings(layout, redactor),
        ),
        Part(
            "trouble.jsonl",
            f"Up to {TROUBLES} events of the journal that tell of trouble, starts and stops, redacted.",
            lambda: events(TROUBLES, journal.TROUBLE),
        ),
        Part(
            "journal.jsonl",
            f"The newest events of the journal, up to {EVENTS}, without subjects and file names; addresses are marked.",
            lambda: events(EVENTS),
        ),
        Part(
            "queues.json",
            "How many messages wait, how long, and for which next hops.",
            lambda: _json(machine.queues(layout)),
        ),
        Part("system.json", "Disks, memory, load and processes.", lambda: _json(machine.system(layout))),
        Part(
            "files.json",
            "Names, sizes and dates of definitions, journals, certificates and diagnostic files.",
            lambda: _json(machine.lying_around(layout)),
        ),
    ]


def write(wanted: list[Part], file: IO[bytes], now: float | None = None) -> dict[str, int]:
    """The bundle, into an open file. Returns names and sizes of what is in it. Raises OSError: it cannot be written."""
    seconds = int(time.time() if now is None else now)
    folder = file_name(seconds).removesuffix(".tar.gz")
    sizes = {}
    with tarfile.open(fileobj=file, mode="w:gz", compresslevel=6) as archive:
        for part in wanted:
            content = _bounded(part)
            sizes[part.name] = len(content)
            entry = tarfile.TarInfo(f"{folder}/{part.name}")
            entry.size, entry.mtime, entry.mode = len(content), seconds, 0o600
            archive.addfile(entry, io.BytesIO(content))
    return sizes


def file_name(now: float) -> str:
    """As in mailward-support-20261122T153353Z.tar.gz."""
    return time.strftime("mailward-support-%Y%m%dT%H%M%SZ.tar.gz", time.gmtime(now))


def _bounded(part: Part) -> bytes:
    try:
        content = part.make()
    except (OSError, ValueError, LookupError, QueueError, ConfigError) as error:
        return f"This part cannot be made: {type(error).__name__}: {error}\n".encode()
    if len(content) <= PART_LEN:
        return content
    return b"(cut: the beginning is left out)\n" + content[len(content) - PART_LEN :].partition(b"\n")[2]


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=2, ensure_ascii=True).encode() + b"\n"


def _settings(layout: Layout, redactor: Redactor) -> bytes:
    try:
        settings = last_good(layout.config, layout.in_force)
    except ConfigError as error:
        names = "".join(f"# {problem.setting or 'the file'}, line {problem.line}\n" for problem in error.problems)
        return f"# The file has mistakes, and none that was good is known:\n{names}".encode()
    defaults = fields.flat(Settings())
    lines = [
        f"{name} = {msgspec.json.encode(redactor.setting(name, value)).decode()}"
        for name, value in fields.flat(settings).items()
        if name not in defaults or value != defaults[name]
    ]
    return "".join(f"{line}\n" for line in lines).encode()
