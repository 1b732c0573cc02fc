"""Header sections in one pass beside a plain reading of their lines, and the delimiters that only begin like one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cext import mime
from tests.oracles import mime as oracle

PIECES = [
    b"Content-Type",
    b"content-transfer-encoding",
    b"CONTENT-DISPOSITION",
    b"Subject",
    b"X",
    b":",
    b" ",
    b"\t",
    b"\r\n",
]
PIECES += [b"\x0b", b"\x0c", b"\r", b"\n", b"\0", b"(c)", b"(", b"a/b", b"From ", b">From ", b"\xff", b"\r\n\r\n"]
PIECES += [
    b"From",
    b"fromm",
    b"Auto-Submitted",
    b"precedence",
    b"X-Auto-Response-Suppress",
    b"LIST-Id",
    b"List-",
    b"List",
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join)
WANTED = {b"content-type": 0, b"content-transfer-encoding": 1, b"content-disposition": 2, b"subject": 3}
WHOLE = {b"from": 4, b"auto-submitted": 5, b"precedence": 6, b"x-auto-response-suppress": 7}


def kind_of(name: bytes, whole: bool) -> int:
    if whole and name.startswith(b"list-") and name != b"list-":
        return mime.LIST
    return (WANTED | WHOLE if whole else WANTED).get(name, -1)


def name_of(line: bytes) -> tuple[bytes, int, bool] | None:
    """(name in lower case, offset behind the colon, whether the colon follows it at once) of a field."""
    end = 0
    while end < len(line) and 32 < line[end] < 127 and line[end] not in b":(":
        end += 1
    at = end
    while at < len(line) and line[at] in b" \t":
        at += 1
    if line[at : at + 1] == b"(":
        close = line.find(b")", at)
        if close < 0:
            return None
        at = close + 1
        while at < len(line) and line[at] in b" \t":
            at += 1
    if end == 0 or line[at : at + 1] != b":":
        return None
    return line[:end].lower(), at + 1, at == end


def section(text: bytes, whole: bool = False) -> tuple[int, int, int, list[tuple[int, bytes]]]:
    """(body, first line that is no field, behind the first blank line, wanted fields)"""
    body = oracle.header_end(text, 0, len(text))
    not_field = blank = -1
    fields: list[list[int]] = []
    for at, behind, line in oracle.lines(text[:body]):
        end = at + len(line)
        if not line:
            break
        if line[0] in b" \t":
            if not line.strip(b" \t") and blank < 0:
                blank = behind
            if fields:
                fields[-1][2] = end
            continue
        found = name_of(line)
        if found is None:
            fields.append([-1, at, end])
            if not_field < 0 and (at or not line.startswith((b"From ", b">From "))):
                not_field = at
        else:
            fields.append([kind_of(found[0], whole), at + found[1], end])
            if not_field < 0 and not found[2]:
                not_field = at
    return body, not_field, blank, [(kind, unfolded(text[start:end])) for kind, start, end in fields if kind >= 0]


def unfolded(body: bytes) -> bytes:
    return body.replace(b"\r", b"").replace(b"\n", b"").strip()


@given(TEXTS, st.booleans())
def test_section_equals_oracle(text: bytes, whole: bool) -> None:
    """SNDR-02: From fields are found wherever they stand in the section."""
    body, flags, not_field, blank, wanted = mime.section(text, 0, len(text), 10_000, 1_000, whole)
    assert (body, not_field, blank, wanted) == section(text, whole)
    header = text[:body]
    assert bool(flags & mime.NUL) == (b"\0" in header)
    assert bool(flags & mime.BARE_CR) == (header.count(b"\r") != header.count(b"\r\n"))
    assert bool(flags & mime.NOT_FIELD) == (not_field >= 0)
    assert bool(flags & mime.BLANK) == (blank >= 0)


@given(TEXTS, st.binary(max_size=70), st.binary(max_size=40))
def test_what_lies_around_makes_no_difference(text: bytes, before: bytes, after: bytes) -> None:
    alone = mime.section(text, 0, len(text), 10_000, 1_000)
    start, end = len(before), len(before) + len(text)
    body, flags, not_field, blank, wanted = mime.section(before + text + after, start, end, 10_000, 1_000)
    assert body - start == alone[0] and flags == alone[1]
    assert [one - start if one >= 0 else one for one in (not_field, blank)] == list(alone[2:4])
    assert wanted == alone[4]


def test_no_more_fields_than_allowed() -> None:
    text = b"Subject: x\r\n" * 10
    assert len(mime.section(text, 0, len(text), 10_000, 10)[4]) == 10
    assert not mime.section(text, 0, len(text), 10_000, 10)[1] & mime.TRUNCATED
    assert mime.section(text, 0, len(text), 10_000, 9)[1] & mime.TRUNCATED
    assert mime.section(text, 0, len(text), 108, 99)[1] & mime.TRUNCATED
    assert not mime.section(text, 0, len(text), 109, 99)[1] & mime.TRUNCATED


def test_a_field_is_cut() -> None:
    """CONT-06: one that begins in time may be as long as the message."""
    text = b"Subject: " + b"x" * 91
    assert mime.section(text, 0, 100, 92, 9)[1:] == (0, -1, -1, [(mime.SUBJECT, b"x" * 91)])
    assert mime.section(text, 0, 100, 91, 9)[1:] == (mime.TRUNCATED, -1, -1, [(mime.SUBJECT, b"x" * 90)])


def test_lines_that_only_begin_like_a_delimiter_are_counted_or_taken() -> None:
    text = b"--b\r\n--bc\r\n--b--\r\n--b--x\r\n--a\r\n"
    lines, near, bare = mime.delimiter_lines(text, 0, len(text), b"b", 9)
    assert (
        near == 2
        and not bare
        and lines == mime.delimiters(text, 0, len(text), b"b", 9) == [(0, 5, False), (11, 18, True)]
    )
    taken, _, _ = mime.delimiter_lines(text, 0, len(text), b"b", 9, True)
    assert taken == [(0, 5, False), (5, 11, False), (11, 18, True), (18, 26, True)]


@given(
    st.lists(st.sampled_from([b"--b", b"--b--", b"\r", b"\n", b"x", b" "]), max_size=20).map(b"".join), st.booleans()
)
def test_bare_ends_of_delimiters_are_seen(text: bytes, prefix: bool) -> None:
    lines, _, bare = mime.delimiter_lines(text, 0, len(text), b"b", 99, prefix)
    ends = [text[:at] for line in lines for at in line[:2] if 0 < at < len(text)]
    assert bare == any(not one.endswith(b"\n") for one in ends)


@given(st.lists(st.sampled_from([b"a", b" ", b"\t", b"\r", b"\n"]), max_size=120).map(b"".join), st.integers(0, 9))
def test_trailing_blanks_are_seen(text: bytes, start: int) -> None:
    start = min(start, len(text))
    pairs = zip(text[start:], text[start + 1 :], strict=False)
    want = any(one in b" \t" and two in b"\r\n" for one, two in pairs)
    assert mime.trailing_blank(text, start, len(text)) == want == mime.trailing_blank(text, start, len(text), False)


@pytest.mark.parametrize(("start", "end"), [(-1, 0), (1, 0), (0, 3)])
def test_spans_outside_are_refused(start: int, end: int) -> None:
    with pytest.raises(ValueError):
        mime.section(b"ab", start, end, 9, 9)
    with pytest.raises(ValueError):
        mime.trailing_blank(b"ab", start, end)
