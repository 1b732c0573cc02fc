"""What becomes of a message: the scanner's findings and what DNS says of its sender, put together (PROC-16..21).

    inquiry = judge.begin(message)          # starts what can be asked already, while the scanner works
    outcome = await pool.examine(...)
    judgement = await judge.finish(inquiry, outcome)

DNS is asked only for what settings need. Whatever goes wrong there, the message goes on as if nothing had been said.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, TypeVar

import msgspec

from engine.config import Blocking, Forward, ListAction, Settings
from engine.delivery.reply import printable
from engine.dns import Resolver
from engine.events import NotificationWanted
from engine.policy import criteria, notify
from engine.policy.evidence import Authentication, Envelope, Evidence, Listing
from engine.policy.violation import Violation, disposition_of, forwards_of, sentence, strength
from engine.processing.services import Services
from engine.queue.record import Disposition, Splice
from engine.queue.state import MessageState
from engine.scan.facts import Cause, Facts, Unscanned
from engine.scan.service import Outcome
from engine.sender import results
from engine.sender.authenticate import authenticate
from engine.sender.block_lists import BlockListClient

GRACE_S: Final = 2.0  # on top of the time-outs of settings, which lookups keep by themselves
_REASONS: Final = 5  # violations named in a reason; all of them are in events

T = TypeVar("T")
log = logging.getLogger(__name__)


class Judgement(msgspec.Struct, frozen=True):
    """removed: by blocking, so that nothing was scanned for viruses (PROC-02). forwards: of FORWARD; not empty then.

    violations: in the order of PROC-20. results: body of an Authentication-Results field; empty: none. splices: of
    the message as received; empty where it is not delivered.
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


class Inquiry:
    """What is being asked about one message. Ended by Judge.finish or by close()."""

    __slots__ = ("envelope", "listings", "settings", "smtp_id")

    def __init__(self, smtp_id: str, envelope: Envelope, settings: Settings) -> None:
        self.smtp_id = smtp_id
        self.envelope = envelope
        self.settings = settings  # those when its processing began (PROC-15)
        self.listings: asyncio.Task[tuple[Listing, ...]] | None = None

    def close(self) -> None:
        if self.listings is not None:
            self.listings.cancel()


class Judge:
    """One for each relay. is_ours: whether a client, given by its address, is one of ours (DNSBL-03)."""

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
        )
        settings = self._services.settings
        inquiry = Inquiry(message.id, envelope, settings)
        if asks_block_lists(settings.blocking):
            inquiry.listings = asyncio.get_running_loop().create_task(self._listings(envelope, settings))
        return inquiry

    async def finish(self, inquiry: Inquiry, outcome: Outcome) -> Judgement:
        """Waits for the answers of DNS, within the time-outs of the settings. Raises nothing but for cancellation."""
        settings = inquiry.settings
        blocking = settings.blocking
        authentication = Authentication()
        if asks_authentication(settings):
            authentication = await self._authentication(inquiry, outcome)
        listings = () if inquiry.listings is None else await inquiry.listings
        evidence = msgspec.structs.replace(
            outcome.evidence, envelope=inquiry.envelope, listings=listings, authentication=authentication
        )
        violations = (*criteria.judge(criteria.SENDER, evidence, blocking), *outcome.violations)
        return self._judgement(inquiry, outcome, evidence, violations)

    def _judgement(
        self, inquiry: Inquiry, outcome: Outcome, evidence: Evidence, violations: tuple[Violation, ...]
    ) -> Judgement:
        settings = inquiry.settings
        disposition, reason, removed = decide(violations, outcome.disposition, outcome.reason, evidence.authentication)
        forwards: tuple[Forward, ...] = ()
        if disposition is Disposition.FORWARD:
            # The scanner may be in the hands of who wrote the message: mail goes only where the settings say.
            named = named_forwards(settings.blocking) | named_forwards(self._services.settings.blocking)
            forwards = tuple(one for one in forwards_of(violations) if one in named)
        field, splices = "", tuple(outcome.splices)
        if settings.authentication.enabled and settings.authentication.add_results:
            field = results.body(self._authserv_id(settings), inquiry.envelope, evidence.authentication)
        notifications: Sequence[NotificationWanted] = ()
        infections = () if removed else infections_of(outcome, evidence)
        if violations or infections:
            notifications = notify.wanted(
                inquiry.smtp_id, evidence, violations, infections, disposition, settings, self._services.own_address
            )
        kept = disposition in (Disposition.DELIVER, Disposition.HOLD)
        return Judgement(
            evidence,
            violations,
            disposition,
            reason,
            removed,
            forwards,
            field,
            splices if kept else (),
            tuple(notifications),
        )

    def _authserv_id(self, settings: Settings) -> str:
        return settings.authentication.authserv_id or self._services.hostname

    # --- what is asked ------------------------------------------------------------------------------

    async def _listings(self, envelope: Envelope, settings: Settings) -> tuple[Listing, ...]:
        lists = settings.blocking.block_lists
        return await _guarded(self._ask(envelope.client, settings), lists.timeout_s, ())

    async def _ask(self, client: str, settings: Settings) -> tuple[Listing, ...]:
        if await self._is_ours(client):
            return ()
        return await self._block_lists.ask(client, settings.blocking.block_lists)

    async def _authentication(self, inquiry: Inquiry, outcome: Outcome) -> Authentication:
        asking = authenticate(
            self._resolver, inquiry.settings, inquiry.envelope, outcome.evidence.header, outcome.claims
        )
        return await _guarded(asking, inquiry.settings.authentication.timeout_s, Authentication())


async def _guarded(asking: Awaitable[T], timeout_s: float, otherwise: T) -> T:
    """Its answer; whatever goes wrong, the message goes on without one (DNSBL-09)."""
    try:
        async with asyncio.timeout(timeout_s + GRACE_S):
            return await asking
    except Exception:
        log.exception("a question about a sender found no answer")
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
        or asks_authentication(settings)
        or containers.depth_on
        or containers.file_on
        or containers.total_on
        or containers.files_on
        or containers.time_on
        or containers.ratio_on
    )


def judges(settings: Settings) -> bool:
    """Whether there is anything to find out about a message at all."""
    return reads_content(settings) or asks_block_lists(settings.blocking)


def asks_block_lists(blocking: Blocking) -> bool:
    """After acceptance: with action reject they were asked before (BLK-02, DNSBL-06)."""
    lists = blocking.block_lists
    return lists.action is not ListAction.REJECT and any(one.enabled for one in lists.lists)


def asks_authentication(settings: Settings) -> bool:
    return settings.authentication.enabled or settings.blocking.dmarc.enabled


def decide(
    violations: Sequence[Violation], scanned: Disposition, why: str, authentication: Authentication
) -> tuple[Disposition, str, bool]:
    """(disposition, reason, whether blocking removes the message).

    The strongest one wins (PROC-19). What blocking removes was never scanned (PROC-02): then it alone decides, also
    where the scanner, which works at the same time, found something.
    """
    blocked = disposition_of(violations)
    if strength(blocked) >= strength(Disposition.FORWARD):
        return blocked, reason_of(violations, blocked), True
    disposition = max(blocked, scanned, key=strength)
    words = [why] if scanned is disposition and why else []
    if blocked is disposition and blocked is not Disposition.DELIVER:
        words.insert(0, reason_of(violations, blocked))
    reason = "; ".join(dict.fromkeys(words))
    if disposition is Disposition.BOUNCE and "fail" in (authentication.spf, authentication.dmarc):
        return Disposition.DROP, f"{reason}; not returned, the sender is forged", False  # SCAN-08
    return disposition, reason, False


def reason_of(violations: Iterable[Violation], disposition: Disposition) -> str:
    """The violations that lead to a disposition, in words."""
    words = list(dict.fromkeys(sentence(one) for one in violations if disposition_of((one,)) is disposition))
    more = len(words) - _REASONS
    return printable("; ".join(words[:_REASONS])) + (f" and {more} more" if more > 0 else "")


def named_forwards(blocking: Blocking) -> frozenset[Forward]:
    """Every forward of the settings that names an address."""
    sender = (blocking.senders.forward, blocking.block_lists.forward, blocking.dmarc.forward)
    content = (blocking.subject.forward, blocking.containers.forward, blocking.encrypted.forward)
    return frozenset(one for one in (*sender, *content) if one.to)


def infections_of(outcome: Outcome, evidence: Evidence) -> tuple[notify.Infection, ...]:
    """Every infected file, and what was done with it."""
    if not outcome.deleted and not outcome.logged:
        return ()
    names = {file.part: file.names[0] for file in evidence.files if file.names}
    return tuple(
        notify.Infection(virus, part, names.get(part, ""), handling)
        for handling, found in (("deleted", outcome.deleted), ("logged", outcome.logged))
        for virus, part in found
    )


def unread() -> Outcome:
    """The outcome of a message that no criterion needed to be read for."""
    return Outcome(Facts(unscanned=[Unscanned("", Cause.DISABLED, "virus scanning is off")]))
