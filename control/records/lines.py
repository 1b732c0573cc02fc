"""What is read of each line of the journal when it is counted: the few fields that figures are made of."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

import msgspec

MINUTE: Final = 60_000_000  # microseconds
HOUR: Final = 60 * MINUTE
KIND_LEN: Final = 64  # a longer event name is not one
NAME_LEN: Final = 200  # characters of a name that is counted; longer ones are cut
_TIME_LEN: Final = len("2026-03-01T09:30:00.000001Z")

# By which field events of a kind are counted besides their kind (RPT-08, RPT-10, RPT-11, RSUM-04, RSUM-09)
NAMED: Final = {
    "attachment-deleted": "file",
    "encrypted-container": "handling",
    "file-deleted": "virus",
    "file-refused": "virus",
    "file-repaired": "virus",
    "rejected": "reason",
    "scanned": "verdict",
    "subject-blocked": "subject",
    "tls-result": "session",
    "virus-logged": "virus",
}
# Names of these are kept by the hour only: they are many, and reports on them take whole hours
HOURLY: Final = frozenset({"tls-result"})


class Line(msgspec.Struct):
    """Other fields, and events of other versions, are let through."""

    event: str
    time: str
    process: str = ""
    size: int = 0
    fast: int = 0
    slow: int = 0
    hold: int = 0
    file: str = ""
    handling: str = ""
    reason: str = ""
    session: str = ""
    subject: str = ""
    verdict: str = ""
    virus: str = ""

    @property
    def amount(self) -> int:
        """What is summed up besides the number of events: octets accepted; messages not wholly examined."""
        if self.event == "accepted":
            return self.size
        return int(self.event == "scanned" and self.verdict == "unscanned")

    @property
    def name(self) -> str:
        """What it is counted by besides its kind; empty: nothing."""
        field = NAMED.get(self.event)
        return getattr(self, field)[:NAME_LEN] if field else ""


class _Place(msgspec.Struct):
    event: str
    time: str


_decode_line: Final = msgspec.json.Decoder(Line).decode
_decode_place: Final = msgspec.json.Decoder(_Place).decode


def read(line: bytes) -> tuple[Line, int] | None:
    """A line and its time in microseconds since 1970; None if it is no event, torn by a crash or edited by hand."""
    try:
        found = _decode_line(line)
        return (found, microseconds(found.time)) if len(found.event) <= KIND_LEN else None
    except (msgspec.DecodeError, ValueError):
        return None


def place(line: bytes) -> tuple[str, int] | None:
    """Kind and time of what `read` takes for an event, for less work."""
    try:
        found = _decode_place(line)
        return (found.event, microseconds(found.time)) if len(found.event) <= KIND_LEN else None
    except (msgspec.DecodeError, ValueError):
        return None


def microseconds(time: str) -> int:
    """Since 1970. Raises ValueError if it is no RFC 3339 time."""
    if len(time) == _TIME_LEN and time[19] == "." and time[26] == "Z":
        return _second(time[:19]) + int(time[20:26])  # as engine.journal.timestamp writes it
    parsed = datetime.fromisoformat(time)
    if parsed.tzinfo is None:
        raise ValueError("a time without a zone")
    return round(parsed.timestamp() * 1_000_000)


@lru_cache(maxsize=256)
def _second(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000
