"""What the pages share: templates, how times and sizes are written, and plain answers."""

import datetime
import re
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

import jinja2
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from engine.limits import MIB

if TYPE_CHECKING:
    from control.context import Context
    from control.entrance import Entrance
from control.times import clock_time as clock_time
from control.times import local_time as local_time

# Printable to Python, but nothing to see: grapheme joiner, Hangul and Khmer fillers, Braille blank, variation selectors
_INVISIBLE: Final = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufe00-\ufe0d\U000e0100-\U000e01ef]")


def entrance_of(request: Request) -> "Entrance":
    """What every program's pages have; `context_of` is the gateway's."""
    entrance: Entrance = request.app.state.context
    return entrance


def context_of(request: Request) -> "Context":
    context: Context = request.app.state.context
    return context


def moment_text(seconds: int) -> str:
    """Seconds since 1970, for people, with the zone."""
    return local_time(seconds * 1_000_000)


def size_text(octets: int) -> str:
    if octets < 1024:
        return f"{octets} B"
    return f"{octets / 1024:,.0f} KB" if octets < MIB else f"{octets / MIB:,.1f} MB"


def when_text(time: str, precise: bool = False) -> str:
    """A time of RFC 3339, for columns whose head names the zone."""
    if not time:
        return ""
    local = datetime.datetime.fromisoformat(time).astimezone().isoformat(" ", "milliseconds" if precise else "seconds")
    return local[: 23 if precise else 19]


def age_text(seconds: int) -> str:
    """The two greatest units: `3 d 4 h`."""
    for unit, below, length in (("d", "h", 86_400), ("h", "min", 3600), ("min", "s", 60)):
        if seconds >= length:
            rest = seconds % length // {"h": 3600, "min": 60, "s": 1}[below]
            return f"{seconds // length} {unit}" + (f" {rest} {below}" if rest else "")
    return f"{seconds} s"


def visible(text: str) -> str:
    """A stranger's words with what hides or turns text shown as its number: controls, direction marks, zero width.

    It stays text, to be escaped as any other. Blanks of any width and the ends of lines become blanks.
    """
    if text.isprintable() and not _INVISIBLE.search(text):
        return text
    return "".join(map(_shown, text))


def _shown(one: str) -> str:
    if one.isprintable() and not _INVISIBLE.match(one):
        return one
    return " " if one in "\t\r\n" or unicodedata.category(one) == "Zs" else f"[U+{ord(one):04X}]"


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "clock": clock_time,
        "moment": moment_text,
        "size": size_text,
        "when": when_text,
        "age": age_text,
        "visible": visible,
    }
    return environment


TEMPLATES: Final = _environment()


def see_other(path: str, **query: str) -> Response:
    return RedirectResponse(f"{path}?{urlencode(query)}" if query else path, status_code=303)


def client_of(request: Request) -> str:
    return request.client.host if request.client else ""
