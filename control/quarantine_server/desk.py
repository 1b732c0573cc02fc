"""What people do with items: release, withdraw, delete, download, have samples sent; each deed is written down.

A release is an order for the gateway that sent the item (QRN-09): it alone knows the way to its recipients.
"""

import secrets
import sqlite3
from collections.abc import Callable, Sequence
from typing import IO, Final

import msgspec

from control.actor import Actor
from control.operation import Conflict, Invalid, NotFound, Unavailable
from control.quarantine.zipped import zipped
from control.quarantine_server.index import Entry, Index
from control.quarantine_server.ordered import Bell
from control.quarantine_server.protocol import ENDED, ORDERS, Order, OrderResult, OrderState
from control.quarantine_server.store import DAY_US, Store
from control.quarantine_server.vault import Damaged
from engine import events, limits
from engine.config import entries
from engine.journal import timestamp
from engine.policy.metatags import clean

NOTE_LEN: Final = 1000
SELECTED: Final = 500  # items, with one press
ORDER_US: Final = 30 * DAY_US  # an order that no gateway has answered for so long has failed
DEED_LEN: Final = 300
AUTOMATIC: Final = "automatic"  # who did what nobody was asked about
PROBLEMS: Final = 5  # that are told of at once


class Desk:
    """Safe from any thread. tell: writes to the journal."""

    def __init__(
        self, store: Store, bell: Bell, tell: Callable[[events.Event], None], now_us: Callable[[], int]
    ) -> None:
        self._store = store
        self._bell = bell
        self._tell = tell
        self._now_us = now_us

    @property
    def _index(self) -> Index:
        return self._store.index

    # --- what people do -----------------------------------------------------------------------------

    def one(self, number: int) -> Entry:
        """Raises NotFound."""
        entry = self._index.entry(number)
        if entry is None:
            raise NotFound("This file is not in the quarantine any more: it was deleted, by hand or for its age.")
        return entry

    def release(self, actor: Actor, number: int, recipients: Sequence[str], note: str) -> None:
        """Order its gateway to send it, to these and nobody else. Raises NotFound, Invalid, Conflict."""
        entry = self.one(number)
        wanted = tuple(dict.fromkeys(one.strip() for one in recipients if one.strip()))
        if not wanted:
            raise Invalid("Nobody would get it: name at least one recipient.")
        if len(wanted) > limits.RECIPIENTS:
            raise Invalid(f"These are {len(wanted):,} recipients: name {limits.RECIPIENTS:,} at most.")
        for one in wanted:
            if error := entries.address_error(one):
                raise Invalid(f"{clean(one, 100)!r} {error}.")
        if len(note) > NOTE_LEN:
            raise Invalid(f"The note has {len(note):,} characters: {NOTE_LEN:,} are the most.")
        now, order = self._now_us(), secrets.token_hex(16)
        with self._index.transaction() as connection:
            if self._index.entry_in(connection, number) is None:
                raise NotFound("This file was deleted in the meantime.")
            if _open(connection, number):
                raise Conflict("This file is being released already: wait for the result of that, or withdraw it.")
            connection.execute(
                "INSERT INTO release (id, item, gateway, recipients, note, user, time, state, changed)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (order, number, entry.gateway, _json(wanted), note, actor.user, now, OrderState.ORDERED, now),
            )
            connection.execute("UPDATE item SET state = ? WHERE number = ?", (OrderState.ORDERED, number))
        to = f"{wanted[0]}" + (f" and {len(wanted) - 1} more" if len(wanted) > 1 else "")
        self._did(actor, f"released to {to}", entry)
        self._bell.ring(entry.gateway)

    def release_all(self, actor: Actor, numbers: Sequence[int]) -> tuple[int, str]:
        """Each to the recipients of its mail. Returns how many were ordered, and why others were not."""
        count, problems = 0, list[str]()
        for number in numbers[:SELECTED]:
            try:
                self.release(actor, number, self.one(number).item.recipients, "")
                count += 1
            except (NotFound, Invalid, Conflict) as error:
                problems.append(f"file {number}: {error.text}")
        more = f" And {len(problems) - PROBLEMS} more." if len(problems) > PROBLEMS else ""
        return count, " ".join(problems[:PROBLEMS]) + more

    def withdraw(self, actor: Actor, number: int) -> None:
        """Take an order back that its gateway has not carried out yet. Raises NotFound, Conflict."""
        entry = self.one(number)
        with self._index.transaction() as connection:
            gone = connection.execute(
                "DELETE FROM release WHERE item = ? AND state = ?", (number, OrderState.ORDERED)
            ).rowcount
            if not gone:
                raise Conflict("There is nothing to withdraw: the gateway has it in its queue already, or it is over.")
            last = connection.execute(
                "SELECT state FROM release WHERE item = ? ORDER BY time DESC LIMIT 1", (number,)
            ).fetchone()
            connection.execute("UPDATE item SET state = ? WHERE number = ?", (last[0] if last else "", number))
        self._did(actor, "withdrew the release", entry)

    def delete(self, actor: Actor, numbers: Sequence[int]) -> int:
        """Returns how many were deleted; those that are just being sent stay."""
        count = 0
        for number in numbers[:SELECTED]:
            entry = self._index.entry(number)
            if entry is not None and self._store.delete([number]):
                count += 1
                self._did(actor, f"deleted {clean(entry.item.name, 100) or 'a file without a name'}", entry)
        return count

    def download(self, actor: Actor, number: int) -> IO[bytes]:
        """A zip that PASSWORD opens, with the file under a name that nothing starts. Raises NotFound, Unavailable."""
        entry = self.one(number)
        archive = self.zipped(entry, entry.item)
        self._did(actor, "downloaded it", entry)
        return archive

    def zipped(self, entry: Entry, about: msgspec.Struct) -> IO[bytes]:
        """An item's file in a zip that PASSWORD opens. Raises NotFound, Unavailable."""
        try:
            return zipped(about, self._store.vault.pieces(entry.item.sha256), self._store.coming)
        except FileNotFoundError:
            raise NotFound("The file is not in the store: restore it from a copy, or delete the item.") from None
        except (Damaged, OSError) as error:
            raise Unavailable(f"The file cannot be read: {error}.") from None

    def note(self, actor: Actor, deed: str, entry: Entry) -> None:
        """Write down what was done to an item elsewhere."""
        self._did(actor, deed, entry)

    # --- what gateways do ---------------------------------------------------------------------------

    def orders(self, gateway: str) -> list[Order]:
        return [
            Order(one.id, entry.item, one.recipients, one.user, timestamp(one.time * 1000), one.note)
            for one, entry in self._index.open_releases(gateway, ORDERS)
        ]

    def result(self, gateway: str, order: str, result: OrderResult) -> bool:
        """False: there is no such order of this gateway."""
        known = self._index.result(gateway, order, result, self._now_us())
        found = self._index.open_release(gateway, order) if known else None
        if found is not None and result.state in ENDED:
            self._index.note(self._now_us(), gateway, "", f"release {result.state}", found[1].number)
        return known

    def end_old_orders(self) -> int:
        """Those that no gateway has answered: it was taken off, perhaps. Returns how many."""
        now = self._now_us()
        lost = OrderResult(OrderState.FAILED, timestamp(now * 1000), text="the gateway has not answered for 30 days")
        with self._index.transaction() as connection:
            rows = connection.execute(
                "SELECT gateway, id FROM release WHERE state IN ('ordered', 'picked-up') AND changed < ?",
                (now - ORDER_US,),
            ).fetchall()
        for gateway, order in rows:
            self._index.result(gateway, order, lost, now)
        return len(rows)

    def _did(self, actor: Actor, deed: str, entry: Entry) -> None:
        deed = clean(deed, DEED_LEN)
        self._index.note(self._now_us(), actor.user, actor.client, deed, entry.number)
        thing = f"quarantined file {entry.number} of {entry.gateway}, sha256 {entry.item.sha256}"
        self._tell(events.ObjectModified(object=thing, user=actor.user, client=actor.client, modification=deed))


def _open(connection: sqlite3.Connection, number: int) -> bool:
    row = connection.execute(
        "SELECT 1 FROM release WHERE item = ? AND state IN ('ordered', 'picked-up')", (number,)
    ).fetchone()
    return row is not None


def _json(texts: Sequence[str]) -> str:
    return msgspec.json.encode(texts).decode()
