"""What the policy would do to a message, without doing it: one that somebody brings, or one that came here."""

import asyncio
from typing import Annotated, Final

import msgspec

from control.actor import Scope
from control.operation import (
    Answer,
    Call,
    Conflict,
    Forbidden,
    Input,
    Invalid,
    Mistake,
    NotFound,
    Unavailable,
    operation,
)
from control.operations.queues import readable
from control.rehearsal.past import joined
from control.rehearsal.sandboxed import examined
from control.rehearsal.treatment import Rules
from control.rehearsal.trial import Rule, Told, Trial, Verdict, as_received
from control.sandbox import Busy
from engine import events, limits
from engine.config import Settings
from engine.config.entries import address_error
from engine.definitions import DefinitionsRefused
from engine.policy.evidence import Envelope
from engine.queue import listing
from engine.queue.errors import QueueError
from engine.relay_rule import plain_address

MESSAGE_LEN: Final = 25 * limits.MIB
BODY_LEN: Final = 36 * limits.MIB  # in base64
RECIPIENTS: Final = 100

Address = Annotated[str, msgspec.Meta(max_length=320)]


class TriedMessage(Input, frozen=True):
    """message: as a file, base64 in JSON; smtp_id: of one that came here, in its place.

    client: the address of the connecting host; with it DNS is asked, as the gateway would. reverse_path: empty takes
    the one of the message.
    """

    message: Annotated[bytes, msgspec.Meta(max_length=MESSAGE_LEN)] = b""
    smtp_id: Annotated[str, msgspec.Meta(max_length=13)] = ""
    client: Annotated[str, msgspec.Meta(max_length=64)] = ""
    reverse_path: Address = ""
    forward_paths: Annotated[list[Address], msgspec.Meta(max_length=RECIPIENTS)] = []


class PolicyTried(Answer, frozen=True):
    """fate: refuse, drop, forward, hold, bounce or deliver; of a message that is gone, in words. rules: in their order.

    judged_from: content, or evidence: what the journal keeps of a message that is not in the queue any more. scan:
    clean, infected or unscanned; empty if the message was not looked at. deleted: (part, why). repaired: (part,
    what was found in it and taken out).
    """

    judged_from: str
    fate: str
    reason: str
    subject: str
    size: int
    reverse_path: str
    forward_paths: list[str]
    rules: list[Rule] = []
    scan: str = ""
    infections: list[tuple[str, str]] = []
    unscanned: list[str] = []
    deleted: list[tuple[str, str]] = []
    repaired: list[tuple[str, str]] = []
    forwards: list[str] = []
    told: list[Told] = []


@operation(
    "POST",
    "/policy/try",
    Scope.SETTINGS,
    errors=(Conflict, Forbidden, NotFound, Unavailable),
    body_len=BODY_LEN,
)
def try_(call: Call, given: TriedMessage) -> PolicyTried:
    """Tell what the policy in force would do to a message, rule by rule.

    Nothing is queued, sent or written. The message is taken apart in a sandbox.
    """
    envelope = _envelope(given)
    settings = call.context.settings()
    if not given.smtp_id:
        if not given.message:
            text = "Choose a file with a message, paste one, or name an SMTP ID."
            raise Invalid(text, (Mistake("message", "is empty."),))
        return _tried(call, settings, as_received(given.message), envelope)
    if not call.actor.may(Scope.CONTENT):
        raise Forbidden("This account may not look into messages that came here.")
    return _came_here(call, settings, given.smtp_id.strip().upper(), envelope)


def _envelope(given: TriedMessage) -> Envelope:
    mistakes, client = [], given.client.strip()
    if client:
        try:
            client = str(plain_address(client))
        except ValueError:
            mistakes.append(Mistake("client", "is not an IP address such as 192.0.2.1."))
    paths = [path.strip() for path in given.forward_paths if path.strip()]
    for place, path in (("reverse_path", given.reverse_path.strip()), *(("forward_paths", path) for path in paths)):
        if path and path != "<>" and (error := address_error(path)):
            mistakes.append(Mistake(place, f"{path!r} {error}."))
    if mistakes:
        raise Invalid("The envelope is not right.", tuple(mistakes))
    return Envelope(client=client, reverse_path=given.reverse_path.strip(), forward_paths=tuple(paths))


def _tried(call: Call, settings: Settings, data: bytes, envelope: Envelope) -> PolicyTried:
    try:
        outcome = examined(data, settings, call.context.layout.root / settings.antivirus.definitions)
    except Busy:
        raise Unavailable("Other messages are being tried just now. Try again in a moment.") from None
    except DefinitionsRefused as error:
        raise Conflict(f"The definitions cannot be used: {error}. Install good ones, then try again.") from None
    trial = Trial(settings, dns=bool(envelope.client))
    verdict: Verdict = asyncio.run(trial.judge_outcome(outcome, len(data), envelope))
    found = verdict.evidence
    return PolicyTried(
        judged_from="content",
        fate=verdict.disposition,
        reason=verdict.reason,
        subject=found.header.subject,
        size=found.envelope.size,
        reverse_path=found.envelope.reverse_path,
        forward_paths=list(found.envelope.forward_paths),
        rules=verdict.rules,
        scan=verdict.scan,
        infections=verdict.infections,
        unscanned=verdict.unscanned,
        deleted=verdict.deleted,
        repaired=verdict.repaired,
        forwards=verdict.forwards,
        told=verdict.told,
    )


def _came_here(call: Call, settings: Settings, smtp_id: str, envelope: Envelope) -> PolicyTried:
    """Its octets if it still waits, else what the journal keeps of it."""
    root = call.context.layout.root
    try:
        with readable():
            state = listing.find(root, smtp_id)
            data = b"".join(listing.octets(root, state)) if state is not None else b""
        if state is not None:
            received = state.received
            own = Envelope(
                client=envelope.client or received.client,
                reverse_path=envelope.reverse_path or received.reverse_path,
                forward_paths=envelope.forward_paths or tuple(one.address for one in received.recipients),
            )
            return _tried(call, settings, data, own)
    except ValueError as error:
        raise NotFound(f"{error}.") from None
    except QueueError as error:
        raise Conflict(f"The message cannot be read: {error}.") from None
    with call.context.store.read() as view:
        story = view.story(smtp_id)
    accepted = next((one for one in story if isinstance(one, events.Accepted)), None)
    if accepted is None:
        raise NotFound(f"Message {smtp_id} is neither in the queue nor in the journal: it may be too old.")
    scanned = next((one for one in reversed(story) if isinstance(one, events.Scanned)), None)
    past = joined(accepted, scanned)
    treatment = Rules(settings).treat(past.evidence)
    return PolicyTried(
        judged_from="evidence",
        fate=str(treatment),
        reason="; ".join(treatment.reasons) or treatment.unsure,
        subject=past.subject or accepted.subject,
        size=past.evidence.envelope.size,
        reverse_path=past.evidence.envelope.reverse_path,
        forward_paths=list(past.evidence.envelope.forward_paths),
    )
