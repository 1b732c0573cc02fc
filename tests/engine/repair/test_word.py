"""Word's binary documents: fields, template and old macros, as long as they were."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.repair import word


def _texts(*texts: str) -> bytes:
    """A table of texts (STTB)."""
    body = b"".join(struct.pack("<H", len(one)) + one.encode("utf-16-le") for one in texts)
    return b"\xff\xff" + struct.pack("<HH", len(texts), 0) + body


def document(text: bytes, table: bytes, pairs: dict[int, tuple[int, int]]) -> bytes:
    fib = bytearray(1000)
    struct.pack_into("<HH", fib, 0, 0xA5EC, 0xC1)
    struct.pack_into("<H", fib, 10, 0x0200)
    for number, pair in pairs.items():
        struct.pack_into("<LL", fib, 154 + 8 * number, *pair)
    return bytes(fib) + text


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16-le"])
def test_dde_fields(encoding: str) -> None:
    """AV-13: the instruction becomes blanks, its result and other fields stay."""
    text = 'A \x13 DDEAUTO c:\\\\x "/k MARKED"\x14last result\x15 and \x13 dde x\x15\x13 PAGE \x14 1\x15 B'
    main = document(text.encode(encoding), b"", {})
    after, _, done = word.cleaned(main, b"")
    assert done == ("DDE fields",) and len(after) == len(main)
    shown = after[1000:].decode(encoding)
    assert shown.split() == [
        "A",
        "\x13",
        "\x14last",
        "result\x15",
        "and",
        "\x13",
        "\x15\x13",
        "PAGE",
        "\x14",
        "1\x15",
        "B",
    ]
    assert word.cleaned(after, b"") == (after, b"", ())


def test_kinds_of_fields() -> None:
    """AV-13: what the tables call a DDE field is one no longer; others are."""
    fields = struct.pack("<4L", 1, 5, 9, 12) + b"\x13\x2e\x13\x21\x15\x80"
    main = document(b"", fields, {16: (4, len(fields))})
    after, tables, done = word.cleaned(main, bytes(4) + fields)
    assert done == ("DDE fields",) and after == main
    assert tables == bytes(4) + fields[:-6] + b"\x13\x23\x13\x21\x15\x80"


def test_a_remote_template() -> None:
    """AV-13: its place is emptied, texts behind it move up; a local one stays."""
    old, new = _texts("a", "https://x.invalid/t.dotm", "title"), _texts("a", "", "title")
    main = document(b"", old, {32: (2, len(old))})
    after, tables, done = word.cleaned(main, b"ab" + old + b"cd")
    assert done == ("external template",) and len(after) == len(main)
    assert tables == b"ab" + new.ljust(len(old), b"\0") + b"cd"
    assert after == document(b"", old, {32: (2, len(new))})
    local = _texts("a", "C:\\Users\\x\\Normal.dotm")
    main = document(b"", local, {32: (0, len(local))})
    assert word.cleaned(main, local) == (main, local, ())


def test_texts_that_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """AV-13: word._STRINGS: the template is the second; if fewer by one were looked at, it would stay."""
    texts = _texts("a", "https://x.invalid/t.dotm")
    main = document(b"", texts, {32: (0, len(texts))})
    for most in (2, 1):
        monkeypatch.setattr(word, "_STRINGS", most)
        assert word.cleaned(main, texts)[2] == ("external template",) * (most - 1)


def test_macros_of_word_6() -> None:
    """AV-13: the table that holds WordBasic macros becomes zeros."""
    main = bytearray(document(b"\xff\1MARKED" + b"text", b"", {}))
    struct.pack_into("<H", main, 2, 0x68)
    struct.pack_into("<LL", main, 0x118, 1000, 8)
    after, _, done = word.cleaned(bytes(main), b"")
    assert done == ("WordBasic macros",) and b"MARKED" not in after and after.endswith(b"text")
    assert word.cleaned(after, b"") == (after, b"", ())


@given(st.binary(max_size=40), st.integers(0, 500), st.binary(max_size=60))
def test_any_octets(octets: bytes, where: int, table: bytes) -> None:
    """AV-13: hostile tables are left or cleaned; lengths stay."""
    main = bytearray(document(b"\x13DDE x\x15", b"", {16: (0, 16), 32: (4, 30)}))
    main[where : where + len(octets)] = octets
    tables = _texts("a", "//x") + table
    after, behind, _ = word.cleaned(bytes(main), tables)
    assert len(after) == len(main) and len(behind) == len(tables)
