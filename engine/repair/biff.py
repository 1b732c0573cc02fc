"""Workbooks of Excel 5 to 2003 (MS-XLS) without Excel 4.0 macros and DDE links, as long as they were.

Records keep their places and lengths, for other records point at them by offset. A macro sheet becomes a worksheet;
its formulas become empty texts, written with as many octets, its texts become blanks. Names that start macros become
names of nothing.
"""

import re
import struct
from typing import Final

from engine.repair.allowance import Allowance, Irregular

MACRO_SHEETS: Final = "Excel 4.0 macros"
NAMES: Final = "names that start macros"
DDE: Final = "DDE links"
_BOF: Final = 0x0809
_FILE_PASS, _EOF, _BOUND_SHEET, _NAME, _EXTERN_BOOK, _EXTERN_SHEET = 0x002F, 0x000A, 0x0085, 0x0018, 0x01AE, 0x0017
_PROJECT, _NO_MACROS = 0x00D3, 0x01BD  # ObProj, ObNoMacros: both without content
_FORMULAS: Final = frozenset({0x0006, 0x0206, 0x0406})
_ARRAYS: Final = frozenset({0x0221, 0x0021})
_SHARED: Final = 0x04BC
_STRINGS: Final = frozenset({0x0207, 0x0007})
_LABELS: Final = frozenset({0x0204, 0x0004, 0x00D6})
_SHARED_LABEL, _RK = 0x00FD, 0x027E
_MACRO: Final = 1
_MACRO_BOF: Final = 0x0040
_SHEET_BOF: Final = 0x0010
_WIDE_EMPTY, _EMPTY = b"\x17\0\0", b"\x17\0"  # PtgStr without characters, in BIFF8 with its flags
_PLUS, _MISSING = b"\x12", b"\x16"  # PtgUplus, PtgMissArg
_NO_TEXT: Final = b"\x03\0\0\0\0\0\xff\xff"  # result of a formula: empty text
_TEXT_FOLLOWS: Final = b"\0"
_HIDDEN, _FUNCTION, _OF_PROJECT, _COMMAND, _BUILT_IN = 0x0001, 0x0002, 0x0004, 0x0008, 0x0020
_STARTING: Final = frozenset({1, 2, 10, 11})  # Auto_Open, Auto_Close, Auto_Activate, Auto_Deactivate
_STARTING_TEXT: Final = re.compile(rb"\0?auto_?\0?(?:open|close|activate|deactivate)", re.I)
_DDE: Final = b"\x03"  # between the application and the topic


class _Book:
    def __init__(self, stream: bytes, allowance: Allowance) -> None:
        self.octets = bytearray(stream)
        self.done: dict[str, None] = {}
        self._allowance = allowance

    def records(self, at: int) -> "list[tuple[int, int, int]]":
        """(kind, offset of the content, length) from at to the end of its substream."""
        found: list[tuple[int, int, int]] = []
        depth = 0
        while len(self.octets) - at >= 4:
            self._allowance.step()
            kind, size = struct.unpack_from("<HH", self.octets, at)
            if kind & 0xFF == 0x09 and kind in (0x0009, 0x0209, 0x0409, _BOF):
                depth += 1
            if at + 4 + size > len(self.octets):
                break
            found.append((kind, at + 4, size))
            at += 4 + size
            if kind == _EOF:
                depth -= 1
                if depth <= 0:
                    break
        return found

    def is_macro_sheet(self, at: int) -> bool:
        """Whether one of the two that tell says so: the entry of the sheet at at, or the sheet itself."""
        (begin,) = struct.unpack_from("<L", self.octets, at)
        sheet = self.octets[begin : begin + 8]
        told = len(sheet) == 8 and struct.unpack_from("<HxxxxH", sheet) == (_BOF, _MACRO_BOF)
        return told or self.octets[at + 5] & 0x0F == _MACRO


def cleaned(stream: bytes, allowance: Allowance) -> tuple[bytes, tuple[str, ...]]:
    """A Workbook or Book stream, and what was taken out of it. Raises Irregular and Spent."""
    book = _Book(stream, allowance)
    wide = stream[4:6] == b"\0\x06"  # BIFF8: texts carry a flag
    sheets: list[int] = []
    records = book.records(0)
    if any(kind == _FILE_PASS for kind, _, _ in records):
        raise Irregular  # encrypted, and Excel may know the password without being told
    for kind, at, size in records:
        if kind == _BOUND_SHEET and size >= 6 and book.is_macro_sheet(at):
            sheets.append(struct.unpack_from("<L", book.octets, at)[0])
            book.octets[at + 5] &= 0xF0
            book.done[MACRO_SHEETS] = None
        elif kind == _PROJECT and size == 0:
            struct.pack_into("<H", book.octets, at - 4, _NO_MACROS)
        elif kind == _NAME:
            _name(book, at, size, wide)
        elif kind == _EXTERN_BOOK and wide and size > 5 and book.octets[at : at + 2] == b"\0\0":
            _link(book, at + 5, at + size)
        elif kind == _EXTERN_SHEET and not wide and size > 2:
            _link(book, at + 1, at + size)
    for begin in sheets:
        _sheet(book, begin, wide)
    return bytes(book.octets), tuple(book.done)


def _name(book: _Book, at: int, size: int, wide: bool) -> None:
    """A defined name (Lbl, s2.4.150): one that starts a macro is hidden, renamed, and refers to nothing."""
    head = 14
    if size < head:
        return
    flags, _, count, formula_len = struct.unpack_from("<HBBH", book.octets, at)
    begin = at + head
    text_len = count
    if wide:
        text_len = 1 + (count * 2 if size > head and book.octets[begin] & 1 else count)
    formula = begin + text_len
    if formula + formula_len > at + size:
        return
    text = bytes(book.octets[begin + wide : formula])
    starts = bool(flags & _BUILT_IN) and text[:1] != b"" and text[0] in _STARTING
    macro = flags & (_FUNCTION | _COMMAND) and not flags & _OF_PROJECT  # those of VBA name what is no longer there
    if not starts and not macro and not _STARTING_TEXT.match(text.replace(b"\0", b"")):
        return
    struct.pack_into("<H", book.octets, at, _HIDDEN)
    book.octets[at + 2] = 0
    step = 2 if wide and book.octets[begin] & 1 else 1
    for place in range(count):
        letter = 0x5F if place else 0x61 + at // 4 % 26  # two of them in one book should differ
        book.octets[begin + wide + place * step] = letter
        if step == 2:
            book.octets[begin + wide + place * step + 1] = 0
    _formula(book, formula, formula_len, at + size, wide)
    book.done[NAMES] = None


def _formula(book: _Book, at: int, length: int, end: int, wide: bool) -> None:
    """Tokens become an empty text and signs that change nothing; extra data behind them becomes zeros."""
    text = _WIDE_EMPTY if wide else _EMPTY
    tokens = _MISSING * length if length < len(text) else text + _PLUS * (length - len(text))
    book.octets[at : at + length] = tokens
    book.octets[at + length : end] = bytes(end - at - length)


def _link(book: _Book, begin: int, end: int) -> None:
    """The source of a DDE link (s2.4.271): application and topic become x, what they gave last stays."""
    if _DDE not in book.octets[begin:end]:
        return
    for place in range(begin, end):
        if book.octets[place] not in (0, 3):
            book.octets[place] = 0x78
    book.done[DDE] = None


def _sheet(book: _Book, begin: int, wide: bool) -> None:
    if begin >= len(book.octets):
        return
    for kind, at, size in book.records(begin):
        if kind == _BOF and size >= 4 and struct.unpack_from("<H", book.octets, at + 2)[0] == _MACRO_BOF:
            struct.pack_into("<H", book.octets, at + 2, _SHEET_BOF)
        elif kind in _FORMULAS and size >= 22:
            struct.pack_into("<H", book.octets, at + 14, 0)  # neither always calculated nor shared
            if book.octets[at + 12 : at + 14] != b"\xff\xff" or book.octets[at + 6 : at + 7] != _TEXT_FOLLOWS:
                book.octets[at + 6 : at + 14] = _NO_TEXT
            _formula(book, at + 22, min(size - 22, struct.unpack_from("<H", book.octets, at + 20)[0]), at + size, wide)
        elif kind in _ARRAYS and size >= 14:
            _formula(book, at + 14, min(size - 14, struct.unpack_from("<H", book.octets, at + 12)[0]), at + size, wide)
        elif kind == _SHARED and size >= 10:
            _formula(book, at + 10, min(size - 10, struct.unpack_from("<H", book.octets, at + 8)[0]), at + size, wide)
        elif kind in _STRINGS and size > 2:
            _blank(book, at, size, 2, wide)
        elif kind in _LABELS and size > 8:
            _blank(book, at, size, 8, wide)
        elif kind == _SHARED_LABEL and size == 10:
            struct.pack_into("<H", book.octets, at - 4, _RK)
            struct.pack_into("<L", book.octets, at + 6, 2)  # the integer 0


def _blank(book: _Book, at: int, size: int, off: int, wide: bool) -> None:
    """The text of a cell, behind off octets and, from BIFF8 on, its flags."""
    begin = at + off + wide
    if wide and book.octets[at + off] & 1:
        book.octets[begin : at + size] = (b" \0" * (size // 2 + 1))[: at + size - begin]
    else:
        book.octets[begin : at + size] = b" " * (at + size - begin)
