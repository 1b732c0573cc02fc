"""Metatags in texts (META-01..06, NTF-16): which there are, where each may stand, and what a damaged one looks like."""

import re
from collections.abc import Iterator
from typing import Final

from engine.config.notices import Kind, Notifications

MSGINFO, DISPOSITION, CONTENTINFO, VIRUSINFO, SPAMINFO, FILE = NAMES = (
    "MSGINFO", "DISPOSITION", "CONTENTINFO", "VIRUSINFO", "SPAMINFO", "FILE",
)  # fmt: skip
AUDIENCES: Final = ("sender", "administrator")

_ANY: Final = f"(?:{'|'.join(NAMES)})"
_TAG: Final = re.compile(
    rf"\{{\$(?P<whole>\w+)\}}|(?P<broken>\{{\s*\$\s*\w*\s*\}}?|\{{{_ANY}\b\}}?|\$?\b{_ANY}\}}|\${_ANY}\b)",
    re.IGNORECASE,
)


def allowed_in(kind: Kind, audience: str) -> frozenset[str]:
    """The metatags that may stand in subject and text of one notification (section 25, "Valid in")."""
    tags = {MSGINFO}
    if audience == "administrator":
        tags.add(DISPOSITION)
    if kind in (Kind.CONTENT, Kind.CONTAINER, Kind.ENCRYPTED):
        tags.add(CONTENTINFO)
    if kind is Kind.VIRUS:
        tags.add(VIRUSINFO)
    if kind is Kind.SPAM and audience == "administrator":
        tags.add(SPAMINFO)
    return frozenset(tags)


def texts(notifications: Notifications) -> Iterator[tuple[tuple[str, str, str], str, frozenset[str]]]:
    """(path below `notifications`, text, metatags that it may hold) of everything that people can edit there."""
    for kind in Kind:
        for audience in AUDIENCES:
            notice = getattr(notifications.of(kind), audience)
            allowed = allowed_in(kind, audience)
            yield (kind, audience, "subject"), notice.subject, allowed
            yield (kind, audience, "text"), notice.text, allowed


def tag_errors(text: str, allowed: frozenset[str]) -> list[str]:
    """What is wrong with each metatag of a text that is unknown, damaged or of another kind, and what to write."""
    choice = ", ".join(f"{{${name}}}" for name in NAMES if name in allowed) or "none"
    found = {}
    for match in _TAG.finditer(text):
        name = match["whole"]
        if name in allowed:
            continue
        tag = match[0].strip()
        if name in NAMES:
            found[tag] = f"has {tag}, which says nothing here: possible here: {choice}"
        elif name is not None:
            found[tag] = f"has {tag}, which is no metatag: possible here: {choice}"
        else:
            found[tag] = f"has {tag}, a damaged metatag: write it as {{$NAME}}; possible here: {choice}"
    return list(found.values())
