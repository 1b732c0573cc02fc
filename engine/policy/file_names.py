"""Names and types of attachments (FILE-01..08). A file with any matching name is deleted (FILE-06)."""

from collections.abc import Sequence
from typing import Final

from engine.config import Action, Blocking
from engine.config.blocking import FileNames
from engine.policy.evidence import Evidence, File
from engine.policy.patterns import Patterns, compiled
from engine.policy.violation import Criterion, Violation

# What programs, scripts and shortcuts are by content (engine.scan.magic), and what a reader takes for harmless.
PROGRAMS: Final = frozenset({"pe", "elf", "macho", "lnk", "script", "java"})
_HARMLESS = (
    "pdf txt rtf csv log md doc docx dot dotx odt xls xlsx ods ppt pptx pps ppsx odp vsdx pub eml msg ics vcf jpg jpeg"
    " jpe png gif bmp tif tiff webp svg heic ico mp3 m4a wav ogg flac wma mp4 m4v mov avi mkv mpg mpeg wmv webm htm"
    " html xml json zip rar 7z gz tar tgz bz2 xz"
)
HARMLESS: Final = frozenset(_HARMLESS.split())


def judge(evidence: Evidence, blocking: Blocking) -> list[Violation]:
    """One for each file, with the first entry that matches one of its names. Pure."""
    settings = blocking.files
    if not settings.enabled:
        return []
    lists = (settings.names, settings.modern_names) if settings.modern else (settings.names,)
    patterns = [compiled(one) for one in lists]
    found = []
    for file in evidence.files:
        if file.names and (settings.in_containers or file.is_top):
            entry, name = _match(file, patterns, settings)
            if entry:
                found.append(Violation(Criterion.FILE_NAME, Action.DELETE, entry, name, (file.part,)))
    return found


def _match(file: File, patterns: Sequence[Patterns], settings: FileNames) -> tuple[str, str]:
    """(entry, the name that it matches), or empty ones."""
    for name in file.names:
        for one in patterns:
            entry = one.first(name)
            if entry is not None:
                return entry, name
    if settings.disguised and file.type in PROGRAMS:
        for name in file.names:
            if name.rpartition(".")[2].lower() in HARMLESS and "." in name:
                return f"disguised program ({file.type})", name
    return "", ""
