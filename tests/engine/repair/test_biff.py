"""Records of workbooks: macro sheets, names that start macros, DDE sources. Nothing moves."""

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.repair import biff
from engine.repair.allowance import Allowance, Irregular, Spent

_BOF8 = b"\0\x06"
_NAMES, _SHEETS, _LINKS = "names that start macros", "Excel 4.0 macros", "DDE links"


def record(kind: int, content: bytes = b"") -> bytes:
    return struct.pack("<HH", kind, len(content)) + content


def bof(kind: int, version: bytes = _BOF8) -> bytes:
    return record(0x0809, version + struct.pack("<H", kind) + bytes(12))


def name(flags: int, text: bytes, formula: bytes, wide: bool = False) -> bytes:
    count = len(text) // 2 if wide else len(text)
    head = struct.pack("<HBBH", flags, 0, count, len(formula)) + bytes(8)
    return record(0x0018, head + (b"\1" if wide else b"\0") + text + formula)


def formula(tokens: bytes, value: bytes = bytes(8), extra: bytes = b"") -> bytes:
    return record(0x0006, bytes(6) + value + b"\1\0" + bytes(4) + struct.pack("<H", len(tokens)) + tokens + extra)


def book(globals_: bytes, sheet: bytes, kind: int = 1) -> bytes:
    """A workbook with one sheet; kind 1: of macros."""
    begin = bof(5) + globals_
    bound = record(0x0085, struct.pack("<LBB", len(begin) + 4 + 9 + 4, 0, kind) + b"\1\0M")
    return begin + bound + record(0x000A) + bof(0x40 if kind else 0x10) + sheet + record(0x000A)


def cleaned(stream: bytes) -> tuple[bytes, tuple[str, ...]]:
    done = biff.cleaned(stream, Allowance())
    assert len(done[0]) == len(stream)
    return done


def _records(stream: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 0
    while at < len(stream):
        kind, size = struct.unpack_from("<HH", stream, at)
        found.append((kind, stream[at + 4 : at + 4 + size]))
        at += 4 + size
    return found


def test_a_macro_sheet_becomes_an_empty_worksheet() -> None:
    """AV-13: formulas and texts of it are gone, records and their places are the same."""
    tokens = b"\x17\x08\0MARKED.A\x42\1\x7c\x80"
    sheet = (
        formula(tokens, b"\0\0\0\0\0\0\xff\xff", b"MARKED") + record(0x0207, b"\x06\0\0MARKED")
        + record(0x0204, bytes(6) + b"\x06\0\0MARKED") + record(0x00FD, bytes(6) + b"\x09\0\0\0")
        + formula(b"\x1e\1\0", struct.pack("<d", 7.0)) + record(0x0221, bytes(12) + b"\x06\0MARKED")
    )  # fmt: skip
    stream = book(record(0x00D3), sheet)
    content, done = cleaned(stream)
    assert done == (_SHEETS,) and b"MARKED" not in content
    assert [len(one) for _, one in _records(content)] == [len(one) for _, one in _records(stream)]
    found = dict(_records(content))
    assert 0x00D3 not in found and found[0x0085][5] == 0 and 0x01BD in found  # ObNoMacros
    kinds = [kind for kind, _ in _records(content)]
    assert 0x00FD not in kinds and found[0x027E] == bytes(6) + b"\2\0\0\0"
    bofs = [one[2:4] for kind, one in _records(content) if kind == 0x0809]
    assert bofs == [b"\5\0", b"\x10\0"]
    formulas = [one for kind, one in _records(content) if kind == 0x0006]
    assert formulas[0][22:] == b"\x17\0\0" + b"\x12" * (len(tokens) - 3) + bytes(6)
    assert formulas[1][6:14] == b"\3\0\0\0\0\0\xff\xff" and formulas[1][22:] == b"\x17\0\0"
    assert cleaned(content) == (content, ())


def test_worksheets_are_not_touched() -> None:
    """AV-13: an honest workbook, with a name for a range and one for a function in VBA, stays as it is."""
    names = name(0, b"Prices", b"\x3b" + bytes(10)) + name(0x000E, b"Square", b"")
    stream = book(names, formula(b"\x1e\1\0"), kind=0)
    assert cleaned(stream) == (stream, ())


@pytest.mark.parametrize(
    ("flags", "text", "wide"),
    [(0x20, b"\1", False), (0x21, b"\2", False), (0, b"Auto_Open", False), (0, "auto_close7".encode("utf-16-le"), True),
     (0x000A, b"Macro", False), (1, b"AUTOOPEN", False)],
)  # fmt: skip
def test_names_that_start_macros(flags: int, text: bytes, wide: bool) -> None:
    """AV-13: they are no longer called so and refer to nothing, whatever letters they are written in."""
    stream = book(name(flags, text, b"\x3a\0\0MARKED", wide), b"", kind=0)
    content, done = cleaned(stream)
    assert done == (_NAMES,) and b"MARKED" not in content
    after = dict(_records(content))[0x0018]
    assert after[:2] == b"\1\0" and after[15 : 15 + len(text)] != text and after[-9:] == b"\x17\0\0" + b"\x12" * 6
    assert cleaned(content) == (content, ())


def test_sources_of_dde() -> None:
    """AV-13: application and topic are gone; a link to another workbook stays."""
    link = record(0x01AE, b"\0\0\x0b\0\0cmd\x03/c MARKED"[:16])
    stream = book(link + record(0x01AE, b"\1\0\x05\0\0\1a.xls"), b"", kind=0)
    content, done = cleaned(stream)
    assert done == (_LINKS,) and b"cmd" not in content and b"\x03" in content and b"a.xls" in content
    old = bof(5, b"\0\x05") + record(0x0017, b"\x07cmd\x03/cx") + record(0x000A)
    content, done = cleaned(old)
    assert done == (_LINKS,) and b"cmd" not in content


def test_encrypted_workbooks_are_refused() -> None:
    """AV-05: behind FilePass no record is what it seems, and Excel opens one with its own password unasked."""
    with pytest.raises(Irregular):
        cleaned(book(record(0x002F, bytes(6)), formula(b"\x1e\1\0")))


def test_macro_sheets_that_are_called_worksheets() -> None:
    """AV-13: in the list of sheets, or where they begin."""
    stream = bytearray(book(b"", formula(b"\x1e\1\0")))
    for place in (len(bof(5)) + 4 + 5, stream.index(b"\0\x06\x40\0") + 2):
        changed = bytearray(stream)
        changed[place] = 0
        content, done = cleaned(bytes(changed))
        assert done == (_SHEETS,) and b"\x1e\1\0" not in content and b"\0\x06\x40\0" not in content


@given(st.binary(max_size=200), st.integers(0, 120), st.binary(max_size=8))
def test_any_octets(tail: bytes, where: int, octets: bytes) -> None:
    """AV-13: hostile records are left or cleaned, never more octets, and nothing raises."""
    stream = bytearray(
        book(name(0x20, b"\1", b"\x3a\0\0abc") + record(0x01AE, b"\0\0\3\0\0a\x03b"), formula(b"\x1e\1\0"))
    )
    stream[where : where + len(octets)] = octets
    with suppress(Irregular):  # what looks encrypted
        cleaned(bytes(stream) + tail)


def test_work_is_bounded() -> None:
    """AV-13: each record is a step, and those of a macro sheet are read once more."""
    stream = book(b"", formula(b"\x1e\1\0"))
    biff.cleaned(stream, Allowance(6))
    with pytest.raises(Spent):
        biff.cleaned(stream, Allowance(5))
