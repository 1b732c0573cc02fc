"""A resolver that answers from a table, for what is about evaluation and not about DNS."""

from collections.abc import Mapping, Sequence
from typing import Any

import dns.name
import dns.rdata

from engine.delivery.reply import own_words
from engine.dns import DnsFailure, Resolver


class Zone(Resolver):
    """table: (name, type) -> records as text, or as objects; a TXT record may be octets. failing: names with no answer.

    A name without entries does not exist. asked: every question, in order.
    """

    def __init__(
        self,
        table: Mapping[tuple[str, str], Sequence[Any]],
        failing: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.table = {(name.lower(), kind): list(records) for (name, kind), records in table.items()}
        self.names = {name for name, _ in self.table}
        self.failing = {name.lower() for name in failing}
        self.asked: list[tuple[str, str]] = []
        self.is_warm = False  # whether all answers count as cached

    async def records(
        self, name: str, kind: str, *, fresh: bool = False, lasting: bool = True
    ) -> tuple[Any, ...] | None:
        wire = dns.name.from_text(name).to_wire()  # as dnspython would read it: what it cannot is a defect of ours
        assert wire is not None
        name = _plain(name)
        self.asked.append((name, kind))
        if (name, "CNAME") in self.table and (name, kind) not in self.table:
            return await self.records(self.table[name, "CNAME"][0].removesuffix("."), kind)
        found = self.table.get((name, kind))
        if found is None and name in self.failing:
            raise DnsFailure(own_words("4.4.3", f"no answer for {name}"))
        if found is None:
            return () if name in self.names else None
        return tuple(_record(kind, one) for one in found)

    def knows(self, name: str, kind: str) -> bool:
        return self.is_warm


def txt(*strings: bytes) -> str:
    """The text form of a TXT record."""
    return " ".join('"' + "".join(_escaped(octet) for octet in string) + '"' for string in strings)


def _escaped(octet: int) -> str:
    return chr(octet) if 32 <= octet < 127 and octet not in b'"\\' else f"\\{octet:03d}"


def _plain(name: str) -> str:
    return ".".join(label.decode("latin-1") for label in dns.name.from_text(name.lower()).labels[:-1])


def _record(kind: str, value: Any) -> Any:
    if isinstance(value, bytes):
        value = txt(*(value[at : at + 255] for at in range(0, len(value), 255))) if value else '""'
    return dns.rdata.from_text("IN", kind, value) if isinstance(value, str) else value
