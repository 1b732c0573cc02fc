"""A released file becomes a mail of our own, and what comes of that mail is told (QRN-06).

    ordered here, or by the central server -> remembered -> mail queued -> journal: delivered, failed -> reported

The result is that of the real delivery, from the journal: nothing is called delivered that no next hop has taken.
"""

import datetime
import logging
import os
import secrets
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from control.quarantine import letter
from control.quarantine.letter import Author
from control.quarantine.link import Link, LinkFailed
from control.quarantine.memory import Memory, Release
from control.quarantine_server.protocol import Order, OrderResult, OrderState, RecipientResult
from engine import durable, events
from engine.command import Command, send
from engine.config import Settings
from engine.layout import Layout
from engine.limits import QUARANTINE_TAKEN_LEN
from engine.processing.release import FETCHED
from engine.quarantine import sealed
from engine.quarantine.folder import Folder
from engine.quarantine.item import NEW, SUFFIX, Item, ids_of, item_id

ANSWER_S: Final = 300.0  # of a relay: a large file is written wholly
FOLLOWED_S: Final = 30 * 86_400.0  # longer than mail waits in any queue; then nothing more is told of it
FETCHES: Final = 1  # in one step
NO_FILE: Final = "The file is not in the quarantine any more."
NOT_OURS: Final = (
    "This gateway has not put such a file aside, or the key of its quarantine is another now. Download the file from"
    " the central server, and send it yourself."
)
WITHDRAWN: Final = "The central server has withdrawn it."
UNTOLD: Final = "What became of the mail is not known: the journal does not tell, perhaps because local logging is off."

log = logging.getLogger(__name__)

Story = Callable[[str], Sequence[events.Event]]


class Releases:
    """story: events of an SMTP ID, oldest first. clock: seconds since 1970. Safe from any thread; `step` and
    `step_ordered` for one thread each."""

    def __init__(
        self,
        layout: Layout,
        folder: Folder,
        memory: Memory,
        settings: Callable[[], Settings],
        host: Callable[[], str],
        event: Callable[[events.Event], None],
        story: Story,
        clock: Callable[[], float],
    ) -> None:
        self._layout = layout
        self._folder = folder
        self._fetched = Folder(layout.quarantine / FETCHED)
        self._memory = memory
        self._settings = settings
        self._host = host
        self._event = event
        self._story = story
        self._clock = clock
        self._after = {False: 0, True: 0}  # which of those that are open were looked at last

    def order(self, item: Item, recipients: tuple[str, ...], by: str, note: str) -> Release:
        """By somebody at this gateway. Raises IsOpen, sqlite3.Error."""
        now = self._clock()
        release = Release(secrets.token_hex(16), item, recipients, by, now, note, changed=now)
        self._memory.add(release)
        return release

    def ordered(self, order: Order) -> None:
        """By the central server; it may be known. Raises sqlite3.Error."""
        item = msgspec.convert(msgspec.to_builtins(order.item), Item)
        now = self._clock()
        self._memory.add(
            Release(order.id, item, order.recipients, order.by, now, order.note, ordered=True, changed=now)
        )

    def step(self) -> None:
        """Do what can be done about those that were ordered here, and are open. Raises sqlite3.Error."""
        for release in self._open(ordered=False):
            if release.state is OrderState.PICKED_UP:
                self._followed(release)
            elif self._folder.find(release.item.id) is None:
                self._failed(release, NO_FILE)
            else:
                self._handed_over(release)

    def step_ordered(self, link: Link | None) -> bool:
        """The same about orders of the central server, which may be slow. Returns whether there is more to do now.

        Raises sqlite3.Error, OSError.
        """
        server = _Server(link)
        for release in self._open(ordered=True):
            if release.state is OrderState.PICKED_UP:
                release = self._followed(release)
            elif release.state is OrderState.ORDERED:
                release = self._carried_out(release, server)
            if server.link is not None and release.is_to_be_reported:
                self._report(release, server)
        self._tidy()
        return server.more

    def _open(self, ordered: bool) -> list[Release]:
        found, self._after[ordered] = self._memory.open(self._after[ordered])
        return [release for release in found if release.ordered is ordered]

    def _tidy(self) -> None:
        """What was fetched and is not needed any more, also if the pages were killed in between. Raises OSError."""
        fetched = self._fetched.entries()
        wanted = self._memory.wanted() if fetched else set()
        for entry in fetched:
            if entry.id not in wanted:
                self._fetched.delete(entry)

    # --- into the queue -----------------------------------------------------------------------------

    def _carried_out(self, release: Release, server: "_Server") -> Release:
        item = release.item
        try:
            is_ours = item.id == item_id(sealed.key_of(self._folder.directory), item.smtp_id, item.part, item.sha256)
        except (OSError, sealed.Unreadable) as error:
            return self._noted(release, text=f"The key of the quarantine cannot be read: {error}; it is tried again.")
        if not is_ours or item.size > QUARANTINE_TAKEN_LEN:
            return self._failed(release, NOT_OURS)
        if self._folder.find(item.id) is None and self._fetched.find(item.id) is None:
            if server.link is None:
                return self._noted(release, text=server.problem)
            if not server.may_fetch():
                return release
            try:
                self._fetch(release, server.link)
            except (LinkFailed, ValueError, OSError, sealed.Unreadable) as error:
                server.heard(error)
                if isinstance(error, LinkFailed) and error.status == 404:
                    return self._failed(release, WITHDRAWN)
                return self._noted(release, text=f"The file cannot be fetched yet: {error}")
        if not release.claimed:
            if server.link is None:
                return self._noted(release, text=server.problem)
            try:
                stands = server.link.result(release.id, OrderResult(OrderState.PICKED_UP, self._now()))
            except LinkFailed as error:
                server.heard(error)
                return self._noted(release, text=f"It is not known whether the order still stands: {error}")
            if not stands:
                return self._noted(release, state=OrderState.FAILED, text=WITHDRAWN, gone=True)
            release = self._noted(release, claimed=True)
        return self._handed_over(release)

    def _handed_over(self, release: Release) -> Release:
        settings, host = self._settings(), self._host()
        author = Author(settings.smtp.from_name, settings.smtp.own_address(host), host)
        head = letter.head(release.item, release.recipients, release.note, author, release.id, release.time)
        command = Command(
            "submit-item",
            release.id,
            release.recipients,
            head,
            tail=letter.tail(release.id),
            item=release.item.id,
            sha256=release.item.sha256,
        )
        why = "No relay runs; it is tried again."
        for path in self._layout.command_sockets():
            try:
                answer = send(path, command, ANSWER_S)
            except (ConnectionRefusedError, FileNotFoundError):
                continue
            except (OSError, msgspec.MsgspecError) as error:
                why = f"A relay does not answer ({error}); it is tried again."
                break  # it may have taken it, and knows so when it is asked again
            if answer.ok:
                return self._is_queued(release, answer.id)
            if not answer.again:
                return self._failed(release, f"Not sent: {answer.error}")
            why = f"{answer.error}; it is tried again."
            break
        return self._noted(release, text=why)

    def _is_queued(self, release: Release, smtp_id: str) -> Release:
        item = release.item
        self._event(
            events.QuarantineReleased(
                smtp_id=smtp_id,
                item=item.id,
                file=item.name,
                sha256=item.sha256,
                forward_paths=release.recipients,
                by=release.by,
            )
        )
        return self._noted(release, state=OrderState.PICKED_UP, smtp_id=smtp_id, text="")

    def _fetch(self, release: Release, link: Link) -> None:
        """Raises LinkFailed, OSError, sealed.Unreadable, ValueError: it is another file."""
        item = release.item
        directory = self._fetched.directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not ids_of(item.stem):
            raise ValueError("it has no name that a file of the quarantine could have")
        writer = sealed.Writer(directory / f"{item.stem}{NEW}", sealed.key_of(directory))
        try:
            for piece in link.content(release.id, item.size):
                if writer.size + len(piece) > item.size:
                    raise ValueError("it is longer than was said")
                writer.write(piece)
            if (writer.sha256, writer.size) != (item.sha256, item.size):
                raise ValueError("what came is not the file that was ordered")
            writer.finish(item)
            os.rename(writer.path, directory / f"{item.stem}{SUFFIX}")
            durable.sync(directory)
        finally:
            writer.abort()

    # --- what comes of it ---------------------------------------------------------------------------

    def _followed(self, release: Release) -> Release:
        known: dict[str, RecipientResult] = {}
        completed = dropped = False
        for event in self._story(release.smtp_id):
            match event:
                case events.Delivered(forward_path=to, reply=reply):
                    known[to] = RecipientResult(to, True, reply)
                case events.DeliveryFailed(forward_path=to, reason=reply):
                    known[to] = RecipientResult(to, False, reply)
                case events.DeliverySuppressed(forward_path=to, reason=reply):
                    known[to] = RecipientResult(to, False, reply)
                case events.Dropped(reason=reply):
                    dropped = True
                    for to in release.recipients:
                        known.setdefault(to, RecipientResult(to, False, reply))
                case events.Completed():
                    completed = True
        results = tuple(known[to] for to in release.recipients if to in known)
        if len(results) < len(release.recipients) and not completed and not dropped:
            if self._clock() - release.time > FOLLOWED_S:
                return self._noted(release, results=results, state=OrderState.FAILED, text=UNTOLD)
            return self._noted(release, results=results) if len(results) > len(release.results) else release
        whole = len(results) == len(release.recipients) and all(one.delivered for one in results)
        state = OrderState.DELIVERED if whole else OrderState.FAILED
        return self._noted(release, results=results, state=state)

    def _report(self, release: Release, server: "_Server") -> None:
        result = OrderResult(release.state, self._now(), release.smtp_id, release.text, release.results)
        assert server.link is not None
        try:
            stands = server.link.result(release.id, result)
        except LinkFailed as error:
            server.heard(error)
            log.info("the result of order %s cannot be reported yet: %s", release.id, error)
            return
        self._memory.put(msgspec.structs.replace(release, reported=release.report, gone=not stands))

    def _failed(self, release: Release, text: str) -> Release:
        return self._noted(release, state=OrderState.FAILED, text=text)

    def _noted(self, release: Release, **changes: object) -> Release:
        if all(getattr(release, name) == value for name, value in changes.items()):
            return release
        changed = msgspec.structs.replace(release, changed=self._clock(), **changes)
        self._memory.put(changed)
        return changed

    def _now(self) -> str:
        return datetime.datetime.fromtimestamp(self._clock(), datetime.UTC).isoformat(timespec="seconds")


class _Server:
    """The central server within one step: once it does not answer it is not asked again."""

    def __init__(self, link: Link | None) -> None:
        self.link = link
        self.more = False
        self.problem = "No central server is set, and it has the file."
        self._fetches = FETCHES

    def may_fetch(self) -> bool:
        self.more = self._fetches == 0
        self._fetches = max(0, self._fetches - 1)
        return not self.more

    def heard(self, error: Exception) -> None:
        if isinstance(error, LinkFailed) and not error.status:
            self.link, self.problem = None, f"The central server does not answer: {error}"
