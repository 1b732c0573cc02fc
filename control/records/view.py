"""What can be asked about the events: one consistent snapshot of the store, for one page."""

from collections import Counter
from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from control.records import messages, tallies
from control.records.lines import HOUR
from control.records.messages import Message, Wanted
from control.records.reading import EVER, PATIENCE_S, Found, Query, Reader, StoredEvent
from control.records.tallies import Tally, Totals
from engine.events import AnyEvent

_SWITCHES: Final = 1000  # of local logging, that are looked at
Row = TypeVar("Row")


class Kept(msgspec.Struct, frozen=True):
    """first, last: of all events that are kept, None without any. off: times while logging was off (LOG-01)."""

    first: int | None
    last: int | None
    off: tuple[tuple[int, int], ...]


class View:
    """Valid inside the `with` of Store.read only."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._connection = reader.connection

    # --- Figures ------------------------------------------------------------------------------------

    def started(self) -> int | None:
        """When the service was started last, or None if the journal does not tell."""
        (started,) = self._connection.execute("SELECT MAX(started) FROM run").fetchone()
        return None if started is None else int(started)

    def totals(self) -> dict[str, Totals]:
        """By kind of event, since the last start (SVC-05), or of all there is if no start is known."""
        rows = self._connection.execute("SELECT kind, count, amount FROM total WHERE run = ?", (self.started() or 0,))
        return {kind: Totals(count, amount) for kind, count, amount in rows}

    def tally(self, first: int, until: int, named: frozenset[str] = frozenset()) -> Tally:
        """Sums of the events from first to before until; names of the kinds `named` (control.records.lines.NAMED).

        As quick for months as for hours.
        """
        tally = Tally()
        for span, start, end in tallies.pieces(first, min(until, self._ceiling())):
            if span:
                tallies.read(self._connection, tally, span, start, end, named)
            else:
                for line in self._reader.counted_lines(start, end):
                    tally.add(line, line.event in named)
        return tally

    def hourly(self, first: int, until: int, kind: str) -> Counter[str]:
        """Names of a kind in control.records.lines.HOURLY, and how often. first, until: whole hours."""
        tally = Tally()
        tallies.read(self._connection, tally, HOUR, first, until, (kind,))
        return tally.names.get(kind, Counter())

    def _ceiling(self) -> int:
        """After the last event."""
        (last,) = self._connection.execute("SELECT MAX(last) FROM journal_file").fetchone()
        return (last or 0) + 1

    def series(self, first: int, span: int, count: int, kinds: frozenset[str]) -> dict[str, list[int]]:
        """Events of these kinds in each of `count` spans. first and span: microseconds, whole minutes.

        A name may follow a kind, as in "scanned/infected": events of that name only.
        """
        return tallies.series(self._connection, first, span, count, kinds)

    def queue_lengths(self, first: int, span: int, count: int) -> list[tuple[int, int, int]]:
        """Fast, slow and hold of all relays, as told last in each of `count` spans (see series); zeros: not told."""
        return tallies.queue_series(self._connection, first, span, count)

    def latest(self, kind: str) -> list[StoredEvent]:
        """The last event of this kind of each process, newest first; only of the kinds in store.KEPT_LATEST."""
        rows = self._connection.execute(
            "SELECT time, kind, line FROM latest WHERE kind = ? ORDER BY time DESC", (kind,)
        )
        return [StoredEvent(*row) for row in rows]

    def damaged(self) -> int:
        """Journal lines that are no events."""
        (count,) = self._connection.execute("SELECT COALESCE(SUM(damaged), 0) FROM journal_file").fetchone()
        return int(count)

    # --- Events -------------------------------------------------------------------------------------

    def find(self, query: Query, limit: int, before: str = "", patience_s: float = PATIENCE_S) -> Found[StoredEvent]:
        """Events as they stand in the journal, newest first. Raises ValueError if `before` is no place in a list."""
        return self._reader.page(query, limit, before, lambda event: event, patience_s)

    def select(
        self,
        query: Query,
        limit: int,
        before: str,
        row: Callable[[StoredEvent], Row | None],
        patience_s: float = PATIENCE_S,
    ) -> Found[Row]:
        """The same, with what `row` makes of each event; events for which it gives None are passed over."""
        return self._reader.page(query, limit, before, row, patience_s)

    def accepted(self, smtp_id: str, near: int) -> StoredEvent | None:
        """The acceptance of a message of which something happened at `near`."""
        return messages.accepted(self._reader, smtp_id, near)

    def subject(self, smtp_id: str, near: int) -> str:
        """Of a message of which something happened at `near`; empty if it is not known."""
        return messages.subject(self._reader, smtp_id, near)

    def story(self, smtp_id: str) -> list[AnyEvent]:
        """Events of one message, oldest first; none if it is no SMTP ID."""
        return messages.story(self._reader, smtp_id)

    def find_messages(
        self,
        wanted: Wanted,
        first: int = 0,
        until: int = EVER,
        limit: int = 50,
        before: str = "",
        patience_s: float = PATIENCE_S,
    ) -> Found[Message]:
        """Messages that were accepted from `first` to before `until`, newest first.

        before: `next` of the page before this one. Raises ValueError if it is none.
        """
        return messages.find(self._reader, wanted, first, until, limit, before, patience_s)

    def kept(self) -> Kept:
        """Which times can be reported at all (RPT-18)."""
        first, last = self._connection.execute("SELECT MIN(first), MAX(last) FROM journal_file").fetchone()
        if first is None:
            return Kept(None, None, ())
        query = Query(kinds=frozenset({"logging-switched"}))
        switched = [(event.time, _is_on(event.line)) for event in self.find(query, _SWITCHES).rows]
        off: list[tuple[int, int]] = []
        since = 0 if switched and switched[-1][1] else None  # ever, if the journal does not tell when it went off
        for time, on in reversed(switched):
            if on and since is not None:
                off.append((since, time))
            since = None if on else since or time
        if since is not None:
            off.append((since, EVER))
        return Kept(first, last, tuple(off))


def _is_on(line: str) -> bool:
    return bool(msgspec.json.decode(line).get("enabled"))
