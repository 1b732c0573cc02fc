"""A message's story, read from the journal itself: it works while the pages are down, and for all mail that is kept.

Files are searched as octets and only lines that match are decoded, so that a gigabyte takes about a second.
"""

import mmap
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from engine.ids import relay_of
from engine.journal import SUFFIX

STORIES: Final = 20  # of one address, unless told otherwise
_LINE_LEN: Final = 16 << 20  # a longer line is none that we wrote

Event = dict[str, Any]


class Story(msgspec.Struct):
    """events: as in the journal, oldest first; those of the client's connection besides those of the message."""

    smtp_id: str
    events: list[Event]

    @property
    def completed(self) -> bool:
        return any(event["event"] == "completed" for event in self.events)


def is_smtp_id(text: str) -> bool:
    try:
        relay_of(text)
    except ValueError:
        return False
    return True


def stories(journal: Path, wanted: str, limit: int = STORIES) -> list[Story]:
    """Stories of an SMTP ID, or the newest ones in which words (an address, a subject) occur; oldest first.

    Raises OSError.
    """
    found = [wanted.upper()] if is_smtp_id(wanted.upper()) else _ids(journal, wanted, limit)
    told: dict[str, list[Event]] = {smtp_id: [] for smtp_id in found}
    connections: dict[str, list[str]] = {}
    for event in _matching(journal, found, 0):
        if event.get("smtp_id") in told:
            told[event["smtp_id"]].append(event)
            if event["event"] == "accepted" and event.get("connection_id"):
                connections.setdefault(event["connection_id"], []).append(event["smtp_id"])
    for event in _matching(journal, list(connections), 0):
        if "smtp_id" not in event:
            for smtp_id in connections.get(event.get("connection_id", ""), ()):
                told[smtp_id].append(event)
    return [
        Story(smtp_id, sorted(events, key=lambda event: str(event["time"])))
        for smtp_id, events in sorted(told.items())
        if events
    ]


def _ids(journal: Path, words: str, limit: int) -> list[str]:
    """IDs of the newest messages with an event in which the words occur, without regard to case."""
    found = {event["smtp_id"] for event in _matching(journal, [words], re.IGNORECASE) if event.get("smtp_id")}
    return sorted(found)[-limit:]  # an ID begins with the time


def _matching(journal: Path, texts: Sequence[str], flags: int) -> Iterator[Event]:
    if not texts:
        return
    literals = (re.escape(msgspec.json.encode(text)[1:-1]) for text in texts)  # as they stand in a line
    pattern = re.compile(b"|".join(literals), flags)
    for path in sorted(journal.glob(f"*{SUFFIX}")):
        with path.open("rb") as file:
            if path.stat().st_size:
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                    yield from _events(data, pattern)


def _events(data: mmap.mmap, pattern: re.Pattern[bytes]) -> Iterator[Event]:
    at = 0
    while match := pattern.search(data, at):
        start = data.rfind(b"\n", max(0, match.start() - _LINE_LEN), match.start()) + 1
        end = data.find(b"\n", match.end())
        at = end + 1 if end >= 0 else len(data)
        try:
            event = msgspec.json.decode(data[start:at])
        except msgspec.DecodeError:
            continue  # torn by a crash, or edited by hand
        if isinstance(event, dict) and isinstance(event.get("event"), str) and isinstance(event.get("time"), str):
            yield event


def sentence(event: Event) -> str:
    """One event in plain words."""
    words = _SENTENCES.get(event["event"])
    if words is not None:
        return words.format_map(_Fields(event))
    fields = ", ".join(
        f"{name.replace('_', ' ')} {_text(value)}"
        for name, value in event.items()
        if name not in ("event", "time", "process", "smtp_id", "evidence") and value not in ("", [], None)
    )
    name = event["event"].replace("-", " ")
    return f"{name}: {fields}" if fields else name


class _Fields(dict[str, Any]):
    def __missing__(self, name: str) -> str:
        return ""

    def __getitem__(self, name: str) -> str:
        return _text(super().__getitem__(name)) or ("<>" if name == "reverse_path" else "")


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


_SENTENCES: Final = {
    "connection-from": "connection from {client}: {result}",
    "accepted": "accepted from {reverse_path} for {forward_paths}, {size} octets, client {client}",
    "scanned": "examined: {verdict} {signatures} {unscanned}",
    "dropped": "dropped: {reason}",
    "held": "moved to the hold queue: {reason}",
    "bounced": "returned to the sender for {forward_path}: {reason}",
    "delivered": "delivered to {forward_path} at {server}: {reply}",
    "delivery-deferred": "not delivered yet to {forward_path} at {server}: {reason}",
    "delivery-failed": "failed for {forward_path}: {reason}",
    "converted": "converted to 7bit for {server}, which takes no other; signatures that this breaks: {breaks}",
    "delivery-suppressed": "not delivered to {forward_path} on purpose: {reason}",
    "forwarding": "queued as {forward_id} for {forward_path} in place of its recipients: {reason}",
    "forwarded": "forwarded to {forward_path} as {forward_id}",
    "completed": "completed: nothing is left to do",
    "queue-moved": "moved to the {place} queue: {reason}",
    "scanner-crashed": "the scanner ended on it (crash {count}): {reason}",
    "virus-logged": "infected, only logged: {virus} in {part}",
    "file-repaired": "repaired: {virus} in {part}",
    "file-deleted": "infected file deleted: {virus} in {part}",
    "attachment-deleted": "attachment deleted: {file} ({reason})",
}
