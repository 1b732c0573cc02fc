"""Mail of the past as the journal tells it: what was accepted, joined with what was found in it.

Files are read backwards, so that the last thousand messages cost the same whatever is kept: O(lines from the end).
"""

import heapq
import mmap
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from engine.events import Accepted, Scanned
from engine.journal import SUFFIX
from engine.policy.evidence import Envelope, Evidence, Header

_DAY_LEN: Final = len("-YYYY-MM-DD")
_LINE_LEN: Final = 16 << 20  # a longer line is none that we wrote
_ACCEPTED: Final = b'{"event":"accepted"'
_SCANNED: Final = b'{"event":"scanned"'
_UNREAD: Final = Header()
_accepted: Final = msgspec.json.Decoder(Accepted)
_scanned: Final = msgspec.json.Decoder(Scanned)


class Past(msgspec.Struct, frozen=True):
    """One message. examined: its evidence tells of its content too; else only of its envelope."""

    smtp_id: str
    time: str
    evidence: Evidence
    examined: bool = True

    @property
    def subject(self) -> str:
        return self.evidence.header.subject


def newest(journal: Path, last: int) -> Iterator[Past]:
    """The last messages that were accepted, newest first. Raises OSError."""
    processes: dict[str, list[Path]] = {}
    for path in journal.glob(f"*{SUFFIX}"):
        processes.setdefault(path.name[: -len(SUFFIX) - _DAY_LEN], []).append(path)
    streams = [_of_process(sorted(paths, reverse=True)) for paths in processes.values()]
    return islice(heapq.merge(*streams, key=lambda one: one.time, reverse=True), last)


def _of_process(paths: list[Path]) -> Iterator[Past]:
    """paths: newest first. A message that was examined twice counts as it was examined last."""
    examined: dict[str, Scanned] = {}
    for path in paths:
        for line in _backwards(path):
            try:
                if line.startswith(_SCANNED):
                    scanned = _scanned.decode(line)
                    examined.setdefault(scanned.smtp_id, scanned)
                elif line.startswith(_ACCEPTED):
                    accepted = _accepted.decode(line)
                    yield joined(accepted, examined.pop(accepted.smtp_id, None))
            except msgspec.DecodeError:
                continue  # torn by a crash, or edited by hand


def joined(accepted: Accepted, scanned: Scanned | None) -> Past:
    """A message, and what was found in it if that is known."""
    if scanned is not None and scanned.evidence.envelope.client:
        # Where nothing asked for it the content was not read, and then not even a sender is there.
        examined = scanned.evidence.header != _UNREAD or bool(scanned.evidence.files)
        return Past(accepted.smtp_id, accepted.time, scanned.evidence, examined)
    envelope = Envelope(
        client=accepted.client,
        reverse_path=accepted.reverse_path,
        forward_paths=accepted.forward_paths,
        size=accepted.size,
    )
    evidence = scanned.evidence if scanned is not None else Evidence()
    evidence = msgspec.structs.replace(evidence, envelope=envelope)
    return Past(accepted.smtp_id, accepted.time, evidence, scanned is not None)


def _backwards(path: Path) -> Iterator[bytes]:
    """The lines of a file, last one first, without their line ends."""
    with path.open("rb") as file:
        if not path.stat().st_size:
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            end = len(data)
            while end > 0:
                start = data.rfind(b"\n", max(0, end - _LINE_LEN), end) + 1
                yield data[start:end]
                end = start - 1
