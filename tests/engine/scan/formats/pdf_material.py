"""PDFs for tests, made at run time."""

import zlib
from collections.abc import Iterator

from engine.scan.formats.item import Item, Member
from engine.scan.formats.pdf import members
from engine.scan.keyring import Keyring


class Room:
    """What an opener may use, without clock. checks: how often it was asked for the time."""

    def __init__(self, octets: int = 1 << 24) -> None:
        self.octets = octets
        self.keyring = Keyring()
        self.checks = 0

    def room(self, window: int = 0) -> int:
        return self.octets

    def keep(self, octets: int) -> None:
        pass

    def check_time(self) -> None:
        self.checks += 1


def flate(data: bytes) -> bytes:
    return zlib.compress(data)


def stream(number: int, data: bytes, head: bytes = b"/Filter /FlateDecode") -> bytes:
    """data: as it stands in the file."""
    return b"%d 0 obj\n<< /Length %d %s >>\nstream\n%s\nendstream\nendobj\n" % (number, len(data), head, data)


def thing(number: int, text: bytes) -> bytes:
    return b"%d 0 obj\n%s\nendobj\n" % (number, text)


def document(*things: bytes, trailer: bytes = b"") -> bytes:
    body = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + b"".join(things)
    return body + b"trailer\n<< /Root 1 0 R " + trailer + b" >>\nstartxref\n0\n%%EOF\n"


def object_stream(number: int, things: dict[int, bytes], extra: bytes = b"") -> bytes:
    table, body = b"", b""
    for name, text in things.items():
        table += b"%d %d " % (name, len(body))
        body += text + b" "
    head = b"/Type /ObjStm /N %d /First %d /Filter /FlateDecode %s" % (len(things), len(table), extra)
    return stream(number, flate(table + body), head)


def attached(data: bytes, name: bytes = b"invoice.exe") -> bytes:
    return document(
        thing(1, b"<< /Type /Catalog /Names << /EmbeddedFiles << /Names [(a) 2 0 R] >> >> >>"),
        thing(2, b"<< /Type /Filespec /F (" + name + b") /EF << /F 3 0 R >> >>"),
        stream(3, flate(data), b"/Type /EmbeddedFile /Filter /FlateDecode"),
    )


def opened(buf: bytes, room: Room | None = None) -> list[Item]:
    return list(members(buf, room or Room()))


def contents(buf: bytes, room: Room | None = None) -> dict[str, bytes]:
    return {item.name: bytes(item.data) for item in found(buf, room)}


def found(buf: bytes, room: Room | None = None) -> Iterator[Member]:
    return (item for item in opened(buf, room) if isinstance(item, Member))
