"""What becomes of a message by all violations together and by what the scan says, and why (PROC-02, PROC-19). Pure."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from engine.config import Blocking, Forward, InfectedAction, ListAction, Settings
from engine.delivery.reply import printable
from engine.policy.evidence import Authentication
from engine.policy.notify import Infection
from engine.policy.violation import Criterion, Violation, disposition_of, sentence, strength
from engine.queue.record import Disposition

if TYPE_CHECKING:
    from engine.scan.outcome import Outcome

_REASONS: Final = 5  # violations named in a reason; all of them are in events


def decide(
    violations: Sequence[Violation], scanned: Disposition, why: str, authentication: Authentication
) -> tuple[Disposition, str, bool]:
    """(disposition, reason, whether blocking removes the message).

    The strongest one wins (PROC-19). What blocking removes was never scanned (PROC-02): then it alone decides, also
    where the scanner, which works at the same time, found something.
    """
    if not violations and scanned is Disposition.DELIVER:  # nearly all mail
        return scanned, why, False
    blocked = disposition_of(violations)
    if strength(blocked) >= strength(Disposition.FORWARD):
        return blocked, reason_of(violations, blocked), True
    disposition = max(blocked, scanned, key=strength)
    said = why if scanned is disposition else ""
    if blocked is disposition and blocked is not Disposition.DELIVER:
        # The scanner names its own violations; those of the sender come before (PROC-20).
        words = reason_of((one for one in violations if sentence(one) not in said), blocked)
        said = "; ".join(filter(None, (words, said)))
    if disposition is Disposition.BOUNCE and "fail" in (authentication.spf, authentication.dmarc):
        return Disposition.DROP, f"{said}; not returned, the sender is forged", False  # SCAN-08
    return disposition, said, False


def refuses(
    disposition: Disposition, violations: Iterable[Violation], infections: Iterable[Infection], settings: Settings
) -> bool:
    """Whether a message whose client still waits is refused instead: then its sender knows, and nobody is written to.

    So is what else would be dropped or returned, what a block list is to reject and was not asked in time for, and what
    is infected, unless settings want it cleaned, or only logged. Held and forwarded mail is taken: a person decides.
    """
    match disposition:
        case Disposition.DROP | Disposition.BOUNCE:
            return True
        case Disposition.HOLD:
            rejects = settings.blocking.block_lists.action is ListAction.REJECT
            return rejects and any(one.criterion is Criterion.BLOCK_LIST for one in violations)
        case Disposition.DELIVER:
            strict = settings.smtp.before_queue.infected is InfectedAction.REFUSE
            return strict and any(one.handling != "logged" for one in infections)
    return False


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


def infections_of(outcome: "Outcome") -> tuple[Infection, ...]:
    """Every infected file, and what was done with it."""
    return tuple(Infection(one.joined, one.part, one.name, one.fate, one.done) for one in outcome.infected)
