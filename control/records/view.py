"""What can be asked about the events: one consistent snapshot of the store, for one page."""

import re
import sqlite3
from typing import Final

import msgspec

from control.records.messages import Found, Message, Wanted, message_of
from engine.events import Accepted, AnyEvent
from engine.ids import ID_LEN

SEARCHED_EVENTS: Final = 200_000  # a search for words looks at the newest ones only, so that it ends soon
_SMTP_ID = re.compile(rf"[0-9][0-9A-V]{{{ID_LEN - 1}}}")  # the time in front begins with a digit until the year 2270


class Totals(msgspec.Struct, frozen=True):
    """Of one kind of event since the last start. amount: see control.records.store; octets for `accepted`."""

    count: int = 0
    amount: int = 0


class StoredEvent(msgspec.Struct, frozen=True):
    """time: microseconds since 1970. line: the event as it stands in the journal."""

    time: int
    kind: str
    line: str


class View:
    """Valid inside the `with` of Store.read only."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def started(self) -> int | None:
        """When the service was started last, or None if the journal does not tell."""
        (started,) = self._connection.execute("SELECT MAX(started) FROM run").fetchone()
        return None if started is None else int(started)

    def totals(self) -> dict[str, Totals]:
        """By kind of event, since the last start (SVC-05), or of all there is if no start is known."""
        rows = self._connection.execute("SELECT kind, count, amount FROM total WHERE run = ?", (self.started() or 0,))
        return {kind: Totals(count, amount) for kind, count, amount in rows}

    def minutes(self, first: int, count: int) -> dict[str, list[int]]:
        """Events of each charted kind in each of count minutes. first: number of a minute since 1970."""
        found: dict[str, list[int]] = {}
        rows = self._connection.execute(
            "SELECT kind, minute, count FROM minute WHERE minute >= ? AND minute < ?", (first, first + count)
        )
        for kind, minute, number in rows:
            found.setdefault(kind, [0] * count)[minute - first] = number
        return found

    def latest(self, kind: str) -> list[StoredEvent]:
        """The last event of this kind of each process, newest first; only of the kinds in store.KEPT_LATEST."""
        rows = self._connection.execute(
            "SELECT time, kind, line FROM latest WHERE kind = ? ORDER BY time DESC", (kind,)
        )
        return [StoredEvent(*row) for row in rows]

    def events(self, query: str, limit: int) -> list[StoredEvent]:
        """The newest events, newest first. query: an SMTP ID, or words to find in any field; may be empty (RPT-13)."""
        if not query:
            return self._select("", (), limit)
        if _SMTP_ID.fullmatch(query):
            found = self._select("WHERE smtp_id = ?", (query,), limit)
            if found:
                return found
        return self._containing(query, limit)

    def _select(self, where: str, values: tuple[str, ...], limit: int) -> list[StoredEvent]:
        rows = self._connection.execute(
            f"SELECT time, kind, line FROM event {where} ORDER BY time DESC, id DESC LIMIT ?", (*values, limit)
        )
        return [StoredEvent(*row) for row in rows]

    def _containing(self, words: str, limit: int) -> list[StoredEvent]:
        literal = msgspec.json.encode(words).decode()[1:-1]  # quotes and backslashes as they stand in a line
        for special in ("\\", "%", "_"):
            literal = literal.replace(special, "\\" + special)
        rows = self._connection.execute(
            "SELECT time, kind, line FROM (SELECT id, time, kind, line FROM event ORDER BY time DESC, id DESC LIMIT ?)"
            " WHERE line LIKE ? ESCAPE '\\' LIMIT ?",
            (SEARCHED_EVENTS, f"%{literal}%", limit),
        )
        return [StoredEvent(*row) for row in rows]

    def find_messages(
        self,
        wanted: Wanted,
        first: int = 0,
        until: int = 1 << 62,
        limit: int = 50,
        before: str = "",
    ) -> Found[Message]:
        """Messages that were accepted from `first` to before `until`, newest first.

        before: `next` of the page before this one. Raises ValueError if it is none.
        """
        time, row = map(int, before.split(".")) if before else (until, 0)
        found: list[Message] = []
        accepted = self._connection.execute(
            "SELECT time, id, line FROM event WHERE kind = 'accepted' AND time >= ? AND (time, id) < (?, ?)"
            " ORDER BY time DESC, id DESC",
            (first, time, row),
        )
        for at, number, line in accepted:
            event = msgspec.json.decode(line, type=Accepted)
            message = message_of(at, event, self.story(event.smtp_id))
            if wanted.matches(message):
                found.append(message)
                if len(found) == limit:
                    return Found(found, f"{at}.{number}")
        return Found(found)

    def story(self, smtp_id: str) -> list[AnyEvent]:
        """Events of one message, oldest first."""
        rows = self._connection.execute("SELECT line FROM event WHERE smtp_id = ? ORDER BY time, id", (smtp_id,))
        return [msgspec.json.decode(line, type=AnyEvent) for (line,) in rows]

    def damaged(self) -> int:
        """Journal lines that are no events."""
        (count,) = self._connection.execute("SELECT COALESCE(SUM(damaged), 0) FROM journal_file").fetchone()
        return int(count)
