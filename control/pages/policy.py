"""Try a message: what the policy in force would do to it, rule by rule (BLK-01). Nothing is queued or sent."""

from typing import Final

from starlette.responses import Response

from control.actor import Scope
from control.form import Fields
from control.help import help_for
from control.operation import Refused
from control.operations import policy
from control.page import Visit, form, page

PATH: Final = "/blocking/try"
FORM_LEN: Final = policy.MESSAGE_LEN + 1024 * 1024
_FIELDS: Final = ("smtp_id", "client", "reverse_path", "forward_paths", "pasted")


def show(visit: Visit) -> Response:
    return _page(visit, Fields([("smtp_id", visit.query("id"))]))


def take(visit: Visit) -> Response:
    fields = visit.fields
    file = fields.files.get("file")
    message = file.content if file is not None and file.content else fields.get("pasted").encode("utf-8", "replace")
    try:
        if len(message) > policy.MESSAGE_LEN:
            raise Refused(f"The message is larger than {policy.MESSAGE_LEN >> 20} MB, which is not tried here.")
        given = policy.TriedMessage(
            message=message if not fields.get("smtp_id").strip() else b"",
            smtp_id=fields.get("smtp_id").strip()[:13],
            client=fields.get("client")[:64],
            reverse_path=fields.get("reverse_path")[:320],
            forward_paths=[line[:320] for line in fields.get("forward_paths").splitlines()][: policy.RECIPIENTS],
        )
        tried = policy.try_(visit.call, given)
    except Refused as error:
        return _page(visit, fields, refusal=error, status=error.status)
    return _page(visit, fields, tried=tried)


def _page(
    visit: Visit,
    fields: Fields,
    *,
    tried: policy.PolicyTried | None = None,
    refusal: Refused | None = None,
    status: int = 200,
) -> Response:
    return visit.render(
        "settings/try.html",
        status=status,
        typed={name: fields.get(name) for name in _FIELDS},
        tried=tried,
        refusal=refusal.text if refusal else "",
        wrong={one.place: one.text for one in refusal.mistakes} if refusal else {},
        largest=policy.MESSAGE_LEN,
        help=help_for(PATH),
    )


routes: Final = [page(PATH, Scope.SETTINGS, show), form(PATH, Scope.SETTINGS, take, length=FORM_LEN, uploads=True)]
