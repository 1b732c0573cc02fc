"""The original of an infected file is put aside after the verdict and before the message is edited (QRN-03, QRN-12).

    examined and judged -> a scanner hands the files out -> written, synced -> verdict noted -> the message goes on

A message that has to be examined once more, because its relay ended in between, finds its files put aside under the
same names. Mail never waits for the quarantine for long, and is never lost for it (QRN-05): whatever fails here is an
event, and the message goes on as policy says.
"""

import asyncio
import datetime
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from engine import events
from engine.config import Settings
from engine.judge import Judgement
from engine.limits import QUARANTINE_TAKING_S
from engine.processing.services import Services
from engine.quarantine import sealed
from engine.quarantine.item import Item
from engine.quarantine.shelf import Batch, Draft, NoRoom, Shelf
from engine.quarantine.wanted import Wanted, wanted
from engine.queue.state import MessageState
from engine.queue.store import Store
from engine.scan.outcome import Outcome, Taken
from engine.scanner.pool import PoolStopped, ScannerCrashed, ScannerPool
from engine.scanner.protocol import Intake

AT_ONCE: Final = 2  # messages of one relay
SWEEP_S: Final = 60.0
TEXT_LEN: Final = 1000  # characters of a name, a path, a subject that are kept with a file
VIRUSES: Final = 50  # names and reasons of one file
PIECES_AHEAD: Final = 32  # that wait to be written; a disk that is slower than that may hold up the relay
_TRIES: Final = 2  # of a scanner that ends meanwhile: the first may have been somebody's signal

T = TypeVar("T")
log = logging.getLogger(__name__)


class _Writing:
    """Gives a batch what comes, in its order, in the thread that all of them share: mail does not wait for its disk."""

    def __init__(self, batch: Batch, thread: ThreadPoolExecutor) -> None:
        self._batch = batch
        self._thread = thread
        self._ahead: deque[Future[None]] = deque()

    def begin(self, file: Taken) -> None:
        self._ahead.append(self._thread.submit(self._batch.begin, file))

    def write(self, octets: bytes) -> None:
        while self._ahead and (len(self._ahead) >= PIECES_AHEAD or self._ahead[0].done()):
            self._ahead.popleft().result()
        self._ahead.append(self._thread.submit(self._batch.write, octets))


class Quarantine:
    """One for each relay. clock: nanoseconds since 1970."""

    def __init__(
        self,
        services: Services,
        store: Store,
        pool: ScannerPool,
        directory: Path,
        relay: int,
        relays: int,
        clock: Callable[[], int],
    ) -> None:
        self._services = services
        self._store = store
        self._pool = pool
        self._clock = clock
        self._shelf = Shelf(directory, relay, relays, services.settings.quarantine, clock)
        self._places = asyncio.Semaphore(AT_ONCE)
        self._thread = ThreadPoolExecutor(1, "quarantine")  # whatever is done with a batch, in its order
        self._sweep_due_s = 0.0
        self._sweeping: asyncio.Task[None] | None = None

    def apply(self, settings: Settings) -> None:
        self._shelf.apply(settings.quarantine)

    async def take(
        self, message: MessageState, outcome: Outcome, judgement: Judgement, settings: Settings
    ) -> list[events.Event]:
        """Put aside what settings want. Returns what the journal is to be told of it when the verdict is noted.

        Raises PoolStopped, and nothing else but for cancellation.
        """
        files = {} if judgement.removed else wanted(outcome, settings)
        if not files:
            return []
        try:
            return await self._taken(message, outcome, files)
        except PoolStopped:
            raise
        except TimeoutError:
            reason = f"no scanner had handed out all of it within {QUARANTINE_TAKING_S:g} s"
        except (NoRoom, OSError, sealed.Unreadable) as error:
            reason = str(error)
        except ScannerCrashed as crash:
            reason = f"the scanner that was to hand it out ended: {crash.detail}"
        except Exception as error:
            log.exception("%s: cannot be put aside", message.id)
            reason = f"internal error: {error!r}"
        return [events.QuarantineFailed(smtp_id=message.id, reason=reason)]

    async def _taken(self, message: MessageState, outcome: Outcome, files: dict[str, Wanted]) -> list[events.Event]:
        async with asyncio.timeout(QUARANTINE_TAKING_S), self._places:
            room = await asyncio.to_thread(self._shelf.room)
            batch, intake = await self._extracted(message, files, room)
        try:
            kept, failed = await self._in_thread(lambda: self._keep(batch, self._items(message, outcome, files)))
        finally:
            await self._in_thread(batch.close)
        told: list[events.Event] = [
            events.FileQuarantined(
                smtp_id=message.id,
                file=item.name,
                part=item.part,
                virus=", ".join(item.viruses),
                sha256=item.sha256,
                size=item.size,
                item=item.id,
            )
            for item in kept
        ]
        reasons = [batch.failed, intake.failed, *failed]
        if intake.too_large:
            reasons.append(f"there was no room for {intake.too_large} of its files")
        if words := "; ".join(dict.fromkeys(filter(None, reasons))):
            told.append(events.QuarantineFailed(smtp_id=message.id, reason=words))
        return told

    async def _extracted(self, message: MessageState, files: dict[str, Wanted], room: int) -> tuple[Batch, Intake]:
        """Raises ScannerCrashed, PoolStopped, OSError."""
        tries = 0
        while True:
            tries += 1
            batch = Batch(self._shelf, message.id)
            suspected = [part for part, one in files.items() if one.suspected]
            intake = Intake(tuple(files), room, _Writing(batch, self._thread), suspected)
            try:
                await self._pool.extract(message.id, self._store.extents(message), intake)
            except ScannerCrashed:
                await self._in_thread(batch.close)
                if tries == _TRIES:
                    raise
            except Exception:
                await self._in_thread(batch.close)
                raise
            except asyncio.CancelledError:
                self._thread.submit(batch.close)  # not waited for: the time is up
                raise
            else:
                return batch, intake

    def _items(self, message: MessageState, outcome: Outcome, files: dict[str, Wanted]) -> Callable[[Draft], Item]:
        received, facts = message.received, outcome.facts
        now = datetime.datetime.fromtimestamp(self._clock() / 1e9, datetime.UTC).isoformat(timespec="seconds")

        def item(draft: Draft) -> Item:
            file, sha256 = draft.file, draft.writer.sha256
            found = [files[part] for part in file.parts]
            part = _text(file.parts[0])
            return Item(
                id=self._shelf.item_id(message.id, part, sha256),
                smtp_id=message.id,
                sha256=sha256,
                size=file.size,
                name=_text(file.name),
                part=part,
                kind=_text(file.kind),
                viruses=tuple(dict.fromkeys(virus for one in found for virus in one.file.viruses))[:VIRUSES],
                reasons=tuple(words for one in found for words in one.reasons)[:VIRUSES],
                fate=str(found[0].file.fate),
                sender=received.reverse_path,
                recipients=tuple(one.address for one in received.recipients),
                subject=_text(facts.subject),
                time=now.replace("+00:00", "Z"),
                revision=facts.definitions,
            )

        return item

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """Behind what was to be written before."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _keep(self, batch: Batch, item_of: Callable[[Draft], Item]) -> tuple[list[Item], list[str]]:
        """In a thread. Returns what is kept now, and why others are not."""
        kept, failed = [], []
        for draft in batch.whole():
            item = item_of(draft)
            try:
                self._shelf.keep(draft, item)
            except (NoRoom, OSError) as error:
                failed.append(str(error))
            else:
                kept.append(item)
        return kept, failed

    # --- housekeeping -----------------------------------------------------------------------------

    async def start(self) -> None:
        try:
            await asyncio.to_thread(self._shelf.clear)
        except OSError as error:
            self._trouble(error)

    def sweep(self) -> None:
        """Called now and then: what is too old goes."""
        now_s = asyncio.get_running_loop().time()
        if now_s >= self._sweep_due_s and self._sweeping is None:
            self._sweep_due_s = now_s + SWEEP_S
            self._sweeping = asyncio.get_running_loop().create_task(self._sweep())

    async def _sweep(self) -> None:
        try:
            for item in await asyncio.to_thread(self._shelf.sweep):
                self._services.event(events.QuarantineItemDeleted(item=item))
        except OSError as error:
            self._trouble(error)
        finally:
            self._sweeping = None

    def _trouble(self, error: OSError) -> None:
        log.error("the quarantine cannot be looked after: %s", error)
        self._services.event(events.FileAccessError(path=str(self._shelf.directory), reason=str(error)))


def _text(text: str) -> str:
    """What is kept of it, and is the same behind every way that it takes: its id is made of it."""
    return text[:TEXT_LEN].encode("utf-8", "replace").decode()
