"""Header fields and parts of a queued message, read in a sandbox: it may be held because it breaks what reads it.

`outline()` gives the octets to a process of `control/sandbox.py` and gets the outline. A process that dies, or takes
too long, is a problem to show, never a failure of the page.
"""

import os
import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import msgspec

from control import sandbox
from control.sandbox import Reader
from engine import limits
from engine.config import ContainerLimits
from engine.scan.header import decode_words, text_of

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

FIELDS_SHOWN: Final = 200
FIELD_SHOWN_LEN: Final = 4000  # characters of one field-body
PARTS_SHOWN: Final = 500
PATIENCE_S: Final = 20.0
_PROCESSOR_S: Final = 10.0
_READER: Final = Reader("control.queues.outline", 16 * limits.MIB)


class HeaderField(msgspec.Struct, frozen=True):
    """text: the field-body, unfolded and decoded (RFC 2047)."""

    name: str
    text: str


class MessagePart(msgspec.Struct, frozen=True):
    """part: its path, as `2/invoice.zip/inner.doc`. content_type: what it claims to be; type: what its content is.

    names: every file name that it declares. size: octets, decoded. depth: how far inside of others it is.
    """

    part: str
    depth: int
    content_type: str
    type: str
    names: tuple[str, ...]
    size: int


class Outline(msgspec.Struct, frozen=True):
    """fields_left_out, parts_left_out: how many there are besides. problem: why it is not all, in words."""

    fields: tuple[HeaderField, ...] = ()
    fields_left_out: int = 0
    parts: tuple[MessagePart, ...] = ()
    parts_left_out: int = 0
    problem: str = ""


def outline(octets: Iterable[bytes], patience_s: float = PATIENCE_S) -> Outline:
    """Raises Busy, and what reading the octets raises."""
    try:
        return msgspec.json.decode(_READER.ask(octets, patience_s), type=Outline)
    except (ConnectionError, TimeoutError, msgspec.DecodeError):  # it ended, or did not in time
        return Outline(problem="it could not be read: what is in it made the reader end, or take too long")


# --- inside of the sandbox ------------------------------------------------------------------------


class _NoDefinitions:
    """Viruses are not looked for."""

    revision = ""

    def scan(self, data: "Buffer", target: str = "any", *, container: str = "") -> tuple[str, ...]:
        return ()

    def match_name(self, filename: str) -> tuple[str, ...]:
        return ()

    def annex(self, name: str) -> memoryview | None:
        return None


def outline_of(data: bytes) -> Outline:
    """Never raises on content."""
    from engine.scan.walk import Walker  # not for the pages, which only ask

    fields = header_fields(data[: limits.HEADER_LEN])
    walker = Walker(_NoDefinitions(), ContainerLimits(), clock=time.monotonic)
    found = [one for one in walker.walk_message(data).facts.parts if not one.reading]
    parts = tuple(
        MessagePart(
            _cut(one.part), one.depth, _cut(one.content_type), one.type, tuple(map(_cut, one.filenames)), one.size
        )
        for one in found[:PARTS_SHOWN]
    )
    return Outline(fields[:FIELDS_SHOWN], len(fields[FIELDS_SHOWN:]), parts, len(found[PARTS_SHOWN:]))


def header_fields(section: bytes) -> tuple[HeaderField, ...]:
    """Fields up to the first empty line; lines that are no field and stand before any are passed over."""
    found: list[list[bytes]] = []
    for line in section.split(b"\n", limits.HEADER_FIELDS * 4):
        line = line.removesuffix(b"\r")
        if not line:
            break
        if line[:1] in b" \t" and found:
            found[-1].append(line)
        elif b":" in line:
            found.append([line])
    return tuple(_field(lines) for lines in found)


def _field(lines: list[bytes]) -> HeaderField:
    name, _, body = b"".join(lines).partition(b":")
    text = decode_words(text_of(body.replace(b"\t", b" ").strip()))
    return HeaderField(_cut(text_of(name.strip())), _cut(text))


def _cut(text: str) -> str:
    """What can be sent: UTF-7 gives halves of characters."""
    cut = text if len(text) <= FIELD_SHOWN_LEN else text[:FIELD_SHOWN_LEN] + "…"
    return cut.encode("utf-8", "replace").decode()


def _main(fd: int) -> int:
    import engine.scan.walk  # noqa: F401 - nothing can be loaded once it is closed

    data = sandbox.given(fd)
    sandbox.close(fd, _PROCESSOR_S)
    return sandbox.answer(fd, msgspec.json.encode(outline_of(data)))


if __name__ == "__main__":
    os._exit(_main(int(sys.argv[1])))
