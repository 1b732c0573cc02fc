"""One queued message: its envelope, its header fields and parts, its octets."""

from collections.abc import Iterator

from control.actor import Scope
from control.operation import Answer, Call, Conflict, Download, Input, NotFound, Unavailable, operation
from control.operations.queues import QueuedSummary, SmtpId, readable, summary
from control.queues import outline as outlines
from control.queues.header import Beginning, with_subject
from control.queues.lines import line_of
from control.queues.outline import HeaderField, MessagePart
from control.sandbox import Busy
from engine.queue import listing
from engine.queue.errors import QueueError
from engine.queue.state import MessageState


class OneQueued(Input, frozen=True):
    id: SmtpId


class QueuedMessage(Answer, frozen=True):
    message: QueuedSummary
    helo: str
    protocol: str
    tls: str
    disposition: str
    signatures: list[str]


@operation("GET", "/queues/messages/{id}", Scope.QUEUES, errors=(NotFound, Unavailable))
def message(call: Call, given: OneQueued) -> QueuedMessage:
    """One queued message: its envelope and how far it is with each recipient."""
    state = _find(call, given.id)
    received, verdict = state.received, state.verdict
    return QueuedMessage(
        message=summary(with_subject(call.context.layout.root, state, line_of(state, call.context.now_us() * 1000))),
        helo=received.helo,
        protocol=received.protocol,
        tls=received.tls,
        disposition=verdict.disposition.value if verdict else "",
        signatures=list(verdict.signatures) if verdict else [],
    )


class QueuedOutline(Answer, frozen=True):
    """fields: decoded. raw: lines of the header section as received, without what cannot be shown; more_raw: not all.

    problem: why there is less than there should be.
    """

    fields: list[HeaderField]
    fields_left_out: int
    raw: list[str]
    more_raw: bool
    parts: list[MessagePart]
    parts_left_out: int
    problem: str


@operation("GET", "/queues/messages/{id}/outline", Scope.CONTENT, errors=(NotFound, Conflict, Unavailable))
def outline(call: Call, given: OneQueued) -> QueuedOutline:
    """Header fields and parts of a queued message.

    It is read in a sandbox of its own, since mail may be held for what it does to programs that read it.
    """
    root, state = call.context.layout.root, _find(call, given.id)
    try:
        beginning = Beginning()
        with readable():
            found = outlines.outline(beginning.of(listing.octets(root, state)))
        raw, more = beginning.header_lines()
    except QueueError as error:
        raise Conflict(f"{error}.") from None
    except Busy:
        raise Unavailable("Other messages are being read just now. Try again in a moment.") from None
    return QueuedOutline(
        fields=list(found.fields),
        fields_left_out=found.fields_left_out,
        raw=raw,
        more_raw=more,
        parts=list(found.parts),
        parts_left_out=found.parts_left_out,
        problem=found.problem,
    )


@operation("GET", "/queues/messages/{id}/content", Scope.CONTENT, errors=(NotFound, Conflict, Unavailable))
def content(call: Call, given: OneQueued) -> Download:
    """A queued message as a file, as received.

    It was not cleaned: it may be what the message is held for. Who saved it is written to the journal.
    """
    state = _find(call, given.id)
    pieces = listing.octets(call.context.layout.root, state)
    try:
        with readable():
            first = next(pieces, b"")
    except QueueError as error:
        raise Conflict(f"{error}.") from None
    call.modified(f"message {state.id}", "its content was saved as a file")
    return Download(name=f"{state.id}.eml", media_type="message/rfc822", content=_chained(first, pieces))


def _chained(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _find(call: Call, smtp_id: str) -> MessageState:
    try:
        with readable():
            found = listing.find(call.context.layout.root, smtp_id, call.context.fast_queue.read)
    except ValueError as error:
        raise NotFound(f"{error}.") from None
    if found is None:
        raise NotFound(f"Message {smtp_id} is not in the queue: it was delivered, moved or removed. Its story tells.")
    return found
