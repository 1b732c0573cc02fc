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

FILES_TOLD: Final = 20  # of what policy saw
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
        return " ".join(words.format_map(_Fields(event)).split())
    fields = ", ".join(
        f"{name.replace('_', ' ')} {_text(value)}"
        for name, value in event.items()
        if name not in ("event", "time", "process", "smtp_id", "evidence", "suspicions") and value not in ("", [], None)
    )
    name = event["event"].replace("-", " ")
    return f"{name}: {fields}" if fields else name


def facts(event: Event) -> list[tuple[str, str]]:
    """What policy saw, of the event that tells of the examination: name and words."""
    evidence = event.get("evidence")
    told = list(_facts(evidence)) if isinstance(evidence, dict) else []
    return [*told, *_reasons(event.get("suspicions", ()))]


def _reasons(suspicions: Sequence[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """What heuristics say, each with its reasons and their points (AV-03)."""
    for one in suspicions:
        yield one.get("name", ""), _with(f"{one.get('points', 0)} points", f"part {one.get('part') or 'message'}")
        for words, points in one.get("reasons", ()):
            yield "Reason", f"{words} ({points:+})"


def _facts(evidence: dict[str, Any]) -> Iterator[tuple[str, str]]:
    known = evidence.get("authentication", {})
    for name in ("spf", "dmarc", "arc"):
        if known.get(name):
            yield name.upper(), _with(known[name], known.get(f"{name}_domain", ""))
    for one in known.get("dkim", ()):
        yield "DKIM", _with(one.get("result", ""), one.get("domain", ""), one.get("reason", ""))
    for one in evidence.get("listings", ()):
        state = "listed" if one.get("codes") else "could not be asked" if one.get("problem") else "not listed"
        yield "Block list", _with(f"{one.get('list', '')}: {state}", *one.get("codes", ()), one.get("problem", ""))
    files = evidence.get("files", ())
    for one in files[:FILES_TOLD]:
        yield "File", _with(next(iter(one.get("names", ())), one.get("part", "")), one.get("type", ""))
    if more := len(files[FILES_TOLD:]) + evidence.get("files_left_out", 0):
        yield "File", f"and {more:,} more"
    if evidence.get("limit"):
        yield "Limit", _with(evidence["limit"], evidence.get("limit_part", ""))


def _with(text: str, *others: str) -> str:
    inside = ", ".join(filter(None, others))
    return f"{text} ({inside})" if inside else text


class _Fields(dict[str, Any]):
    """What a sentence puts in. A field that is not there is empty."""

    def __missing__(self, name: str) -> str:
        return ""

    def __getitem__(self, name: str) -> str:
        return _text(super().__getitem__(name)) or ("<>" if name == "reverse_path" else "")


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


# Events that tell of a connection, not of a message
OF_CONNECTIONS: Final = frozenset(
    {
        "connection-from",
        "client-certificate",
        "disconnected",
        "protocol-violation",
        "submitter-refused",
        "rejected",
        "connected-to",
        "connection-closed",
        "tls-result",
    }
)

_SENTENCES: Final = {
    "connection-from": "connection from {client}: {result}",
    "client-certificate": "certificate of {client}: {result} {reason} {subject} SHA-256 {sha256}",
    "disconnected": "connection with {client} ended by the {side}",
    "protocol-violation": "{client} broke the protocol: {violation}",
    "submitter-refused": "{client} could not log on as {submitter}: {reason}",
    "rejected": "refused from {reverse_path} for {forward_path}: {reason} {reply}",
    "connected-to": "connection to {server}: {result} {tls}",
    "connection-closed": "connection to {server} closed",
    "tls-result": "TLS: {session} {reason}",
    "accepted": "accepted from {reverse_path} for {forward_paths}, {size} octets, client {client}",
    "scanned": "examined: {verdict} {signatures} {unscanned}",
    "dropped": "dropped: {reason}",
    "held": "moved to the hold queue: {reason}",
    "bounced": "returned to the sender for {forward_path}: {reason}",
    "delivered": "delivered to {forward_path} at {server}: {reply}",
    "delivery-deferred": "not delivered yet to {forward_path} at {server}: {reason}",
    "delivery-failed": "failed for {forward_path}: {reason}",
    "converted": "converted to 7bit for {server}, which takes no other; signatures that this breaks: {breaks}",
    "notice-suppressed": "nothing is told to {reverse_path}: {reason}",
    "delivery-suppressed": "not delivered to {forward_path} on purpose: {reason}",
    "forwarding": "queued as {forward_id} for {forward_path} in place of its recipients: {reason}",
    "forwarded": "forwarded to {forward_path} as {forward_id}",
    "abandoned": "its client {client} left before it was answered: not accepted, it will come again",
    "completed": "completed: nothing is left to do",
    "queue-moved": "moved to the {place} queue: {reason}",
    "scanner-crashed": "the scanner ended on it (crash {count}): {reason}",
    "scan-error": "could not be examined: {description}",
    "virus-logged": "infected, only logged: {virus} in part {part}",
    "file-repaired": "repaired: {virus} in part {part}, taken out: {done}",
    "file-quarantined": "original of {file} in part {part} put into quarantine ({virus})",
    "quarantine-failed": "infected files could not be put into quarantine: {reason}",
    "quarantine-released": "{file} released from quarantine for {forward_paths} by {by}",
    "file-refused": "infected, refused with its message: {virus} in part {part}",
    "file-deleted": "infected file deleted: {virus} in part {part}",
    "attachment-deleted": "attachment deleted: {file} ({reason})",
    "subject-blocked": "its subject is blocked by the entry {entry}: {handling}",
    "sender-blocked": "its sender {sender} is blocked by the entry {entry}: {handling}",
    "spam-list-block": "its client is on a block list, {reason}: {handling}",
    "dmarc-failed": "DMARC failed for {domain}, whose policy is {policy} {reason}: {handling}",
    "container-limit-exceeded": "a limit of containers was reached, {limit}, in part {part}: {handling}",
    "encrypted-container": "encrypted container {file} in part {part}: {handling}",
    "file-name-blocked": "the file name {file} is blocked by the entry {entry}: {handling}",
    "notification-wanted": "the {audience} is to be told: {kind}",
    "alert-sent": "told by mail: {kind}",
    "alert-suppressed": "nobody was told of {kind}: {reason}",
}
