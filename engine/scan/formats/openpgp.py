"""OpenPGP messages in ASCII armor (RFC 9580 s6) in texts: encrypted ones are told (ENC-06), others are opened.

What `gpg --sign` makes looks the same and is compressed, not encrypted: a literal in a compressed packet, between
signatures. Its content is walked like the member of any archive.
"""

import bz2
import itertools
import re
from collections.abc import Iterator
from typing import Final

from cext.base64 import decode
from engine.scan.facts import Cause
from engine.scan.formats import streams
from engine.scan.formats.item import Gap, Item, Member, Odd, Room
from engine.scan.header import text_of
from engine.scan.inflate import inflate
from engine.scan.mapped import Octets

MESSAGES: Final = 100  # in one text
PACKETS: Final = 1_000  # of one message, in all its layers
_ZLIB_HEADER_LEN: Final = 2
DEPTH: Final = 4  # compressed packets in each other
_LOOK_EVERY: Final = 4096
_MARK: Final = b"-----BEGIN PGP MESSAGE"
_BEGIN: Final = re.compile(
    rb"(?:^|(?<=[\r\n]))-----BEGIN PGP MESSAGE(?:, PART [0-9X/]{1,9})?-----[ \t]*\r?\n"
    rb"(?:[A-Za-z]{1,20}:[^\r\n]*\r?\n){0,50}(?:[ \t]*\r?\n)?"
)
_END: Final = re.compile(rb"[\r\n](?:=[A-Za-z0-9+/]{4}[ \t]*\r?\n)?-----END PGP MESSAGE")
_ENCRYPTED: Final = frozenset({1, 3, 9, 18, 20})  # session keys, encrypted data
_COMPRESSED, _LITERAL = 8, 11
_PASSED_OVER: Final = frozenset({2, 4, 10, 13, 19, 21})  # signatures, marker, user ID, digest, padding


def messages(buf: Octets, room: Room) -> Iterator[Item]:
    """What the OpenPGP messages in a text are, or hold. Costs one search for other texts."""
    at = buf.find(_MARK)
    number = 0
    while at >= 0:
        room.check_time()
        begin = _BEGIN.match(buf, at)
        if begin is None:
            at = buf.find(_MARK, at + len(_MARK))
            continue
        number += 1
        if number > MESSAGES:
            yield Odd("pgp-too-many-messages", severe=True)
            return
        end = _END.search(buf, begin.end() - 1)
        stop = len(buf) if end is None else end.start()
        packets = decode(memoryview(buf)[begin.end() : max(stop, begin.end())])[0]
        room.keep(len(packets))
        yield from _packets(memoryview(packets), room, 0, [PACKETS])
        at = buf.find(_MARK, max(stop, begin.end()))


def _packets(data: memoryview, room: Room, depth: int, left: list[int]) -> Iterator[Item]:
    """left: how many packets of the message may still be looked at; of one element, which all layers share."""
    at = 0
    told = False
    while at < len(data):
        room.check_time()
        if not left[0]:
            yield Gap(Cause.LIMIT, f"{PACKETS} OpenPGP packets")
            return
        left[0] -= 1
        if not data[at] & 0x80:
            break
        tag, body, behind = _packet(data, at, room)
        if tag in _ENCRYPTED:  # and go on: a session key may stand in front of plain packets only to mislead
            if not told:
                yield Odd("pgp-encrypted")
            told = True
        elif tag == _COMPRESSED:
            if depth == DEPTH:
                yield Gap(Cause.LIMIT, f"{DEPTH} compressed OpenPGP packets in each other")
                return
            yield from _unpacked(body, room, depth, left)
        elif tag == _LITERAL:
            yield _literal(body, room)
        elif tag not in _PASSED_OVER:
            break
        at = behind
    if at < len(data):  # not such packets: no OpenPGP program shows anything, and the text itself is matched
        yield Odd("pgp-message-broken")


def _literal(body: memoryview, room: Room) -> Member:
    """format, length of the name, name, time, content (RFC 9580 s5.9)."""
    behind = 2 + (body[1] if len(body) > 1 else 0)
    most = room.room()
    content = bytes(body[behind + 4 : behind + 4 + most])
    name = text_of(bytes(body[2:behind]))
    return Member(name, content, len(body) > behind + 4 + most, len(body) >= behind + 4)


def _unpacked(body: memoryview, room: Room, depth: int, left: list[int]) -> Iterator[Item]:
    most = room.room()
    method, packed = bytes(body[:1]), body[1:]
    if method == b"\0":
        inner, over, complete = bytes(packed[:most]), len(packed) > most, True
    elif method in (b"\1", b"\2"):
        done = inflate(packed[_ZLIB_HEADER_LEN if method == b"\2" else 0 :], most)
        inner, over, complete = done.data, done.over, done.complete
    elif method == b"\3":
        got = streams.Unpacked()
        streams.unpack(bz2.BZ2Decompressor(), packed, 0, len(packed), most, got, room.check_time)
        inner, over, complete = got.data, got.over, got.fault is None
    else:
        yield Gap(Cause.UNSUPPORTED, "OpenPGP compression")
        return
    if over or not complete:
        yield Gap(Cause.LIMIT if over else Cause.DAMAGED, "OpenPGP compressed data")
    room.keep(len(inner))
    yield from _packets(memoryview(inner), room, depth + 1, left)


def _packet(data: memoryview, at: int, room: Room) -> tuple[int, memoryview, int]:
    """(tag, body, offset behind it) of the packet at `at` (RFC 9580 s4.2). A body that is cut ends with the data."""
    first = data[at]
    at += 1
    if not first & 0x40:
        tag, kind = first >> 2 & 15, first & 3
        if kind == 3:
            return tag, data[at:], len(data)
        size = 1 << kind
        end = at + size + int.from_bytes(data[at : at + size], "big")
        return tag, data[at + size : end], min(end, len(data))
    whole: memoryview | bytearray = data[at:at]
    for number in itertools.count(1):  # partial lengths: each goes on by one octet at least
        if number % _LOOK_EVERY == 0:
            room.check_time()
        one = data[at] if at < len(data) else 0
        at += 1
        if one < 192:
            length = one
        elif one < 224:
            length = (one - 192 << 8) + (data[at] if at < len(data) else 0) + 192
            at += 1
        elif one == 255:
            length = int.from_bytes(data[at : at + 4], "big")
            at += 4
        else:
            length = 1 << (one & 31)
        piece = data[at : at + length]
        if not whole:
            whole = piece
        else:
            whole = whole if isinstance(whole, bytearray) else bytearray(whole)
            whole += piece
        at = min(at + length, len(data))
        if not 224 <= one < 255 or at >= len(data):
            break
    if isinstance(whole, bytearray):
        room.keep(len(whole))
    return first & 63, memoryview(whole), at
