"""winmail.dat: nothing escapes the opener but NotThis, and no member is longer than its room."""

from engine.scan.formats import tnef
from engine.scan.formats.item import NotThis
from tests.engine.scan.formats.rooms import Room, fits
from tests.oracles import lzfu
from tests.oracles.tnef import (
    BINARY,
    IID_MESSAGE,
    MAGIC,
    MESSAGE_PROPERTIES,
    OBJECT,
    UNICODE,
    attachment,
    attribute,
    prop,
    properties,
)

_RTF = rb"{\rtf1\ansi words and words\par }"
SEEDS = [
    MAGIC + attachment("a.txt", b"data"),
    MAGIC + attachment("a", b"x", prop(0x3707, UNICODE, b"n\0a\0"), prop(0x3701, OBJECT, IID_MESSAGE + MAGIC)),
    MAGIC + attribute(MESSAGE_PROPERTIES, properties(prop(0x1009, BINARY, lzfu.wrap(lzfu.encode(_RTF), len(_RTF)))), 1),
]


def one_input(data: bytes) -> None:
    room = Room(1000)
    try:
        for item in tnef.members(data, room):
            assert fits(item, 1000)
    except NotThis:
        pass
