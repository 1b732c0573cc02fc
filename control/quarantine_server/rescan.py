"""All that lies in the quarantine, scanned again with new definitions (QRN-09).

Contents are scanned once each, in batches, one after the other, whenever the revision of the definitions is another
than the one they were scanned with; new ones so as well. What that changes is shown: `named`, when these definitions
know the file by a name that nobody gave it before; `clean`, when they find nothing any more in what they, or those
before them, found something in here, and it is offered for release.
"""

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from control.quarantine_server.index import Index
from control.quarantine_server.protocol import Item
from control.quarantine_server.sandboxed import Scanned, scanned
from control.quarantine_server.store import Store
from control.quarantine_server.vault import Damaged
from control.quarantine_server.work import Work
from control.sandbox import Busy
from engine import definitions
from engine.definitions import DefinitionsRefused, mark_of
from engine.scan.facts import Verdict

LOOK_S: Final = 2.0  # how often the definitions are looked at
BATCH: Final = 50  # contents
COMPARED: Final = 100  # items of one content
BATCH_LEN: Final = 64 << 20  # octets, but for one that is larger
log: Final = logging.getLogger(__name__)


class Rescan(Work):
    """told: called with each verdict and what that changes: `named`, `clean`, or nothing to tell.

    state, revision: what it is doing, for the pages. `stop` ends it after the batch in hand.
    """

    def __init__(
        self, store: Store, image: Path, now_us: Callable[[], int], told: Callable[[str, Scanned, str], None]
    ) -> None:
        super().__init__("rescan", LOOK_S, "quarantined files cannot be scanned again")
        self._store = store
        self._image = image
        self._now_us = now_us
        self._told = told
        self._seen: object = self  # no mark: that there is no file is told, too
        self.revision = ""
        self.problem = ""

    @property
    def _index(self) -> Index:
        return self._store.index

    def look(self) -> None:
        self._load()
        with contextlib.suppress(Busy):  # only rehearsals use the same places: the next time
            while self.revision and self.goes_on and self._batch():
                pass

    def left(self) -> int:
        """Contents that the definitions in force have not seen yet."""
        with self._index.transaction() as connection:
            row = connection.execute("SELECT COUNT(*) FROM content WHERE revision != ?", (self.revision,)).fetchone()
        return int(row[0]) if self.revision else 0

    def _load(self) -> None:
        mark = mark_of(self._image)
        if mark == self._seen:
            return
        self._seen = mark
        try:
            self.revision, self.problem = definitions.from_file(self._image).revision, ""
        except DefinitionsRefused as error:
            self.problem = str(error)
            log.error("the definitions of the quarantine server are not used: %s", error)

    def _batch(self) -> bool:
        """Whether there was something to do."""
        files: list[tuple[str, str, bytes]] = []
        total = 0
        for sha256, name in self._due():
            try:
                content = self._store.vault.content(sha256)
            except (Damaged, OSError) as error:
                log.error("a quarantined file cannot be scanned again: %s", error)
                self._took(sha256, Scanned(Verdict.UNSCANNED, (), str(error)))
                continue
            if files and total + len(content) > BATCH_LEN:
                break
            files.append((sha256, name, content))
            total += len(content)
        results = scanned([(name, content) for _, name, content in files], self._image) if files else []
        for (sha256, _, _), result in zip(files, results, strict=True):
            self._took(sha256, result)
        return bool(files)

    def _due(self) -> list[tuple[str, str]]:
        """Digests with the name of one of their items: heuristics look at it."""
        with self._index.transaction() as connection:
            rows = connection.execute(
                "SELECT sha256, (SELECT item FROM item WHERE item.sha256 = content.sha256 LIMIT 1)"
                " FROM content WHERE revision != ? LIMIT ?",
                (self.revision, BATCH),
            ).fetchall()
        return [(sha256, msgspec.json.decode(item, type=Item).name if item else "") for sha256, item in rows]

    def _took(self, sha256: str, result: Scanned) -> None:
        """Write a verdict down. Compared is with the one before, and with what gateways said."""
        with self._index.transaction() as connection:
            row = connection.execute("SELECT names, change FROM content WHERE sha256 = ?", (sha256,)).fetchone()
            if row is None:
                return  # deleted meanwhile
            found = set(msgspec.json.decode(row[0], type=list[str]))
            items = connection.execute("SELECT item FROM item WHERE sha256 = ? LIMIT ?", (sha256, COMPARED)).fetchall()
            said = {name for (item,) in items for name in msgspec.json.decode(item, type=Item).viruses}
            change = _change(found, said, result)
            names = found if result.verdict is Verdict.UNSCANNED else result.names
            connection.execute(
                "UPDATE content SET revision = ?, verdict = ?, names = ?, change = ?, changed = ? WHERE sha256 = ?",
                (
                    self.revision,
                    result.verdict,
                    msgspec.json.encode(sorted(names)).decode(),
                    row[1] if change is None else change,
                    self._now_us(),
                    sha256,
                ),
            )
        self._told(sha256, result, change or "")


def _change(found: set[str], said: set[str], result: Scanned) -> str | None:
    """None: what was told before still holds. found: names of the scan before, here; said: by gateways.

    That nothing is found at the first time means little, since the gateway may have better definitions.
    """
    if result.verdict is Verdict.UNSCANNED:
        return None
    if result.verdict is Verdict.CLEAN:
        return "clean" if found else None
    if set(result.names) - found - said:
        return "named"
    return None if found else ""
