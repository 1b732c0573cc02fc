"""What people have done to queued mail (HOLD-01..05), and how far that is.

A selection is a list of ids, or a filter: all that it means when it is done. Without the name of a queue a filter means
those queues in which the act makes sense; held messages are tried again only if the filter says so (HOLD-06).
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from control.actor import Scope
from control.operation import Answer, Call, Conflict, Input, Invalid, Mistake, NotFound, Nothing, Unavailable, operation
from control.operations.queues import QueueFilter, SmtpId, filter_of, rfc3339
from control.queues import relays
from control.queues.works import Progress, TooMany, Work
from engine.command import Command
from engine.config.entries import address_error

IDS_LEN: Final = 5000  # of one selection
NAMED: Final = 5  # ids in the event that tells of it
MOMENT_S: Final = 3.0  # an answer waits so long for the end of what was asked for
SUBJECT_LEN: Final = 200  # characters of the subject of a copy
_WORDS: Final = {
    "retry": "tried again",
    "requeue": "processed again",
    "release": "released",
    "hold": "moved to the hold queue",
    "drop": "dropped",
    "forward": "forwarded",
}


class QueueSelection(Input, frozen=True):
    """Exactly one of them. matching: a filter; an empty one means all."""

    ids: Annotated[list[SmtpId], Meta(max_length=IDS_LEN)] = []
    matching: QueueFilter | None = None


class QueueForward(QueueSelection, frozen=True, kw_only=True):
    """to: exactly one address. subject: of each copy; if it is empty, one that names the message."""

    to: Annotated[str, Meta(max_length=320)]
    subject: Annotated[str, Meta(max_length=SUBJECT_LEN)] = ""


class NotDone(msgspec.Struct, frozen=True):
    """A message that it was not done to, and why."""

    id: str
    reason: str


class QueueWork(Answer, frozen=True):
    """How far something is that was asked for. Times: RFC 3339; ended is empty while it goes on.

    state: looking (for the messages that are meant), running, done, failed (error says why) or stopped.
    total: messages that are meant. failed: the first 200 that it was not done to; failed_count: all of them.
    """

    id: str
    act: Literal["retry", "requeue", "release", "hold", "drop", "forward"]
    user: str
    state: Literal["looking", "running", "done", "failed", "stopped"]
    total: int
    done: int
    failed_count: int
    failed: list[NotDone]
    error: str
    started: str
    ended: str


@operation("POST", "/queues/retry", Scope.QUEUES_WRITE, errors=(Unavailable, Conflict), status=202)
def retry(call: Call, given: QueueSelection) -> QueueWork:
    """Try messages again now.

    A held message is processed anew, as by requeue. A filter that names no queue means the slow queue.
    """
    return _start(call, Command("retry"), given)


@operation("POST", "/queues/requeue", Scope.QUEUES_WRITE, errors=(Unavailable, Conflict), status=202)
def requeue(call: Call, given: QueueSelection) -> QueueWork:
    """Process messages anew, from the start.

    They are examined and judged by the settings and definitions of now, and the counter of crashes begins at zero. A
    message that was held because its processing crashed will probably do so again. A filter that names no queue means
    the slow and the hold queue.
    """
    return _start(call, Command("requeue"), given)


@operation("POST", "/queues/release", Scope.QUEUES_WRITE, errors=(Unavailable, Conflict), status=202)
def release(call: Call, given: QueueSelection) -> QueueWork:
    """Deliver held messages as they are.

    Whatever was found in them, they are not examined again. What was cut out of a message stays out.
    """
    return _start(call, Command("release"), given)


@operation("POST", "/queues/hold", Scope.QUEUES_WRITE, errors=(Unavailable, Conflict), status=202)
def hold(call: Call, given: QueueSelection) -> QueueWork:
    """Move messages to the hold queue.

    They stay there until a person decides. A filter that names no queue means the fast and the slow queue.
    """
    return _start(call, Command("hold"), given)


@operation("POST", "/queues/drop", Scope.QUEUES_WRITE, errors=(Unavailable, Conflict), status=202)
def drop(call: Call, given: QueueSelection) -> QueueWork:
    """Remove messages for good.

    Nobody receives them, and nobody is told. A filter that names no queue means all queues.
    """
    return _start(call, Command("drop"), given)


@operation("POST", "/queues/forward", Scope.QUEUES_WRITE, errors=(Unavailable, Conflict), status=202)
def forward(call: Call, given: QueueForward) -> QueueWork:
    """Send copies of messages to one address.

    Each copy is attached to a letter with a warning: copies are not scanned. The messages themselves stay where they
    are. A filter that names no queue means all queues.
    """
    check_forward(given.to)
    return _start(call, Command("forward", to=(given.to,), subject=given.subject), given)


def check_forward(to: str) -> None:
    """HOLD-04: exactly one address. Raises Invalid."""
    if error := address_error(to):
        raise Invalid("The copies need one mail address to go to.", (Mistake("to", f"“{to}” {error}."),))


class QueueWorks(Answer, frozen=True):
    """Newest first. They are forgotten when the pages' process ends."""

    works: list[QueueWork]


@operation("GET", "/queues/work", Scope.QUEUES)
def every(call: Call, given: Nothing) -> QueueWorks:
    """What was asked for lately, and how far it is."""
    return QueueWorks(works=[_told(one) for one in call.context.works.every()])


class OneWork(Input, frozen=True):
    id: Annotated[str, Meta(pattern="^[0-9a-f]{1,20}$")]


@operation("GET", "/queues/work/{id}", Scope.QUEUES, errors=(NotFound,))
def read(call: Call, given: OneWork) -> QueueWork:
    """How far a work is."""
    return _told(_find(call, given.id).progress())


@operation("POST", "/queues/work/{id}/stop", Scope.QUEUES_WRITE, errors=(NotFound,))
def stop(call: Call, given: OneWork) -> QueueWork:
    """Stop a work after the batch that is just being done.

    What is done stays done.
    """
    work = _find(call, given.id)
    work.stop()
    work.over.wait(MOMENT_S)
    progress = work.progress()
    call.modified("queued mail", f"asked to stop: messages to be {_WORDS[progress.act]}")
    return _told(progress)


def _find(call: Call, work_id: str) -> Work:
    work = call.context.works.get(work_id)
    if work is None:
        raise NotFound("Nothing is known of this work: it ended long ago, or the pages were started again since.")
    return work


def _start(call: Call, command: Command, given: QueueSelection) -> QueueWork:
    """Wait for the end for a moment. Raises Unavailable if nothing could be done at all."""
    if bool(given.ids) == (given.matching is not None):
        raise Invalid("Say which messages.", (Mistake("ids", "Either ids or a filter must be given, not both."),))
    root = call.context.layout.root
    if not relays.runs(root):
        raise Unavailable("The gateway does not run, so that nothing can be done to its mail. Start it, and try again.")
    wanted = given.ids if given.matching is None else filter_of(given.matching)

    def ended(progress: Progress) -> None:
        call.context.surveys.forget()
        if progress.done:
            call.modified(_names(given), f"{progress.done:,} {_WORDS[command.op]}" + _to(command))

    try:
        work = call.context.works.start(command, wanted, call.actor.user, ended)
    except TooMany:
        raise Conflict("Other work on the queues goes on. Wait until it is done, or stop it, and try again.") from None
    work.over.wait(MOMENT_S)
    progress = work.progress()
    if progress.unreached:
        raise Unavailable(f"Nothing was done: {progress.error}.")
    return _told(progress)


def _names(given: QueueSelection) -> str:
    """What was done to, in the log."""
    if given.matching is not None:
        said = {name: value for name in given.matching.__struct_fields__ if (value := getattr(given.matching, name))}
        return "queued mail: " + (", ".join(f"{name} {value}" for name, value in said.items()) or "all")
    more = len(given.ids) - NAMED
    return "message " + ", ".join(given.ids[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _to(command: Command) -> str:
    return f" to {command.to[0]}" if command.to else ""


def _told(one: Progress) -> QueueWork:
    return QueueWork(
        id=one.id,
        act=one.act,  # type: ignore[arg-type]  # it is one of these, as is the state
        user=one.user,
        state=one.state,  # type: ignore[arg-type]
        total=one.total,
        done=one.done,
        failed_count=one.failed_count,
        failed=[NotDone(*each) for each in one.failed],
        error=one.error,
        started=rfc3339(one.started),
        ended=rfc3339(one.ended),
    )
