"""What heuristics are made of, as they stand in the annex, and the names of what the engine finds by code."""

from typing import Final

import msgspec

ANNEX: Final = "heuristics"
VERSION: Final = 1
MOST: Final = (1 << 32) - 1

# What a family may be about: content as an attachment that somebody opens, not as a MIME entity.
SUBJECTS: Final = (
    "archive", "closed", "disk", "document", "file", "html", "onenote", "pdf", "picture", "program", "rtf", "script",
    "shortcut",
)  # fmt: skip

# Features that the engine finds by code; marks add theirs.
FEATURES: Final = frozenset({
    # names
    "name.bidi", "name.class-id", "name.document", "name.double", "name.double-script", "name.gap", "name.hidden-end",
    "name.picture", "name.program", "name.script", "name.text", "name.unseen",
    # where it lies
    "place.alone", "place.archived", "place.attached",
    # what the container that it is holds
    "holds.archive", "holds.document", "holds.files", "holds.html", "holds.misleading-name", "holds.picture",
    "holds.program", "holds.script", "holds.shortcut",
    # programs
    "pe.code-entropy", "pe.code-not-in-file", "pe.dll", "pe.driver", "pe.dotnet", "pe.entry-in-last-section",
    "pe.entry-nowhere", "pe.entry-writable", "pe.few-imports", "pe.imports", "pe.no-imports", "pe.no-sections",
    "pe.overlay", "pe.overlay-entropy", "pe.section-names-odd", "pe.signed", "pe.size",
    "pe.time-impossible", "pe.version", "pe.writable-executable",
    # texts that are run
    "text.broken-words", "text.concatenations", "text.digits", "text.escapes", "text.hidden-words",
    "text.line", "text.run", "text.size", "text.slices",
    "text.letters-few",
    # shortcuts
    "lnk.arguments", "lnk.icon-elsewhere", "lnk.minimized", "lnk.padded",
    # pictures and documents that are something else as well
    "also.archive", "also.html", "also.program", "also.script",
    # messages
    "closed.archive", "closed.document", "closed.program", "closed.script",
    # remarks of openers
    "odd.html-smuggling", "odd.macro-basic", "odd.macro-vba", "odd.macro-xlm",
    "odd.pdf-additional-actions", "odd.pdf-embedded-file", "odd.pdf-javascript", "odd.pdf-launch",
    "odd.pdf-open-action", "odd.rtf-ambiguous", "odd.vba-module-without-source",
})  # fmt: skip


class Reason(msgspec.Struct, frozen=True, array_like=True):
    """feature counts if its number lies in least to most. words: for people; points may be negative."""

    feature: str
    points: int
    words: str
    least: int = 1
    most: int = MOST


class Family(msgspec.Struct, frozen=True, array_like=True):
    """name: of the verdict, behind `Heuristic.`. of: of SUBJECTS. needs: of each tuple one feature must be there.

    low, medium, high: points that are enough at that level of the setting; 0: never.
    """

    name: str
    of: tuple[str, ...]
    needs: tuple[tuple[str, ...], ...]
    low: int
    medium: int
    high: int
    reasons: tuple[Reason, ...]


class Annex(msgspec.Struct, frozen=True, array_like=True):
    """marks: a definitions image; names of its signatures are features."""

    families: tuple[Family, ...]
    marks: bytes
    version: int = VERSION
