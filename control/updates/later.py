"""What new definitions tell of mail of the past (updates.digest_days).

Found later: attachments that were delivered in the last days and that new signatures name by their SHA-256. Who got one
is told by an event and an alert, and listed on the page.

Offered: held mail that was held for signatures which the new set does not have any more, and for nothing else. It is
examined again, in a sandbox, with the new set; a person then releases what is clean.

Rescanned: files of the local quarantine in which the new set finds something else, or nothing any more (QRN-09).
"""

import contextlib
import logging
import mmap
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from control.definitions import PREVIOUS, Library
from control.quarantine_server import sandboxed
from control.records.reading import Query, StoredEvent
from control.records.store import Store
from control.rehearsal.sandboxed import examined
from control.sandbox import Busy
from control.updates.memory import SHOWN, Later, Offered, Progress, Rescanned
from engine import definitions, events, limits
from engine.config import Settings
from engine.definitions import DefinitionsRefused
from engine.journal import timestamp
from engine.layout import Layout
from engine.policy.metatags import clean
from engine.quarantine.folder import Folder
from engine.quarantine.item import Item
from engine.quarantine.sealed import Unreadable
from engine.queue import listing
from engine.queue.errors import QueueError
from engine.queue.state import HOLD, MessageState
from engine.scan.facts import Verdict
from signatures.lookup import Lookup as Digests

DAY_US: Final = 86_400_000_000
PAGE: Final = 1000  # events of one look
PATIENCE_S: Final = 2.0
NAME_LEN: Final = 200
EXAMINED: Final = 200  # held messages
EXAMINED_LEN: Final = 32 * limits.MIB
TOLD: Final = 100  # recipients that are listed of a message; the event has all of them
AT_ONCE: Final = 64  # files of the quarantine, in one sandbox
AT_ONCE_LEN: Final = 64 * limits.MIB
log = logging.getLogger(__name__)


class _File(msgspec.Struct, frozen=True):
    part: str = ""
    names: tuple[str, ...] = ()
    size: int = 0
    sha256: str = ""


class _Evidence(msgspec.Struct, frozen=True):
    files: tuple[_File, ...] = ()


class _Scanned(msgspec.Struct, frozen=True):
    smtp_id: str
    evidence: _Evidence = _Evidence()


_TAKEN_OUT: Final = (events.AttachmentDeleted, events.FileDeleted, events.FileRepaired)
_scanned: Final = msgspec.json.Decoder(_Scanned).decode


class Found(msgspec.Struct, frozen=True):
    """Newest first."""

    later: tuple[Later, ...] = ()
    offered: tuple[Offered, ...] = ()


class Lookup:
    """stopped: asked now and then; True ends it early."""

    def __init__(
        self, layout: Layout, store: Store, event: Callable[[events.Event], None], stopped: Callable[[], bool]
    ) -> None:
        self._layout = layout
        self._store = store
        self._event = event
        self._stopped = stopped

    def run(self, before: str, library: Library, settings: Settings, now: int) -> Found:
        """before: the revision of the set that the one in force took the place of; now: microseconds since 1970.

        Nothing if that set is not kept any more. Never raises: what cannot be looked up is logged.
        """
        try:
            with _opened(library.path) as new, _opened(self._layout.definitions / PREVIOUS) as old:
                if old is None or new is None or old.revision != before:
                    return Found()
                later = self._later(old.digests, new.digests, new.revision, settings.updates.digest_days, now)
                offered = self._offered(old.digests, new.digests, library.path, settings, now)
        except (OSError, sqlite3.Error, ValueError, msgspec.MsgspecError) as error:
            log.error("what new definitions tell of mail of the past cannot be looked up: %s", error)
            return Found()
        return Found(tuple(later), tuple(offered))

    # --- found later --------------------------------------------------------------------------------

    def _later(self, old: Digests, new: Digests, revision: str, days: int, now: int) -> list[Later]:
        found: list[Later] = []
        if not days or not new.has_digests:
            return found
        for scanned in self._digested(now - days * DAY_US):
            for file in scanned.evidence.files:
                if file.sha256 and (names := new.names_of(file.sha256, file.size)):
                    known = set(old.names_of(file.sha256, file.size))
                    for virus in names:
                        if virus not in known and (told := self._delivered(scanned.smtp_id, file, virus, now)):
                            later, everybody = told
                            found.append(later)
                            self._tell(later, everybody, revision)
            if len(found) >= SHOWN:
                log.warning("new definitions name more files of mail of the past than are listed")
                break
        return found

    def _digested(self, first: int) -> Iterator[_Scanned]:
        """What was examined since then, and has a digest."""
        query, before = Query(first=first, kinds=frozenset({"scanned"}), term="sha256"), ""
        while not self._stopped():
            with self._store.read() as view:
                page = view.select(query, PAGE, before, _with_digest, PATIENCE_S)
            yield from page.rows
            before = page.next
            if not before:
                return

    def _delivered(self, smtp_id: str, file: _File, virus: str, now: int) -> tuple[Later, tuple[str, ...]] | None:
        """What is listed, and everybody who got it. None: nobody did, or it was taken out or repaired before."""
        with self._store.read() as view:
            story = view.story(smtp_id)
        got = dict.fromkeys(one.forward_path for one in story if isinstance(one, events.Delivered | events.Forwarded))
        if not got or any(isinstance(one, _TAKEN_OUT) and _is_in(one.part, file.part) for one in story):
            return None
        told = [one for one in story if isinstance(one, events.Accepted)]
        name = clean(file.names[0] if file.names else "", NAME_LEN)
        later = Later(
            time=now,
            smtp_id=smtp_id,
            delivered=int(smtp_id[:11], 32),
            virus=virus[:NAME_LEN],
            file=name,
            sha256=file.sha256,
            reverse_path=told[0].reverse_path if told else "",
            forward_paths=tuple(got)[:TOLD],
            more=max(0, len(got) - TOLD),
        )
        return later, tuple(got)

    def _tell(self, later: Later, forward_paths: tuple[str, ...], revision: str) -> None:
        self._event(
            events.FoundLater(
                smtp_id=later.smtp_id,
                reverse_path=later.reverse_path,
                forward_paths=forward_paths,
                virus=later.virus,
                file=later.file,
                sha256=later.sha256,
                delivered=timestamp(later.delivered * 1000),
                definitions=revision,
            )
        )

    # --- offered ------------------------------------------------------------------------------------

    def _offered(self, old: Digests, new: Digests, path: Path, settings: Settings, now: int) -> list[Offered]:
        found: list[Offered] = []
        for message in listing.Queue(self._layout.root, (HOLD,)):
            if self._stopped() or len(found) == EXAMINED:
                break
            names = message.verdict.signatures if message.verdict else ()
            if names and all(old.has_name(name) and not new.has_name(name) for name in names):
                found.append(Offered(now, message.id, names, self._is_clean(message, path, settings)))
        return found

    def _is_clean(self, message: MessageState, path: Path, settings: Settings) -> bool:
        if message.size > EXAMINED_LEN:
            return False
        try:
            octets = b"".join(listing.octets(self._layout.root, message))
            return examined(octets, settings, path).facts.verdict is Verdict.CLEAN
        except (QueueError, Busy, DefinitionsRefused, OSError) as error:
            log.warning("held message %s cannot be examined again: %s", message.id, error)
            return False

    # --- the quarantine -----------------------------------------------------------------------------

    def rescan(self, path: Path, progress: Progress, now: int) -> tuple[Progress, dict[str, Rescanned | None]]:
        """QRN-09: the next files that lie here, newest first, in one sandbox; what has gone to the central server is
        there. Returns by id what is judged otherwise now, and None for what is not.

        Raises Busy, DefinitionsRefused, Unreadable, OSError.
        """
        folder = Folder(self._layout.quarantine)
        left = [one for one in folder.entries() if not progress.name or one.name < progress.name]
        items: list[Item] = []
        files: list[tuple[str, bytes]] = []
        length, last = 0, progress.name
        for entry in left[:AT_ONCE]:
            if files and length + entry.length > AT_ONCE_LEN:
                break
            last = entry.name
            try:
                item, pieces = folder.content(entry)
                if item.size > EXAMINED_LEN:
                    continue
                files.append((item.name, b"".join(pieces)))
            except FileNotFoundError:  # released or sent on meanwhile
                continue
            except (Unreadable, OSError) as error:
                log.warning("quarantined file %s cannot be examined again: %s", entry.id, error)
                continue
            items.append(item)
            length += item.size
        results = sandboxed.scanned(files, path) if files else []
        found: dict[str, Rescanned | None] = {}
        for item, result in zip(items, results, strict=True):
            found[item.id] = None
            names = tuple(sorted(result.names))
            if result.verdict is not Verdict.UNSCANNED and set(names) != set(item.viruses):
                viruses = tuple(one[:NAME_LEN] for one in item.viruses[: sandboxed.NAMES])
                name = clean(item.name, NAME_LEN)
                found[item.id] = Rescanned(now, item.id, item.smtp_id, name, viruses, names)
        behind = [one for one in left if one.name < last]
        done = progress.done + len(left) - len(behind)
        return msgspec.structs.replace(progress, name=last, done=done, left=len(behind)), found


def _is_in(part: str, top: str) -> bool:
    """Whether it is this part, or lies in it."""
    return part.startswith(top) and not part[len(top) : len(top) + 1].isdigit()


def _with_digest(event: StoredEvent) -> _Scanned | None:
    scanned = _scanned(event.line)
    return scanned if any(file.sha256 for file in scanned.evidence.files) else None


class _Open(msgspec.Struct, frozen=True):
    digests: Digests
    revision: str


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[_Open | None]:
    """None: it is not there, or no good."""
    try:
        revision = definitions.from_file(path).revision  # checked: what lies in it is used unchecked below
    except DefinitionsRefused:
        yield None
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as octets:
        yield _Open(Digests(octets), revision)
