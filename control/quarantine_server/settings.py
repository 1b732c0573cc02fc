"""The settings of the central quarantine server: `quarantine.toml`, in the manner of the gateway's file (PROC-15)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import msgspec

from control.quarantine_server.protocol import PORT
from engine.config import ConfigError, Listener, Problem, Section, entries
from engine.config.base import Positive
from engine.config.file import refusal, replace, tables, tables_of, text_of
from engine.config.read import convert

FILE_NAME: Final = "quarantine.toml"
PAGES_PORT: Final = 8454
ITEM_MB: Final = 512  # what a gateway can have scanned


class Gateways(Section, frozen=True):
    """listen: where gateways bring items. names: by which they reach the server, for its certificate."""

    listen: Listener = Listener("0.0.0.0", PORT)
    names: tuple[str, ...] = ()


class Web(Section, frozen=True):
    """The pages. names: by which browsers reach them, besides the machine's own and its addresses."""

    listen: Listener = Listener("0.0.0.0", PAGES_PORT)
    names: tuple[str, ...] = ()
    timeout_minutes: Annotated[int, msgspec.Meta(ge=1, le=1440)] = 15


class Store(Section, frozen=True):
    """max_gb: of all files together, as they lie on disk. max_days: older items are deleted, 0 for never."""

    max_gb: Positive = 20
    max_items: Positive = 1_000_000
    max_days: Annotated[int, msgspec.Meta(ge=0, le=3650)] = 180
    item_mb: Annotated[int, msgspec.Meta(ge=1, le=ITEM_MB)] = 100


class Samples(Section, frozen=True):
    """QRN-08. url: of a service that speaks the interface of docs/samples.md. token_file: what it wants to hear.

    automatic: send what definitions cannot name without being asked; else each needs somebody's approval.
    """

    enabled: bool = False
    url: str = ""
    token_file: str = ""
    automatic: bool = False
    max_mb: Annotated[int, msgspec.Meta(ge=1, le=ITEM_MB)] = 25
    timeout_s: Annotated[int, msgspec.Meta(ge=1, le=600)] = 30


class Settings(Section, frozen=True):
    gateways: Gateways = Gateways()
    web: Web = Web()
    store: Store = Store()
    samples: Samples = Samples()


def parse(text: str, place: str = FILE_NAME) -> Settings:
    """Raises ConfigError, with everything that is wrong."""
    settings, found = convert(tables_of(text, place), Settings)
    if not found:
        found = list(_problems(settings))
    if found:
        raise refusal(found, place, text)
    return settings


def load(path: Path) -> Settings:
    """Raises ConfigError, also when it cannot be read."""
    return parse(text_of(path), str(path))


def save(settings: Settings, path: Path) -> None:
    """Raises ConfigError, OSError."""
    lines = [
        "# The central quarantine server. Only what differs from the defaults stands here. Restart it after changes."
    ]
    text = "\n".join([*lines, *tables("", settings, Settings())]) + "\n"
    parse(text, str(path))
    replace(text, path)


def _problems(settings: Settings) -> Iterator[Problem]:
    for table, names in (("gateways", settings.gateways.names), ("web", settings.web.names)):
        for index, name in enumerate(names):
            if error := entries.host_error(name):
                yield Problem((table, "names", index), f"{name!r} {error}")
    if settings.gateways.listen == settings.web.listen:
        yield Problem(("web", "listen"), "is the address of the gateways: choose another port")
    samples = settings.samples
    if samples.enabled and not samples.url.startswith("https://") and not _is_near(samples.url):
        yield Problem(
            ("samples", "url"), f"{samples.url!r} does not begin with https://: samples are not sent unencrypted"
        )


def _is_near(url: str) -> bool:
    """A service on this machine needs no encryption on the way."""
    return url.startswith(("http://127.0.0.1:", "http://127.0.0.1/", "http://[::1]:", "http://[::1]/"))


__all__ = ["FILE_NAME", "ConfigError", "Gateways", "Samples", "Settings", "Store", "Web", "load", "parse", "save"]
