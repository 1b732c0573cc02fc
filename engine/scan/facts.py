"""What one walk over a message yields: the coverage ledger, and the words for it.

Policy reads these facts and nothing else. A verdict is clean only if no part is left unexamined.
"""

from enum import StrEnum

import msgspec


class Verdict(StrEnum):
    CLEAN = "clean"
    INFECTED = "infected"
    UNSCANNED = "unscanned"


class Cause(StrEnum):
    """Why octets could not be examined."""

    LIMIT = "limit"
    DAMAGED = "damaged"
    ENCRYPTED = "encrypted"
    UNSUPPORTED = "unsupported"
    ENGINE = "engine"
    DISABLED = "disabled"  # virus scanning is switched off (AV-01)
    BLOCKED = "blocked"  # content policy took the message out before (PROC-02)


class Match(msgspec.Struct, frozen=True):
    """One signature that matched. part: path of the part, such as `1.2` or `2/invoice.zip/inner.doc`."""

    name: str
    part: str


class Suspicion(msgspec.Struct, frozen=True):
    """Why heuristics say that a part is malware (AV-03). name: of the match, such as `Heuristic.ScriptDropper`.

    reasons: (words, points), those that weigh most first, up to limits.REASONS; points: of all of them together.
    """

    name: str
    part: str
    points: int
    reasons: tuple[tuple[str, int], ...] = ()


class Unscanned(msgspec.Struct, frozen=True):
    part: str
    cause: Cause
    detail: str = ""


class Finding(msgspec.Struct, frozen=True):
    """Something odd about a part. severe: content may have been missed because of it."""

    part: str
    kind: str
    severe: bool = False


class Part(msgspec.Struct, gc=False):
    """One entity, member or decoded file of the ledger.

    size and sha256 are of the decoded octets; sha256 is empty unless digests were asked for.
    content_type is what it claims, type what the content is. filenames: every name it declares, best first.
    examined: decoded octets that the matcher saw; less than size means that the part is unscanned.
    reading: empty for the ordinary one; else what this entry assumes where clients read the message differently.
    opened: it was encrypted, and a password from the message opened it.
    """

    part: str
    content_type: str = ""
    type: str = ""
    filenames: tuple[str, ...] = ()
    size: int = 0
    examined: int = 0
    sha256: str = ""
    container: bool = False
    depth: int = 0
    reading: str = ""
    opened: bool = False


class Facts(msgspec.Struct, gc=False):
    """The ledger of one message or file, complete when the walk has ended."""

    subject: str = ""
    parts: list[Part] = []
    matches: list[Match] = []
    unscanned: list[Unscanned] = []
    findings: list[Finding] = []
    definitions: str = ""
    suspicions: list[Suspicion] = []

    @property
    def verdict(self) -> Verdict:
        if self.matches:
            return Verdict.INFECTED
        if self.unscanned:
            return Verdict.UNSCANNED
        return Verdict.CLEAN
