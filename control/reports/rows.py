"""One row of the detail report: an event, its fields under the columns that reports and spreadsheets share (RPT-16)."""

from typing import Any, Final

import msgspec

from control.records.reading import StoredEvent
from control.reports.actions import action_of
from control.times import clock_time
from engine.trigrams import contains

# id, head; docs and CSV have them in this order. The last two are of a former product, and always empty.
COLUMNS: Final = (
    ("time", "Date and time"),
    ("group", "Group"),
    ("action", "Action"),
    ("result", "Result"),
    ("user", "User"),
    ("client", "Client IP"),
    ("server", "Server IP"),
    ("connection_id", "Connection ID"),
    ("smtp_id", "SMTP ID"),
    ("sender", "From"),
    ("recipients", "To"),
    ("subject", "Subject"),
    ("name", "Name"),
    ("matched", "Matched"),
    ("handling", "Handling"),
    ("reason", "Reason"),
    ("size", "Size"),
    ("details", "Details"),
    ("mailbox", "Mailbox"),
    ("mailbox_id", "Mailbox ID"),
)
CELL_LEN: Final = 2000  # characters; the journal has all of it

# Which fields of events stand under a column; the first one that an event has
_FIELDS: Final = {
    "result": ("result", "verdict"),
    "user": ("user",),
    "client": ("client",),
    "server": ("server",),
    "connection_id": ("connection_id",),
    "smtp_id": ("smtp_id",),
    "sender": ("sender", "reverse_path"),  # the one that matched, if one did
    "recipients": ("forward_paths", "forward_path", "to"),
    "subject": ("subject",),
    "name": ("virus", "file", "object", "name"),
    "matched": ("entry", "limit"),
    "handling": ("handling", "modification"),
    "reason": ("reason", "violation", "description"),
    "size": ("size",),
}
_PASSED_OVER: Final = frozenset({"event", "time", "process", "evidence"})


class ReportRow(msgspec.Struct, frozen=True):
    """time: microseconds since 1970. kind: the event's name; group, action: for people. recipients: in one text."""

    time: int
    kind: str
    group: str
    action: str
    result: str = ""
    user: str = ""
    client: str = ""
    server: str = ""
    connection_id: str = ""
    smtp_id: str = ""
    sender: str = ""
    recipients: str = ""
    subject: str = ""
    name: str = ""
    matched: str = ""
    handling: str = ""
    reason: str = ""
    size: str = ""
    details: str = ""

    def cells(self) -> list[str]:
        """In the order of COLUMNS."""
        return [clock_time(self.time), *(getattr(self, name, "") for name, _ in COLUMNS[1:])]

    def has(self, term: str) -> bool:
        """RPT-13: in any of its fields, without regard to case."""
        return any(contains(cell, term) for cell in self.cells())


def row_of(event: StoredEvent) -> ReportRow:
    fields: dict[str, Any] = msgspec.json.decode(event.line)
    action, used, cells = action_of(event.kind), set(_PASSED_OVER), {}
    for column, names in _FIELDS.items():
        name = next((name for name in names if name in fields), "")
        if name:
            used.add(name)
            cells[column] = _text(fields[name])
    if "reverse_path" in fields and not cells.get("sender"):
        cells["sender"] = "<>"  # of bounces
    rest = (f"{_words(name)}: {_text(value)}" for name, value in fields.items() if name not in used)
    return ReportRow(event.time, event.kind, action.group, action.label, details="; ".join(rest)[:CELL_LEN], **cells)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _text(value: object) -> str:
    if isinstance(value, list):
        text = ", ".join(map(str, value))
    elif isinstance(value, dict):
        text = ", ".join(f"{_words(str(name))} {one}" for name, one in value.items())
    elif isinstance(value, bool):
        text = "yes" if value else "no"
    else:
        text = str(value)
    return text[:CELL_LEN]
