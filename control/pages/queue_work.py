"""What people do to queued mail (HOLD-01..05, UI-06): ask, confirm, do, and see how far it is."""

import re
from typing import Any, Final

import msgspec
from starlette.responses import Response

from control.actor import Scope
from control.operation import Invalid, Nothing
from control.operations import queue_work, queues
from control.operations.queue_work import IDS_LEN, OneWork, QueueForward, QueueSelection, QueueWork
from control.operations.queues import QueueCounting, QueueFilter
from control.page import Visit, form, page
from control.pages.queue_words import FILTER_FIELDS, TITLES, WORDS, Act, Words

LENGTH: Final = 256 * 1024  # octets of the form: as many ids as a selection may have
_BACK: Final = re.compile(r"/(queues|configuration/hold)(/[\w/]*)?(\?[\w%&=.+*@~-]*)?", re.ASCII)


def take(visit: Visit) -> Response:
    """A button below a list, on the page of a message, or of all held messages."""
    act = _act(visit)
    words, selection, back = WORDS[act], _selection(visit), _back(visit)
    if selection is None:
        return visit.nothing_done(back, "Nothing was done: no message is selected.")
    what = _what(visit, act, selection)
    if not visit.confirmed and (words.ask or selection.matching is not None):
        return visit.confirm(words.title.format(what=what), words.text, words.button, back, danger=words.danger)
    if act == "forward":
        return _forward(visit, selection, what, back)
    run = {
        "retry": queue_work.retry,
        "requeue": queue_work.requeue,
        "release": queue_work.release,
        "hold": queue_work.hold,
        "drop": queue_work.drop,
    }[act]
    return _told(visit, run(visit.call, selection), words, back)


def _act(visit: Visit) -> Act:
    act = visit.fields.get("act")
    if act not in WORDS:
        raise Invalid("It was not said what to do with the messages. Go back and use one of the buttons.")
    return act  # type: ignore[return-value]  # it is one of them


def _selection(visit: Visit) -> QueueSelection | None:
    """None: no message is selected."""
    fields = visit.fields
    try:
        if fields.get("which") == "all":
            given: dict[str, Any] = {name: fields.get(name) for name in ("queue", *FILTER_FIELDS)}
            given["older_s"] = given["older_s"] or "0"
            return QueueSelection(matching=msgspec.convert(given, QueueFilter, strict=False))
        ids = fields.all("id")
        return msgspec.convert({"ids": ids}, QueueSelection) if ids else None
    except msgspec.ValidationError as error:
        raise Invalid(f"This selection cannot be used: {error}. At most {IDS_LEN:,} messages can be named.") from None


def _what(visit: Visit, act: Act, selection: QueueSelection) -> str:
    """How many messages, in words."""
    if selection.matching is None:
        return _messages(len(selection.ids))
    counted = queues.count(visit.call, QueueCounting(act=act, **msgspec.structs.asdict(selection.matching)))
    return _messages(counted.count) if counted.complete else f"at least {_messages(counted.count)}"


def _messages(count: int) -> str:
    return f"{count:,} message{'' if count == 1 else 's'}"


def _forward(visit: Visit, selection: QueueSelection, what: str, back: str) -> Response:
    """HOLD-04: after it was confirmed, a subject and exactly one address."""
    fields = visit.fields
    mistakes: tuple[str, ...] = ()
    to, subject = fields.get("to").strip(), fields.get("subject").strip()
    if "to" in fields:
        try:
            given = msgspec.convert({**msgspec.structs.asdict(selection), "to": to, "subject": subject}, QueueForward)
            return _told(visit, queue_work.forward(visit.call, given), WORDS["forward"], back)
        except msgspec.ValidationError:
            mistakes = ("The subject or the address is too long.",)
        except Invalid as error:
            mistakes = tuple(one.text for one in error.mistakes)
    asked = ("token", "to", "subject")
    return visit.render(
        "queues/forward.html",
        422 if mistakes else 200,
        what=what,
        to=to,
        subject=subject,
        back=back,
        mistakes=mistakes,
        kept=[pair for pair in fields.pairs if pair[0] not in asked],
    )


def _told(visit: Visit, work: QueueWork, words: Words, back: str) -> Response:
    """Back to where it began; but where not all is done, there is more to see."""
    if work.state != "done" or work.failed_count:
        return visit.done(f"/queues/work/{work.id}", "")
    if not work.total:
        return visit.nothing_done(back, "Nothing was done: there is no such message any more.")
    what = _messages(work.done)
    text = words.done.format(what=what[0].upper() + what[1:] if words.done[:6] == "{what}" else what)
    return visit.done(back, text)


def _back(visit: Visit) -> str:
    """A page of ours, and of these."""
    back = visit.fields.get("back")
    return back if _BACK.fullmatch(back) else "/queues/overview"


def every(visit: Visit) -> Response:
    return visit.render("queues/works.html", works=queue_work.every(visit.call, Nothing()).works, titles=TITLES)


def show(visit: Visit) -> Response:
    """How far a work is; while it goes on a script renews it."""
    work = queue_work.read(visit.call, OneWork(id=_work_id(visit)))
    return visit.render("queues/work.html", work=work, titles=TITLES)


def stop(visit: Visit) -> Response:
    work = queue_work.stop(visit.call, OneWork(id=_work_id(visit)))
    return visit.done(f"/queues/work/{work.id}", "Stopped." if work.ended else "It stops after the next messages.")


def _work_id(visit: Visit) -> str:
    return str(visit.request.path_params["id"])


def hold(visit: Visit) -> Response:
    """The Hold Queue tab of Configuration (UI-02): what is done to all held messages (HOLD-01..04)."""
    counted = queues.count(visit.call, QueueCounting(queue="hold"))
    return visit.render("queues/hold.html", count=counted.count)


routes: Final = [
    form("/queues/act", Scope.QUEUES_WRITE, take, length=LENGTH),
    page("/queues/work", Scope.QUEUES, every),
    page("/queues/work/{id}", Scope.QUEUES, show, active=False),  # a script asks for it again
    form("/queues/work/{id}/stop", Scope.QUEUES_WRITE, stop),
    page("/configuration/hold", Scope.QUEUES, hold),
]
