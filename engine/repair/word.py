"""Documents of Word 6 to 2003 (MS-DOC) without DDE fields, remote templates and WordBasic macros, as long as they were.

The text of a field's instruction becomes blanks, what it gave last stays. Where the tables of the document tell the
kind of a field, DDE becomes QUOTE. The template's place is emptied within its table.
"""

import re
import struct
from typing import Final

DDE: Final = "DDE fields"
TEMPLATE: Final = "external template"
MACROS: Final = "WordBasic macros"
_WORD97: Final = 0xC1  # nFib from which the layout of the FIB is that of Word 97
_WORD6: Final = range(0x65, 0x6A)
_COMMANDS_6: Final = 0x118  # fcCmds, lcbCmds of Word 6 and 95
_TABLE_1: Final = 0x0200  # fWhichTblStm
_PAIRS: Final = 154  # FibRgFcLcb97
_FIELDS: Final = (16, 17, 18, 19, 48, 56, 58)  # PlcfFld of main text, headers, footnotes, comments, endnotes, boxes
_ASSOCIATED: Final = 32  # SttbfAssoc
_DDE_KINDS: Final = frozenset({45, 46})
_QUOTE: Final = 35
_TEMPLATE: Final = 1  # its place in SttbfAssoc
_STRINGS: Final = 64  # in SttbfAssoc there are 18
_INSTRUCTION: Final = re.compile(
    rb"\x13[\x01 \t]*dde[^\x13-\x15]*+|\x13\0(?:[\x01 \t]\0)*d\0d\0e\0(?:[^\x13-\x15].|.[^\0])*+", re.I | re.S
)
_REMOTE: Final = re.compile(r"//|\\\\")


def table_name(main: bytes) -> str:
    """Name of the stream with the tables of a WordDocument stream, empty if there is none."""
    if len(main) < _PAIRS or struct.unpack_from("<H", main, 2)[0] < _WORD97:
        return ""
    return "1Table" if struct.unpack_from("<H", main, 10)[0] & _TABLE_1 else "0Table"


def cleaned(main: bytes, table: bytes) -> tuple[bytes, bytes, tuple[str, ...]]:
    """(WordDocument stream, stream with its tables, what was taken out)."""
    octets, tables = bytearray(main), bytearray(table)
    done: dict[str, None] = {}
    for found in _INSTRUCTION.finditer(main):
        begin = found.start() + 1
        if main[begin] == 0:
            begin += 1
            octets[begin : found.end()] = (b" \0" * (found.end() - begin))[: found.end() - begin]
        else:
            octets[begin : found.end()] = b" " * (found.end() - begin)
        done[DDE] = None
    if len(main) < _PAIRS:
        return bytes(octets), table, tuple(done)
    (version,) = struct.unpack_from("<H", main, 2)
    if version in _WORD6 and len(main) >= _COMMANDS_6 + 8:
        at, length = struct.unpack_from("<LL", main, _COMMANDS_6)
        if length and at < len(octets):
            end = min(len(octets), at + length)
            if octets[at] == 0xFF and length > 2:  # a table of commands: macros are in it
                octets[at:end] = bytes(end - at)
                struct.pack_into("<L", octets, _COMMANDS_6 + 4, 0)
                done[MACROS] = None
    elif version >= _WORD97:
        _field_kinds(octets, tables, done)
        _template(octets, tables, done)
    return bytes(octets), bytes(tables), tuple(done)


def _pair(octets: bytearray, number: int, tables: bytearray) -> tuple[int, int]:
    """(offset in the tables, length) of what the FIB has under that number; (0, 0) if it is not there."""
    place = _PAIRS + 8 * number
    if len(octets) < place + 8:
        return 0, 0
    at, length = struct.unpack_from("<LL", octets, place)
    return (at, length) if at + length <= len(tables) else (0, 0)


def _field_kinds(octets: bytearray, tables: bytearray, done: dict[str, None]) -> None:
    for number in _FIELDS:
        at, length = _pair(octets, number, tables)
        count = (length - 4) // 6
        for place in range(at + 4 * (count + 1), at + 4 * (count + 1) + 2 * count, 2) if count > 0 else ():
            if tables[place] & 0x1F == 0x13 and tables[place + 1] in _DDE_KINDS:
                tables[place + 1] = _QUOTE
                done[DDE] = None


def _template(octets: bytearray, tables: bytearray, done: dict[str, None]) -> None:
    """The path of the attached template (STTB, s2.2.4), if it is on another machine."""
    begin, length = _pair(octets, _ASSOCIATED, tables)
    if length < 6 or tables[begin : begin + 2] != b"\xff\xff":
        return
    count, extra = struct.unpack_from("<HH", tables, begin + 2)
    at, end = begin + 6, begin + length
    for number in range(min(count, _STRINGS)):
        if end - at < 2:
            return
        size = 2 * int.from_bytes(tables[at : at + 2], "little")
        if at + 2 + size > end:
            return
        if number == _TEMPLATE:
            if _REMOTE.search(bytes(tables[at + 2 : at + 2 + size]).decode("utf-16-le", "replace")):
                rest = bytes(tables[at + 2 + size : end])
                tables[at:end] = b"\0\0" + rest + bytes(size)
                struct.pack_into("<L", octets, _PAIRS + 8 * _ASSOCIATED + 4, length - size)
                done[TEMPLATE] = None
            return
        at += 2 + size + extra
