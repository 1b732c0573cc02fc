"""Definitions: which are in force, their updates, and what new ones find (DEF-12, DEF-16, DEF-17)."""

from engine.events.base import ContentEvent, Event


class DefinitionsLoaded(Event, tag="definitions-loaded"):
    revision: str
    signatures: int


class DefinitionsRefused(Event, tag="definitions-refused"):
    reason: str


class DefinitionsUpdateSession(Event, tag="definitions-update-session"):
    """DEF-12: an attempt has ended. result: Succeeded, Nothing new or Failed. user: who asked, or "schedule"."""

    result: str
    user: str
    source: str = ""
    reason: str = ""


class DefinitionsUpdated(Event, tag="definitions-updated"):
    """DEF-12. date: of the set, RFC 3339. number: the publisher's revision number, 0 if there is none."""

    result: str  # Succeeded or Failed
    revision: str
    number: int = 0
    date: str = ""
    reason: str = ""


class DefinitionsCompared(Event, tag="definitions-compared"):
    """DEF-16: copies of live messages were examined with the definitions in force and with others.

    found, gone: names of signatures that only the others, or only those in force, found, one for each message.
    before_ms, after_ms: processor time for all of these messages. crash: how the scanner ended with the others.
    """

    revision: str
    messages: int
    found: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    before_ms: int = 0
    after_ms: int = 0
    crash: str = ""


class DefinitionsRolledBack(Event, tag="definitions-rolled-back"):
    """The gateway went back to the definitions before, by itself (DEF-16)."""

    revision: str
    back_to: str
    reason: str


class DefinitionsOld(Event, tag="definitions-old"):
    """They are older than the settings want. date: of the set, RFC 3339. recovered: newer ones are in force."""

    date: str
    days: int
    recovered: bool = False


class FoundLater(ContentEvent, tag="found-later"):
    """New definitions name a file that was delivered before. forward_paths: who got it; delivered: when, RFC 3339."""

    virus: str
    file: str
    sha256: str
    delivered: str
    definitions: str = ""


DefinitionsEvents = (
    DefinitionsLoaded
    | DefinitionsRefused
    | DefinitionsUpdateSession
    | DefinitionsUpdated
    | DefinitionsCompared
    | DefinitionsRolledBack
    | DefinitionsOld
    | FoundLater
)
