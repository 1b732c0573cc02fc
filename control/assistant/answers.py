"""From what was typed into the steps to changed settings, and back; pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from engine.config import Settings

EMPTY_ROWS: Final = 3  # below those that are filled in
ROWS: Final = 200  # domains that one form takes


class Row(msgspec.Struct, frozen=True):
    """A line of the form of domains, as typed."""

    name: str = ""
    host: str = ""
    port: str = "25"


def typed_rows(names: Sequence[str], hosts: Sequence[str], ports: Sequence[str]) -> list[Row]:
    """Lines of a form that was sent; those without a domain and a host are left out."""
    rows = [
        Row(name.strip(), host.strip(), port.strip()) for name, host, port in zip(names, hosts, ports, strict=False)
    ]
    return [row for row in rows[:ROWS] if row.name or row.host]


def domains(before: Sequence[Mapping[str, Any]], rows: Sequence[Row], default_host: str) -> dict[str, Any]:
    """Changed settings. before: the routes; what the form does not show of one (MX, encryption) stays as it is."""
    known = {one["name"].lower(): one for one in before}
    local = [
        {**known.get(row.name.lower(), {}), "name": row.name, "host": row.host, "port": _number(row.port)}
        for row in rows
    ]
    return {"routing.local": local, "routing.default_host": default_host.strip()}


def _number(text: str) -> int | str:
    """What is no number is left to the check of the settings, which says so."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 6 else text or 25


def senders(text: str) -> dict[str, Any]:
    return {"relay.hosts": lines(text)}


def people(hostname: str, administrators: str) -> dict[str, Any]:
    return {"smtp.hostname": hostname.strip(), "notifications.administrators": lines(administrators)}


def lines(text: str) -> list[str]:
    """The entries of a field with one in each line, or several with commas."""
    return [entry for line in text.replace(",", "\n").splitlines() if (entry := line.strip())]


def is_set_up(settings: Settings) -> bool:
    """Whether somebody has told this gateway anything that the assistant asks for."""
    return bool(settings.routing.local or settings.routing.default_host or settings.notifications.administrators)
