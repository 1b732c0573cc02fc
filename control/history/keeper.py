"""The settings file, read and replaced with its history; each save names the digest of what it was made from.

What people do to the file by hand is noticed at the next look, and kept as a revision like any other.
"""

import hashlib
from collections.abc import Callable
from typing import Any, Final

import msgspec

from control.history.change import Change, changes
from control.history.edit import edited
from control.history.revisions import BY_HAND, FIRST, Revision, Revisions
from engine.config import ConfigError, Settings
from engine.config.file import FILE_NAME, load, parse, replace
from engine.layout import Layout

DIGEST_LEN: Final = 32  # hexadecimal digits


class Outdated(Exception):
    """The file is not the one that was read any more. revision: the newest, which tells who changed it."""

    def __init__(self, revision: Revision | None) -> None:
        super().__init__("the settings were changed in the meantime")
        self.revision = revision


class State(msgspec.Struct, frozen=True):
    """What the file says. While it is broken: problem says why, and settings are the last good ones."""

    text: str
    etag: str
    settings: Settings
    problem: str = ""


class Saved(msgspec.Struct, frozen=True):
    """number: 0 if nothing changed. kept: whether comments and order of the file are as they were."""

    number: int
    etag: str
    changes: tuple[Change, ...]
    settings: Settings
    kept: bool = True


class Author(msgspec.Struct, frozen=True):
    user: str
    client: str
    time: int  # seconds since 1970


class Keeper:
    """Of one installation. It has no state of its own; make one whenever it is needed."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def read(self, now: int) -> State:
        """Raises OSError."""
        with Revisions.open(self._layout.control) as revisions:
            return self._look(revisions, now)

    def is_in_force(self, settings: Settings) -> bool:
        """Whether the running gateway works by these settings, as it says itself."""
        try:
            return load(self._layout.in_force) == settings
        except ConfigError:
            return False

    def history(self, now: int, count: int, before: int | None = None) -> list[Revision]:
        """Newest first. Raises OSError."""
        with Revisions.open(self._layout.control) as revisions:
            self._look(revisions, now)
            return revisions.newest(count, before)

    def find(self, number: int) -> tuple[Revision, str] | None:
        """A revision and the text that the file had then."""
        with Revisions.open(self._layout.control) as revisions:
            return revisions.find(number)

    def check(self, values: dict[str, Any], now: int) -> tuple[State, Settings]:
        """What is, and what these values would make of it. Raises ConfigError, OSError."""
        state = self.read(now)
        return state, edited(state.text, values).settings

    def save(self, etag: str | None, values: dict[str, Any], author: Author, how: str) -> Saved:
        """Change settings by name; a value of None is the default. etag: None, if any state may be changed.

        Raises Outdated, ConfigError, OSError.
        """

        def change(text: str) -> tuple[str, Settings, bool]:
            made = edited(text, values)
            return made.text, made.settings, made.kept

        return self._replace(etag, change, author, how)

    def restore(self, etag: str, text: str, author: Author, how: str) -> Saved:
        """Make the file this text, also in place of a broken one. Raises Outdated, ConfigError, OSError."""
        return self._replace(etag, lambda _: (text, parse(text), True), author, how)

    def _replace(
        self, etag: str | None, change: Callable[[str], tuple[str, Settings, bool]], author: Author, how: str
    ) -> Saved:
        with Revisions.open(self._layout.control) as revisions:
            state = self._look(revisions, author.time)
            if etag not in (None, state.etag):
                raise Outdated(next(iter(revisions.newest(1)), None))
            text, settings, kept = change(state.text)
            made = changes(state.settings, settings)
            if text == state.text or (not made and not state.problem):
                return Saved(0, state.etag, (), settings)
            number = revisions.add(author.time, author.user, author.client, how, made, text)
            replace(text, self._layout.config)
        return Saved(number, _digest(text), made, settings, kept)

    def _look(self, revisions: Revisions, now: int) -> State:
        """The file as it is now; a good one that is not known yet becomes a revision."""
        path = self._layout.config
        try:
            text = path.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            text = ""
        except UnicodeDecodeError:
            return State("", _digest(repr(path.read_bytes())), self._last_good(revisions), f"{FILE_NAME} is not UTF-8")
        etag = _digest(text)
        try:
            settings = parse(text)
        except ConfigError as error:
            return State(text, etag, self._last_good(revisions), str(error))
        known = revisions.last_text()
        if known is None:
            revisions.add(now, "", "", FIRST, changes(Settings(), settings), text)
        elif known != text:
            revisions.add(now, "", "", BY_HAND, changes(_parsed(known), settings), text)
        return State(text, etag, settings)

    def _last_good(self, revisions: Revisions) -> Settings:
        try:
            return load(self._layout.in_force)
        except ConfigError:
            return _parsed(revisions.last_text() or "")


def _parsed(text: str) -> Settings:
    """A text that was good once: a newer Mailward may not know all of its settings any more."""
    try:
        return parse(text)
    except ConfigError:
        return Settings()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LEN]
