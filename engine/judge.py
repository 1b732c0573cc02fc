"""What becomes of a message: the scanner's findings and what DNS says of its sender, put together (PROC-16..21).

    inquiry = judge.begin(message)          # starts what can be asked already, while the scanner works
    outcome = await pool.examine(...)
    judgement = await judge.finish(inquiry, outcome)

DNS is asked only for what settings need. Whatever goes wrong there, the message goes on as if nothing had been said.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

import msgspec

from engine.config import Blocking, Forward, Settings
from engine.dns import Resolver
from engine.events import NotificationWanted
from engine.policy import criteria, forgery, notify, white_list
from engine.policy.decision import decide, infections_of, named_forwards, refuses
from engine.policy.evidence import Authentication, Envelope, Evidence, Listing
from engine.policy.violation import Violation, forwards_of
from engine.processing.services import Services
from engine.queue.record import Disposition, Splice
from engine.queue.state import MessageState
from engine.scan.claims import Claims
from engine.scan.facts import Cause, Facts, Unscanned
from engine.scan.outcome import Outcome
from engine.sender import authenticate, results
from engine.sender.block_lists import BlockListClient
from engine.sender.wanted import is_wanted

GRACE_S: Final = 2.0  # on top of the time-outs of settings, which lookups keep by themselves
NAMES_S: Final = 5.0  # for the names of a client, where the relay list has names

T = TypeVar("T")
log = logging.getLogger(__name__)


class Judgement(msgspec.Struct, frozen=True):
    """removed: by blocking, so that nothing was scanned for viruses (PROC-02). violations: in the order of PROC-20.

    forwards: of FORWARD, to addresses that the settings name; empty: there is none. results: body of an
    Authentication-Results field; empty: none. splices: of the message as received; empty where it is not delivered.
    doubt: why its sender is not told of it (see policy.forgery).
    """

    evidence: Evidence
    violations: tuple[Violation, ...]
    disposition: Disposition
    reason: str
    removed: bool
    forwards: tuple[Forward, ...]
    results: str
    splices: tuple[Splice, ...]
    notifications: tuple[NotificationWanted, ...]
    doubt: str = ""


class Inquiry:
    """What is being asked about one message. Ended by Judge.finish or by close()."""

    __slots__ = ("authentication", "envelope", "is_ours", "listings", "message", "opening", "settings")

    def __init__(self, message: MessageState, envelope: Envelope, settings: Settings) -> None:
        self.message = message
        self.envelope = envelope
        self.settings = settings  # those when its processing began (PROC-15)
        self.is_ours = False  # known when opening is done, like what is asked then
        self.opening: asyncio.Task[None] | None = None
        self.authentication: authenticate.Begun | None = None
        self.listings: asyncio.Task[tuple[Listing, ...]] | None = None

    @property
    def asks(self) -> bool:
        """Whether there is something to wait for."""
        return self.opening is not None

    def close(self) -> None:
        for task in (self.opening, self.listings, self.authentication):
            if isinstance(task, asyncio.Task):
                task.cancel()
            elif task is not None:
                task.close()


class Judge:
    """One for each relay.

    is_ours: whether a client, given by its address, is a host of the relay list: such a one hands in mail of our own
    site, which block lists, SPF and DMARC say nothing about (DNSBL-03). So does who logged on (RELAY-14).
    """

    def __init__(
        self,
        services: Services,
        resolver: Resolver,
        block_lists: BlockListClient,
        is_ours: Callable[[str], Awaitable[bool]],
    ) -> None:
        self._services = services
        self._resolver = resolver
        self._block_lists = block_lists
        self._is_ours = is_ours

    def begin(self, message: MessageState) -> Inquiry:
        """Called when its processing begins. Asks nothing that the settings do not need."""
        received = message.received
        envelope = Envelope(
            client=received.client,
            helo=received.helo,
            reverse_path=received.reverse_path,
            forward_paths=tuple([one.address for one in received.recipients]),
            size=message.size,
            submitter=received.submitter,
        )
        settings = self._services.settings
        inquiry = Inquiry(message, envelope, settings)
        if asks_dns(settings):
            inquiry.opening = asyncio.get_running_loop().create_task(self._open(inquiry))
        return inquiry

    async def finish(self, inquiry: Inquiry, outcome: Outcome) -> Judgement:
        """Waits for the answers of DNS, within the time-outs of the settings. Raises nothing but for cancellation."""
        settings, found = inquiry.settings, Authentication()
        listings: tuple[Listing, ...] = ()
        if inquiry.opening is not None:
            await inquiry.opening
            found = await self._authentication(inquiry, outcome)
            listings = await self._listings(inquiry, found)
        evidence = msgspec.structs.replace(
            outcome.evidence, envelope=inquiry.envelope, listings=listings, authentication=found
        )
        violations = (*criteria.judge(criteria.SENDER, evidence, settings.blocking), *outcome.violations)
        return self._judgement(inquiry, outcome, evidence, violations)

    def _judgement(
        self, inquiry: Inquiry, outcome: Outcome, evidence: Evidence, violations: tuple[Violation, ...]
    ) -> Judgement:
        settings = inquiry.settings
        disposition, reason, removed = decide(violations, outcome.disposition, outcome.reason, evidence.authentication)
        if disposition is Disposition.FORWARD and notify.is_own(evidence, self._services.own_address):
            disposition, reason = Disposition.HOLD, f"{reason}; not forwarded, it is mail of our own that came back"
        forwards: tuple[Forward, ...] = ()
        if disposition is Disposition.FORWARD:
            # The scanner may be in the hands of who wrote the message: mail goes only where the settings say.
            named = named_forwards(settings.blocking) | named_forwards(self._services.settings.blocking)
            forwards = tuple(one for one in forwards_of(violations) if one in named)
        field, splices = "", tuple(outcome.splices)
        if settings.authentication.enabled and settings.authentication.add_results and not inquiry.is_ours:
            name = settings.authentication.authserv_id or self._services.hostname
            field = results.body(name, inquiry.envelope, evidence.authentication)
            splices = without_results(splices, outcome.claims, results.canonical(name), inquiry.envelope.size)
        notifications: Sequence[NotificationWanted] = ()
        infections = () if removed else infections_of(outcome)
        if inquiry.message.refusable and refuses(disposition, violations, infections, settings):
            disposition, forwards = Disposition.REFUSE, ()
            reason = reason or f"infected: {', '.join(dict.fromkeys(one.virus for one in infections))}"
            infections = tuple(msgspec.structs.replace(one, handling="refused", done=()) for one in infections)
        if violations or infections:
            notifications = notify.wanted(
                inquiry.message.id,
                evidence,
                violations,
                infections,
                disposition,
                settings,
                self._services.own_address,
            )
        return Judgement(
            evidence,
            violations,
            disposition,
            reason,
            removed,
            forwards,
            field,
            splices if disposition in (Disposition.DELIVER, Disposition.HOLD) else (),
            tuple(notifications),
            self._doubt(inquiry, evidence, violations, outcome),
        )

    @staticmethod
    def _doubt(inquiry: Inquiry, evidence: Evidence, violations: tuple[Violation, ...], outcome: Outcome) -> str:
        """Nothing is known of whom DNS was not asked about; our own senders are never doubted."""
        if inquiry.opening is None or inquiry.is_ours:
            return ""
        return forgery.doubt(evidence, violations, bool(outcome.infected))

    # --- what is asked ------------------------------------------------------------------------------

    async def _open(self, inquiry: Inquiry) -> None:
        settings, envelope = inquiry.settings, inquiry.envelope
        inquiry.is_ours = bool(envelope.submitter) or await _guarded(self._is_ours(envelope.client), NAMES_S, False)
        if inquiry.is_ours:
            return
        if is_wanted(settings):
            inquiry.authentication = authenticate.begin(self._resolver, settings, envelope)
        if asks_block_lists(settings.blocking) and not white_list.entry_for(envelope.reverse_path, settings.blocking):
            inquiry.listings = asyncio.get_running_loop().create_task(self._ask_lists(inquiry))

    async def _authentication(self, inquiry: Inquiry, outcome: Outcome) -> Authentication:
        if inquiry.authentication is None:
            return Authentication()
        asking = inquiry.authentication.finish(outcome.evidence.header, outcome.claims)
        return await _guarded(asking, inquiry.settings.authentication.timeout_s + GRACE_S, Authentication())

    async def _listings(self, inquiry: Inquiry, found: Authentication) -> tuple[Listing, ...]:
        """Who is on the white list is asked about only if that is not confirmed (DNSBL-07, WL-05)."""
        blocking, reverse_path = inquiry.settings.blocking, inquiry.envelope.reverse_path
        if inquiry.listings is not None:
            return await inquiry.listings
        if inquiry.is_ours or not asks_block_lists(blocking) or white_list.settles(reverse_path, blocking):
            return ()
        return () if white_list.confirms(found, reverse_path) else await self._ask_lists(inquiry)

    async def _ask_lists(self, inquiry: Inquiry) -> tuple[Listing, ...]:
        lists = inquiry.settings.blocking.block_lists
        asking = self._block_lists.ask(inquiry.envelope.client, lists)
        return await _guarded(asking, lists.timeout_s + GRACE_S, ())


async def _guarded(asking: Awaitable[T], timeout_s: float, otherwise: T) -> T:
    """Its answer; whatever goes wrong, the message goes on without one (DNSBL-09)."""
    try:
        async with asyncio.timeout(timeout_s):
            return await asking
    except Exception as error:  # noqa: BLE001 - a message is never held up or lost for want of an answer
        log.warning("a question about a sender found no answer: %r", error)
        return otherwise


# --- pure ---------------------------------------------------------------------------------------------


def reads_content(settings: Settings) -> bool:
    """Whether any criterion needs what only a walk of the message tells."""
    blocking, containers = settings.blocking, settings.blocking.containers
    return (
        settings.antivirus.enabled
        or blocking.subject.enabled
        or blocking.files.enabled
        or blocking.encrypted.enabled
        or blocking.senders.enabled
        or is_wanted(settings)
        or containers.depth_on
        or containers.file_on
        or containers.total_on
        or containers.files_on
        or containers.time_on
        or containers.ratio_on
    )


def asks_dns(settings: Settings) -> bool:
    return asks_block_lists(settings.blocking) or is_wanted(settings)


def asks_block_lists(blocking: Blocking) -> bool:
    """Also with action reject: what was asked at RCPT is known then, and what came too late counts now (DNSBL-06)."""
    return any(one.enabled for one in blocking.block_lists.lists)


def judges(settings: Settings) -> bool:
    """Whether there is anything to find out about a message at all."""
    return reads_content(settings) or asks_dns(settings)


def without_results(splices: Sequence[Splice], claims: Claims, authserv_id: str, size: int) -> tuple[Splice, ...]:
    """The edits, and with them out every Authentication-Results field that says it is ours (RFC 8601 s5).

    splices: ordered and apart. authserv_id: in its canonical form. size: octets of the message. Where a field overlaps
    an edit, the edit stays as it is.
    """
    forged = [
        (one.start, one.end, 1, b"")
        for one in claims.results_fields
        if one.authserv_id == authserv_id and one.start < one.end <= size
    ]
    if not forged:
        return tuple(splices)
    merged: list[tuple[int, int, int, bytes]] = []
    for cut in sorted([*((one.start, one.end, 0, one.data) for one in splices), *forged]):
        start, _, is_forged, _ = cut
        if not merged or start >= merged[-1][1]:
            merged.append(cut)
        elif merged[-1][2] and not is_forged:
            merged[-1] = cut
    return tuple(Splice(start, end, data) for start, end, _, data in merged)


def unread() -> Outcome:
    """The outcome of a message that no criterion needed to be read for."""
    return Outcome(Facts(unscanned=[Unscanned("", Cause.DISABLED, "virus scanning is off")]))
