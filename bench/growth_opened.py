"""What a password opens, with shapes that are as hostile as we know: the password is the first that is tried, so that
all of it is decrypted. Old documents of Office open without being asked for one."""

import contextlib
import struct
from collections.abc import Callable
from typing import Final

from bench.growth_mail import file
from bench.growth_shapes import Parser, Shape, sized
from engine.scan.formats import OPENERS, odf_crypt, office_locked
from engine.scan.formats.item import NotThis, Opener
from engine.scan.keyring import Keyring
from tests.engine.scan.formats.compound import compound
from tests.engine.scan.formats.rooms import Room
from tests.oracles import odf_crypt as odf
from tests.oracles import office_rc4 as office
from tests.oracles import rar_crypt, rar_old_crypt, seven_zip_crypt

_HEADER, _CRYPT = office.modern(office_locked.UNASKED[0])
_LOCKED: Final = office.records(office.BOF, (0x2F, b"\1\0" + _HEADER))
_HIDDEN: Final = office.obfuscated(office_locked.UNASKED[0])
_SLIDE: Final = office.atom(1000, b"")
_PICTURE: Final = office.picture(_CRYPT, b"")


def _opened(opener: Opener) -> Callable[[bytes], object]:
    def run(data: bytes) -> object:
        room = Room()
        room.keyring = Keyring(["x"])
        with contextlib.suppress(NotThis):
            return list(opener(data, room))
        return None

    return run


def _workbook(start: bytes, record: bytes) -> Shape:
    return sized(lambda times: compound({"Workbook": start + record * times}))


def _slides(times: int, **more: bytes) -> bytes:
    return compound({**office.slides(_HEADER, _CRYPT, [_SLIDE] * times), **more})


def _rar(make: Callable[[str], tuple[bytes, bytes]], archive: Callable[..., bytes], hidden: str = "") -> Shape:
    return sized(lambda times: archive(*(make(str(number)) for number in range(times)), password=hidden))


def _files(times: int) -> dict[str, bytes]:
    return {f"{number}": b"words" for number in range(times)}


PARSERS: Final[dict[str, Parser]] = {
    "old office that opens unasked": (
        file,
        {
            "empty records": _workbook(_LOCKED, bytes(4)),
            "records": _workbook(_LOCKED, struct.pack("<HH", 0xFC, 26) + bytes(26)),
            "sheets": _workbook(_LOCKED, struct.pack("<HH", 0x85, 8) + bytes(8)),
            "ways to open it": _workbook(_LOCKED, _LOCKED[-len(_HEADER) - 6 :]),
            "records behind a mask": _workbook(_HIDDEN, struct.pack("<HH", 0xFC, 1) + bytes(1)),
            "text": sized(lambda times: compound({**office.word(_HEADER, _CRYPT, b"words" * times, b"table")}), 2),
            "slides": sized(_slides),
            "pictures": sized(lambda times: _slides(1, Pictures=_PICTURE * times)),
            "properties": sized(
                lambda times: _slides(
                    1, EncryptedSummary=office.properties(_CRYPT, {f"{n}": b"" for n in range(times)})
                )
            ),
        },
    ),
    "7z with a password": (
        _opened(OPENERS["7z"]),
        {
            "files": sized(lambda times: seven_zip_crypt.sealed(_files(times), "x")),
            "files and names": sized(
                lambda times: seven_zip_crypt.sealed(_files(times), "x", names=True, packed=False)
            ),
            "octets": sized(lambda times: seven_zip_crypt.sealed({"a": b"words" * times}, "x", packed=False), 2),
        },
    ),
    "rar with a password": (
        _opened(OPENERS["rar"]),
        {
            "files": _rar(lambda name: rar_crypt.file(name, b"words", "x"), rar_crypt.archive),
            "files and names": _rar(lambda name: rar_crypt.file(name, b"words", "x"), rar_crypt.archive, "x"),
            "files of others": _rar(lambda name: rar_crypt.file(name, b"words"), rar_crypt.archive, "x"),
            "files of old ones": _rar(lambda name: rar_old_crypt.file(name, b"words", "x"), rar_old_crypt.archive),
            "names of old ones": _rar(lambda name: rar_old_crypt.file(name, b"words", "x"), rar_old_crypt.archive, "x"),
        },
    ),
    "opendocument with a password": (
        _opened(odf_crypt.members),
        {
            "files": sized(lambda times: odf.package(_files(times), "x")),
            "octets": sized(lambda times: odf.package({"a": bytes(times << 8)}, "x"), 2),
            "files that are not there": sized(
                lambda times: odf.package(
                    {"a": b"words"}, "x", more=f"<m:file-entry>{odf.data(bytes(32), 10, False)}</m:file-entry>" * times
                )
            ),
        },
    ),
}
