"""The pages of the central quarantine server: what lies in it, why, whose it was, and what can be done (QRN-06..09)."""

from collections.abc import Iterator
from typing import IO, Final
from urllib.parse import urlencode

from starlette.responses import Response

from control import help as manual
from control.actor import Scope
from control.operation import Download, NotFound
from control.page import AnyVisit, download, form_of, page_of
from control.quarantine.zipped import PASSWORD, PIECE_LEN
from control.quarantine_server import authority
from control.quarantine_server.context import MANUAL, ServerContext
from control.quarantine_server.desk import NOTE_LEN, SELECTED
from control.quarantine_server.index import PAGE, SEARCH_LEN, Filter
from control.quarantine_server.protocol import OrderState

PATH: Final = "/items"
WARN_AT: Final = 80  # percent
STATES: Final = (
    ("", "any"),
    ("clean", "nothing found any more"),
    ("named", "newly named"),
    (OrderState.ORDERED, "release ordered"),
    (OrderState.PICKED_UP, "release picked up"),
    (OrderState.DELIVERED, "release delivered"),
    (OrderState.FAILED, "release failed"),
    ("sample", "sent as a sample"),
)
WORDS: Final = dict(STATES)
SAMPLE_WORDS: Final = {
    "": "not sent",
    "waiting": "waits to be sent",
    "sent": "sent",
    "refused": "refused by the service",
    "failed": "could not be sent",
}
FATES: Final = {
    "repaired": "repaired; the mail went on with what was left",
    "deleted": "taken out of the mail, which went on without it",
    "logged": "left in the mail: the gateway only logs",
}


class ServerVisit(AnyVisit[ServerContext]):
    """To a page of the quarantine server."""

    @property
    def may_act(self) -> bool:
        return self.actor.may(Scope.QUARANTINE_WRITE)

    @property
    def number(self) -> int:
        """Of the item in the address. Raises NotFound."""
        text = str(self.request.path_params["number"])
        if not text.isascii() or not text.isdecimal() or len(text) > 18:
            raise NotFound("There is no such file in the quarantine.")
        return int(text)


def show(visit: ServerVisit) -> Response:
    wanted = _wanted(visit)
    text = visit.query("before")
    before = int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else 0
    context = visit.context
    found = context.store.index.page(wanted, before, PAGE + 1)
    shown, more = found[:PAGE], len(found) > PAGE
    kept = {name: value for name in ("text", "gateway", "state") if (value := getattr(wanted, name))}
    begin = PATH + ("?" + urlencode(kept) if kept else "")
    return visit.render(
        "quarantine_server/items.html",
        items=shown,
        wanted=wanted,
        kept=kept,
        totals=context.store.index.totals(),
        bounds=context.settings.store,
        full=context.store.why_full(),
        fullness=context.store.fullness,
        warn_at=WARN_AT,
        rescan=context.rescan,
        left=context.rescan.left(),
        gateways=authority.enrolled(context.layout),
        states=STATES,
        words=WORDS,
        first=not before,
        next=f"{PATH}?" + urlencode({**kept, "before": shown[-1].number}) if more else "",
        begin=begin,
        may_act=visit.may_act,
    )


def _wanted(visit: ServerVisit) -> Filter:
    state = visit.query("state")
    return Filter(visit.query("text")[:SEARCH_LEN], visit.query("gateway"), state if state in WORDS else "")


def show_one(visit: ServerVisit) -> Response:
    return _one(visit, visit.number)


def _one(visit: ServerVisit, number: int) -> Response:
    context = visit.context
    entry = context.desk.one(number)
    index = context.store.index
    return visit.render(
        "quarantine_server/item.html",
        one=entry,
        item=entry.item,
        others=index.of_content(entry.item.sha256, but=number),
        releases=index.releases(number),
        deeds=index.deeds(number),
        words=WORDS,
        sample_words=SAMPLE_WORDS,
        fates=FATES,
        samples=context.settings.samples,
        password=PASSWORD,
        note_len=NOTE_LEN,
        may_act=visit.may_act,
    )


def release(visit: ServerVisit) -> Response:
    number, fields = visit.number, visit.fields
    recipients = [one.strip() for one in fields.get("recipients").replace(",", "\n").splitlines() if one.strip()]
    entry = visit.context.desk.one(number)
    if not visit.confirmed:
        text = (
            f"The gateway {entry.gateway} sends this file, unchanged, to {_people(recipients)}. It is not blocked"
            " again. If it is malware, whoever opens it is infected."
        )
        return visit.confirm("Release this file?", text, "Release", f"{PATH}/{number}")
    visit.context.desk.release(visit.actor, number, recipients, fields.get("note"))
    return visit.done(f"{PATH}/{number}", "The release is ordered. This page shows what comes of it.")


def _people(recipients: list[str]) -> str:
    if len(recipients) > 3:
        return f"{', '.join(recipients[:3])} and {len(recipients) - 3} more"
    return ", ".join(recipients) or "nobody"


def withdraw(visit: ServerVisit) -> Response:
    visit.context.desk.withdraw(visit.actor, visit.number)
    return visit.done(f"{PATH}/{visit.number}", "The release was withdrawn: the gateway had not begun with it.")


def delete(visit: ServerVisit) -> Response:
    number = visit.number
    if not visit.confirmed:
        text = "It is gone then, and cannot be released any more. Neither the gateway nor anybody else has a copy."
        return visit.confirm("Delete this file?", text, "Delete", f"{PATH}/{number}")
    if not visit.context.desk.delete(visit.actor, [number]):
        return visit.nothing_done(f"{PATH}/{number}", "It was not deleted: a gateway is just sending it.")
    return visit.done(PATH, "The file was deleted.")


def get(visit: ServerVisit) -> Response:
    number = visit.number
    archive = visit.context.desk.download(visit.actor, number)
    return download(Download(name=f"quarantine-{number}.zip", media_type="application/zip", content=_pieces(archive)))


def _pieces(archive: IO[bytes]) -> Iterator[bytes]:
    with archive:
        while piece := archive.read(PIECE_LEN):
            yield piece


def sample(visit: ServerVisit) -> Response:
    visit.context.samples.approve(visit.actor, visit.number)
    return visit.done(f"{PATH}/{visit.number}", "The file will be sent to the analysis service.")


def act(visit: ServerVisit) -> Response:
    """Several at once: the boxes of the list."""
    numbers = [int(one) for one in visit.fields.all("number") if one.isascii() and one.isdecimal() and len(one) <= 18]
    if not numbers:
        return visit.nothing_done(PATH, "Nothing was selected: tick the boxes of the files that you mean.")
    numbers = numbers[:SELECTED]
    deed, context = visit.fields.get("act"), visit.context
    files = f"{len(numbers)} file{'s' if len(numbers) != 1 else ''}"
    if deed not in ("release", "delete"):
        raise NotFound("There is no such action.")
    if not visit.confirmed:
        if deed == "delete":
            text = "They are gone then, and cannot be released any more."
            return visit.confirm(f"Delete {files}?", text, "Delete", PATH)
        text = "Each is sent, unchanged, to all recipients of the mail that it came with. They are not blocked again."
        return visit.confirm(f"Release {files}?", text, "Release", PATH)
    if deed == "delete":
        count = context.desk.delete(visit.actor, numbers)
        return visit.done(PATH, f"{count} of {files} deleted." + _stay(len(numbers) - count))
    count, problems = context.desk.release_all(visit.actor, numbers)
    text = f"The release of {count} of {files} is ordered." + (f" Not: {problems}" if problems else "")
    return visit.done(PATH, text)


def _stay(count: int) -> str:
    return f" {count} stay: they are just being sent, or were deleted before." if count else ""


def gateways(visit: ServerVisit) -> Response:
    context = visit.context
    rows = [(name, *context.store.index.last_of(name)) for name in authority.enrolled(context.layout)]
    return visit.render("quarantine_server/gateways.html", rows=rows, root=context.layout.root)


def audit(visit: ServerVisit) -> Response:
    return visit.render("quarantine_server/audit.html", deeds=visit.context.store.index.deeds())


def help_(visit: ServerVisit) -> Response:
    return visit.render("help/page.html", text=manual.text(MANUAL), settings=[], pages=[])


_LOOK, _ACT = Scope.QUARANTINE, Scope.QUARANTINE_WRITE
routes: Final = [
    page_of(ServerVisit, PATH, _LOOK, show),
    page_of(ServerVisit, "/items/{number}", _LOOK, show_one),
    form_of(ServerVisit, "/items/act", _ACT, act),
    form_of(ServerVisit, "/items/{number}/release", _ACT, release),
    form_of(ServerVisit, "/items/{number}/withdraw", _ACT, withdraw),
    form_of(ServerVisit, "/items/{number}/delete", _ACT, delete),
    form_of(ServerVisit, "/items/{number}/download", _ACT, get),
    form_of(ServerVisit, "/items/{number}/sample", _ACT, sample),
    page_of(ServerVisit, "/gateways", _LOOK, gateways),
    page_of(ServerVisit, "/audit", _LOOK, audit),
    page_of(ServerVisit, "/help", Scope.OWN, help_),
    page_of(ServerVisit, "/help/{name}", Scope.OWN, help_),
]
