"""How the API refuses: a problem as RFC 9457 describes it, whoever finds it."""

from typing import Final

import msgspec
from starlette.responses import Response

from control.operation import Mistake

_TITLES: Final = {
    400: "Not understood",
    401: "Log on first",
    403: "Not allowed",
    404: "Not there",
    405: "Not possible here",
    409: "Not now",
    412: "Changed in the meantime",
    413: "Too large",
    415: "Not JSON",
    421: "Not known by this name",
    422: "Not valid",
    428: "Say what you change",
    429: "Too many requests",
    500: "Something went wrong",
    503: "Not available",
}


class Problem(msgspec.Struct, omit_defaults=True):
    """RFC 9457. errors: of an input, where it is wrong."""

    title: str
    status: int
    detail: str
    errors: tuple[Mistake, ...] = ()


def problem(status: int, detail: str, errors: tuple[Mistake, ...] = ()) -> Response:
    title = _TITLES.get(status, "Refused")
    body = msgspec.json.encode(Problem(title, status, detail, errors))
    return Response(body, status, media_type="application/problem+json")
