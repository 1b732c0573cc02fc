"""What the pages share: templates, how times and sizes are written, and plain answers."""

import datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import jinja2
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from control.context import Context
from engine.limits import MIB


def context_of(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


def _local(microseconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(microseconds / 1_000_000, datetime.UTC).astimezone()


def local_time(microseconds: int, precise: bool = False) -> str:
    """A time for people, in the zone of the server, which it names."""
    return _local(microseconds).strftime("%Y-%m-%d %H:%M:%S %Z" if precise else "%Y-%m-%d %H:%M %Z")


def clock_time(microseconds: int) -> str:
    """The same for columns whose head names the zone."""
    return _local(microseconds).strftime("%Y-%m-%d %H:%M:%S")


def size_text(octets: int) -> str:
    if octets < 1024:
        return f"{octets} B"
    return f"{octets / 1024:,.0f} KB" if octets < MIB else f"{octets / MIB:,.1f} MB"


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"clock": clock_time, "size": size_text}
    return environment


TEMPLATES: Final = _environment()


def see_other(path: str, **query: str) -> Response:
    return RedirectResponse(f"{path}?{urlencode(query)}" if query else path, status_code=303)


def client_of(request: Request) -> str:
    return request.client.host if request.client else ""
