"""A gateway that has only seen mail of those who attack its pages: every text that a sender has a hand in."""

import hashlib
import time
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import inspect

from control.quarantine import keeper
from control.quarantine.memory import Memory, Release
from control.quarantine_server.protocol import OrderState, RecipientResult
from engine import events
from engine.diagnostics import files as diagnostic
from engine.journal import timestamp
from engine.layout import Layout
from engine.quarantine.item import SUFFIX, Item
from engine.quarantine.sealed import Writer, key_of
from engine.queue.disk import Disk
from engine.queue.files import MessageFiles
from engine.queue.record import Attempt, Moved, Received, Recipient, Result
from tests.control.harness import Gateway

# Out of attributes, text, titles and scripts; by an element, a script and an event; through a template and a direction
WORDS: Final = (
    """" mailward-hostile="1" '><b>{{7*7}}</title></textarea></script><mailward-hostile></mailward-hostile>"""
    "<script>window.hostile=1;alert(1)</script><img src=/hostile onerror=window.hostile=1>\u202egnp.exe"
)
ADDRESS: Final = f'"{WORDS[:120].replace(chr(34), chr(92) + chr(34))}"@example.org'
LINK: Final = "javascript:window.hostile=1//x"
FORMULA: Final = "=HYPERLINK(window.hostile)"
IDS: Final = ("1N4ABCDEV0001", "1N4ABCDEV0002", "1N4ABCDEV0003")
# Fields that only ever hold words and ids of our own
_OWN: Final[dict[str, Any]] = {
    "smtp_id": IDS[0],
    "connection_id": "1aaaaaaaaaa00",
    "client": "192.0.2.7",
    "server": "192.0.2.8",
    "verdict": "infected",
    "handling": "drop",
    "audience": "administrator",
}
# Without an effect: script, element and attribute of WORDS are not there, and nothing leads to LINK
NOTHING_RAN: Final = """() => window.hostile === undefined
    && document.querySelector("mailward-hostile, [mailward-hostile], [src$='/hostile'], [onerror]") === null
    && ![...document.querySelectorAll("[href], [src], [action], [formaction]")].some(e => /^\\s*javascript:/i.test(
        e.getAttribute("href") || e.getAttribute("src") || e.getAttribute("formaction") || e.getAttribute("action")))"""


def fill(gateway: Gateway) -> None:
    """One event of each kind, messages that were accepted, and some in each queue."""
    for smtp_id, subject in zip(IDS, (WORDS, LINK, FORMULA), strict=True):
        gateway.journal.write(
            events.Accepted(
                time=timestamp(), smtp_id=smtp_id, reverse_path=ADDRESS, forward_paths=(ADDRESS,), size=1000,
                client="192.0.2.7", connection_id="1aaaaaaaaaa00", subject=subject,
            )
        )  # fmt: skip
    for kind in _kinds(events.Event):
        gateway.journal.write(_one(kind))
    gateway.journal.flush()
    files = MessageFiles(gateway.root / "queue", Disk())
    files.prepare()
    for place, smtp_id in zip(("slow", "hold", "hold"), IDS, strict=True):
        _queue(files, place, smtp_id)
    item = in_quarantine(
        gateway.root, b"content", IDS[0], name=WORDS, viruses=(WORDS, LINK), reasons=(WORDS,), sender=ADDRESS,
        recipients=(ADDRESS, ADDRESS), subject=WORDS, part=WORDS, kind=WORDS, fate="deleted", revision=WORDS,
        time="2026-03-01T09:30:00Z",
    )  # fmt: skip
    memory = Memory(Layout(gateway.root).control / keeper.FILE_NAME)
    refused = RecipientResult(ADDRESS, False, WORDS)
    state = OrderState.FAILED
    memory.add(Release("ab" * 16, item, (ADDRESS,), WORDS, 1.0, WORDS, True, state, IDS[0], WORDS, results=(refused,)))
    memory.close()
    diagnostics = Layout(gateway.root).diagnostics
    diagnostics.mkdir(mode=0o700)
    name = diagnostic.name_of("20261122T153353Z", diagnostic.QUEUE, IDS[0], WORDS, "eml")
    (diagnostics / name).write_text(f"Subject: {WORDS}\r\n\r\n{LINK}\r\n")


def _kinds(base: type[events.Event]) -> list[type[events.Event]]:
    found = []
    for kind in base.__subclasses__():
        found += _kinds(kind) or [kind]
    return found


def _one(kind: type[events.Event]) -> events.Event:
    event = _value(inspect.type_info(kind))
    assert isinstance(event, events.Event)
    event.time = timestamp()
    return event


def _value(kind: inspect.Type) -> Any:
    if isinstance(kind, inspect.StructType):
        return kind.cls(**{one.name: _OWN.get(one.name, _value(one.type)) for one in kind.fields})
    if isinstance(kind, inspect.VarTupleType | inspect.ListType):
        return tuple(_value(kind.item_type) for _ in range(2))
    if isinstance(kind, inspect.TupleType):
        return tuple(map(_value, kind.item_types))
    if isinstance(kind, inspect.DictType):
        return {_value(kind.key_type): _value(kind.value_type)}
    if isinstance(kind, inspect.UnionType):
        return _value(next(one for one in kind.types if not isinstance(one, inspect.NoneType)))
    if isinstance(kind, inspect.EnumType):
        return next(iter(kind.cls))
    if isinstance(kind, inspect.LiteralType):
        return kind.values[0]
    for plain, value in ((inspect.StrType, WORDS), (inspect.BoolType, True), (inspect.IntType, 1)):
        if isinstance(kind, plain):
            return value
    if isinstance(kind, inspect.FloatType):
        return 1.0
    raise TypeError(f"an event has a field of a kind that is new here: {kind}")


def message() -> bytes:
    """A message whose header fields and file names are hostile, raw and encoded."""
    encoded = "=?utf-8?q?" + "".join(f"={octet:02X}" for octet in WORDS.encode()) + "?="
    name = WORDS.replace("\\", "").replace('"', '\\"')
    return (
        f"From: {encoded} <a@example.org>\r\nTo: {ADDRESS}\r\nSubject: {encoded}\r\nX-Note: {WORDS}\r\n"
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        f"--b\r\nContent-Type: text/html\r\n\r\n{WORDS}\r\n"
        f'--b\r\nContent-Type: application/octet-stream; name="{name}"\r\n'
        f'Content-Disposition: attachment; filename="{name}"\r\n\r\nx\r\n--b--\r\n'
    ).encode()


def _queue(files: MessageFiles, place: str, smtp_id: str) -> None:
    now = time.time_ns()
    received = Received(
        smtp_id, now, "1n4abc0000000", "192.0.2.7", 25, WORDS, "ESMTP", "", ADDRESS, (Recipient(ADDRESS),)
    )
    notes = [
        Attempt(smtp_id, now, 0, Result.PENDING, f"451 4.7.1 {WORDS}", "10.0.0.5:25"),
        Moved(smtp_id, now, place, WORDS, now),
    ]
    encode = msgspec.msgpack.encode
    files.write(place, smtp_id, encode(received), [message()], [encode(one) for one in notes])


def in_quarantine(root: Path, content: bytes, smtp_id: str, **known: Any) -> Item:
    """A file of the local quarantine, as a relay puts it there."""
    directory = Layout(root).quarantine
    directory.mkdir(mode=0o700, exist_ok=True)
    writer = Writer(directory / "coming", key_of(directory))
    writer.write(content)
    number = hashlib.sha256(smtp_id.encode() + content).hexdigest()[:32]
    item = Item(id=number, smtp_id=smtp_id, sha256=writer.sha256, size=len(content), **known)
    writer.finish(item)
    writer.path.rename(directory / f"{item.stem}{SUFFIX}")
    return item


def in_queues(root: Path) -> int:
    return len(list((root / "queue").glob("*/*/*.msg")))
