"""The local quarantine: what lies in it and why, and releasing, taking out and deleting it (QRN-03, QRN-05, QRN-06)."""

from typing import Final

from starlette.responses import Response

from control.actor import Scope
from control.operation import Invalid, Nothing
from control.operations import quarantine
from control.page import Visit, form, page
from control.quarantine.letter import NOTE_LEN
from control.quarantine.zipped import PASSWORD

PATH: Final = "/quarantine/items"
FILE: Final = "/quarantine/file"
RELEASES: Final = "/quarantine/releases"
FATES: Final = {
    "": "All",
    "deleted": "Deleted from the mail",
    "repaired": "Repaired in the mail",
    "logged": "Left in the mail, only logged",
}
STATES: Final = {
    "ordered": "Is being queued",
    "picked-up": "In the queue, not delivered yet",
    "delivered": "Delivered to all",
    "failed": "Not delivered to all",
}
WHAT: Final = {
    "nothing": "No files are put aside",
    "unrepaired": "Infected files that cannot be repaired",
    "all": "All infected files",
}


def show(visit: Visit) -> Response:
    fate = visit.query("fate")
    wanted = quarantine.QuarantineFilter(
        text=visit.query("text"),
        fate=fate if fate in FATES else "",  # type: ignore[arg-type]
        before=visit.query("before")[:100],
    )
    settings = visit.context.settings()
    return visit.render(
        "quarantine/items.html",
        fates=FATES,
        states=STATES,
        what=WHAT,
        wanted=wanted,
        found=quarantine.list_items(visit.call, wanted),
        looked_at=quarantine.LOOKED_AT,
        chosen=str(settings.quarantine.what),
        days=settings.quarantine.days,
        may_write=visit.actor.may(Scope.QUARANTINE_WRITE),
    )


def show_file(visit: Visit) -> Response:
    return _file(visit, visit.query("id"))


def _file(visit: Visit, item_id: str, error: Invalid | None = None) -> Response:
    return visit.render(
        "quarantine/file.html",
        error.status if error else 200,
        file=quarantine.get_item(visit.call, quarantine.OneItem(id=item_id)),
        fates=FATES,
        states=STATES,
        password=PASSWORD,
        mistakes=[one.text for one in error.mistakes] if error else [],
        typed=visit.fields.get("recipients"),
        note=visit.fields.get("note"),
        may_write=visit.actor.may(Scope.QUARANTINE_WRITE),
        may_read=visit.actor.may(Scope.CONTENT),
    )


def release(visit: Visit) -> Response:
    fields = visit.fields
    item_id = fields.get("id")
    recipients = [one.strip() for one in fields.get("recipients").replace(",", "\n").splitlines() if one.strip()]
    if not visit.confirmed:
        file = quarantine.get_item(visit.call, quarantine.OneItem(id=item_id))
        to = ", ".join(recipients or file.recipients)
        text = (
            f"The original file {file.name} goes to {to} as it came. It was put aside because of"
            f" {', '.join(file.viruses) or 'what is unknown'}: whoever opens it may start what is in it."
        )
        return visit.confirm("Release this file?", text, "Release", f"{FILE}?id={item_id}")
    order = quarantine.ReleaseOrder(id=item_id, recipients=recipients, note=fields.get("note")[:NOTE_LEN])
    try:
        quarantine.release(visit.call, order)
    except Invalid as error:
        return _file(visit, item_id, error)
    return visit.done(RELEASES, "The release is ordered. This list shows what comes of it.")


def take_out(visit: Visit) -> Response:
    return visit.download(quarantine.take_out(visit.call, quarantine.OneItem(id=visit.fields.get("id"))))


def delete(visit: Visit) -> Response:
    item_id = visit.fields.get("id")
    if not visit.confirmed:
        text = "It is gone for good then, and nobody can release it any more."
        return visit.confirm("Delete this file?", text, "Delete", f"{FILE}?id={item_id}")
    quarantine.delete_item(visit.call, quarantine.OneItem(id=item_id))
    return visit.done(PATH, "The file is deleted.")


def forward(visit: Visit) -> Response:
    quarantine.forward_now(visit.call, Nothing())
    return visit.done(PATH, "The central server is asked again now.")


def show_releases(visit: Visit) -> Response:
    return visit.render(
        "quarantine/releases.html",
        releases=quarantine.list_releases(visit.call, Nothing()).releases,
        states=STATES,
        may_follow=visit.actor.may(Scope.MESSAGES),
    )


routes: Final = [
    page(PATH, Scope.QUARANTINE, show),
    page(FILE, Scope.QUARANTINE, show_file),
    page(RELEASES, Scope.QUARANTINE, show_releases),
    form(f"{FILE}/release", Scope.QUARANTINE_WRITE, release),
    form(f"{FILE}/download", Scope.QUARANTINE_WRITE, take_out),
    form(f"{FILE}/delete", Scope.QUARANTINE_WRITE, delete),
    form("/quarantine/forward", Scope.QUARANTINE_WRITE, forward),
]
