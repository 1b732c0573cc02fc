"""Lists of mail addresses and domains (SNDR-03, SNDR-04, WL-02), compiled: a match costs the same for any length.

`a@example.com` is that address; `@example.com` all addresses of exactly that domain; `.example.com` those of its
subdomains, but not of the domain itself. Letters are compared without regard to case, domains as A-labels (RFC 5890),
and a local part that is quoted without need as if it were not (RFC 5321 s4.1.2).
"""

import re
import unicodedata
from typing import Final

import idna

from engine.policy.once import once

DOMAIN_LEN: Final = 255  # RFC 1035 s2.3.4: what is longer is no domain, and is not mapped, which costs more than it

_DOT_STRING: Final = re.compile(r"[^\s\x00-\x1f\x7f\"(),.:;<>@\[\\\]]+(?:\.[^\s\x00-\x1f\x7f\"(),.:;<>@\[\\\]]+)*")


class AddressList:
    """Immutable. Entries are what engine.config.entries takes; of several that match, the most exact one is named."""

    def __init__(self, entries: tuple[str, ...]) -> None:
        self._entries: dict[str, str] = {}
        for entry in entries:
            entry = entry.strip()
            key = f".{domain(entry[1:])}" if entry.startswith(".") else plain(entry)
            self._entries.setdefault(key, entry)
        self._has_addresses = any(not key.startswith(("@", ".")) for key in self._entries)

    def __bool__(self) -> bool:
        return bool(self._entries)

    def match(self, address: str) -> str:
        """The entry that address matches, else an empty string; so for the null reverse-path and what has no domain.

        Never raises; at most one look-up for each label of the domain.
        """
        known = self._entries
        if not known or "@" not in address:
            return ""
        if self._has_addresses and (entry := known.get(plain(address))):
            return entry
        name = domain(address.rpartition("@")[2])
        if not name:
            return ""
        if entry := known.get("@" + name):
            return entry
        dot = name.find(".")
        while dot >= 0:
            if entry := known.get(name[dot:]):
                return entry
            dot = name.find(".", dot + 1)
        return ""


address_list: Final = once(AddressList)


def plain(address: str) -> str:
    """address in the form in which two that are the same mailbox are equal. Without @: as it stands, in lower case."""
    local_part, at, name = address.rpartition("@")
    if not at:
        return address.lower()
    if local_part.startswith('"') and local_part.endswith('"') and len(local_part) > 1:
        unquoted = re.sub(r"\\(.)", r"\1", local_part[1:-1], flags=re.DOTALL)
        if _DOT_STRING.fullmatch(unquoted):
            local_part = unquoted
    if not local_part.isascii():
        local_part = unicodedata.normalize("NFC", local_part)
    return f"{local_part.lower()}@{domain(name)}"


def domain(name: str) -> str:
    """A domain for comparison: lower case, U-labels as A-labels one by one, so that an odd label hides no other.

    Empty if it is longer than domains are.
    """
    name = name.rstrip(".")
    if len(name) > DOMAIN_LEN:
        return ""
    if name.isascii():
        return name.lower()
    try:
        name = idna.uts46_remap(name, std3_rules=False)
    except idna.IDNAError:
        name = unicodedata.normalize("NFC", name).lower()
    name = name.rstrip(".")  # it may have been an ideographic one
    return ".".join(label if label.isascii() else _a_label(label) for label in name.split("."))


def _a_label(label: str) -> str:
    try:
        return idna.alabel(label).decode("ascii").lower()
    except idna.IDNAError:
        return label
