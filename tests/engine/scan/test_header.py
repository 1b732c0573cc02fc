"""Header fields as mail clients read them (RFC 2045, 2047, 2231; FILE-06)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import limits
from engine.scan.header import Value, clean_name, collect, decode_words, filenames, parse, subject_text, subject_texts


def names(disposition: bytes = b"", content_type: bytes = b"") -> tuple[str, ...]:
    return filenames([parse(disposition)] if disposition else [], [parse(content_type)] if content_type else [])


def test_only_fields_at_line_starts_count() -> None:
    fields = collect(b"X: content-type: image/png\r\nContent-Type: text/html\r\n content-type: text/x\r\n\r\n")
    assert fields.content_types == [b"text/html content-type: text/x"]


def test_different_occurrences_are_all_kept_and_equal_ones_once() -> None:
    fields = collect(b"Content-Type: a/b\nContent-type : a/b\nCONTENT-TYPE: c/d\n\n")
    assert fields.content_types == [b"a/b", b"c/d"]


def test_a_comment_before_the_colon_is_passed_over() -> None:
    assert collect(b"Content-Type(meow): a/b\r\n").content_types == [b"a/b"]


def test_a_field_behind_a_bare_cr_is_one_more_occurrence() -> None:
    fields = collect(b"Content-Type: a/b\rContent-Transfer-Encoding: base64\r\n\r\n")
    assert fields.bare_cr
    assert fields.encodings == [b"base64"]
    assert b"a/b" in fields.content_types


def test_nul_and_length_are_noticed() -> None:
    assert collect(b"Content-\0Type: a/b\n").content_types == [b"a/b"]
    assert collect(b"X: y\n" * (limits.HEADER_LEN // 4)).truncated


def test_subject_is_decoded_for_people() -> None:
    fields = collect(b"subject: =?utf-8?Q?caf=C3=A9?=\r\n =?utf-8?b?IG5vaXI=?=\t!\r\n", whole=True)
    assert subject_text(fields) == "café noir !"


@pytest.mark.parametrize(
    ("body", "token", "parameters"),
    [
        (b"text/plain", "text/plain", {}),
        (b" Text / Plain ; charset=x", "text/plain", {"charset": b"x"}),
        (b"text/plain charset=x", "text/plain", {"charset": b"x"}),
        (b'multipart/mixed; boundary="a;b\\"c"; x=y', "multipart/mixed", {"boundary": b'a;b"c', "x": b"y"}),
        (b'multipart/mixed; boundary="open', "multipart/mixed", {"boundary": b"open"}),
        (b"multipart/mixed;boundary=a b ;;", "multipart/mixed", {"boundary": b"a b"}),
        (b"(c) text/html (d)", "text/html", {}),
        (b'"text/html"', "text/html", {}),
        (b"", "", {}),
        (b";;=;", "", {}),
    ],
)
def test_structured_bodies(body: bytes, token: str, parameters: dict[str, bytes]) -> None:
    value = parse(body)
    assert value.token == token
    assert {name: value.first(name) for name, _ in value.parameters} == parameters


@pytest.mark.parametrize(
    ("disposition", "content_type", "expected"),
    [
        (b'attachment; filename="a.txt"', b"", ("a.txt",)),
        (b"attachment; filename=a b.txt", b"", ("a b.txt",)),
        (b"attachment; filename=a.txt", b"x/y; name=b.txt", ("a.txt", "b.txt")),
        (b"attachment; filename*=utf-8''na%C3%AFve.txt", b"", ("naïve.txt",)),
        (b"attachment; filename*0=one; filename*1=two.exe", b"", ("onetwo.exe",)),
        (b"attachment; filename*1=two.exe; filename*0=one", b"", ("onetwo.exe",)),
        (b"attachment; filename*0*=utf-8''%C3%A4; filename*1=b", b"", ("äb",)),
        (b'attachment; filename="=?iso-8859-1?Q?=E4.doc?="', b"", ("ä.doc", "=?iso-8859-1?Q?=E4.doc?=")),
        (b'a; filename=x.txt; filename*=""', b"", ("x.txt",)),
        (b'attachment; filename="evil.exe . "', b"", ("evil.exe",)),
        (b"attachment; filename=a\xe2\x80\xaegpj.exe", b"", ("agpj.exe", "a\u202egpj.exe")),
        # a character that is cut between two words
        (b'a; filename="=?utf-8?Q?=C3?= =?utf-8?Q?=A4.exe?="', b"", ("ä.exe", "=?utf-8?Q?=C3?= =?utf-8?Q?=A4.exe?=")),
        # words in pieces, as Outlook writes them
        (b'a; filename*0="=?utf-8?B?YS5l"; filename*1="eGU=?="', b"", ("a.exe",)),
        # Gmail: both forms
        (b"a; filename=\"x.txt\"; filename*=UTF-8''x%2Eexe", b"", ("x.exe", "x.txt")),
        # pieces that occur twice: the first or the last one wins
        (b"a; filename*0=a.; filename*1=txt; filename*1=exe", b"", ("a.txt", "a.exe")),
        (b"a; filename*0*=utf-8''%E2%82%AC; filename*1*=%2E; filename*2=exe", b"", ("€.exe",)),
        (b'a; filename="a%2Eexe"', b"", ("a%2Eexe", "a.exe")),
        (b"a; filename*=\"utf-8''a.exe\"", b"", ("a.exe",)),
        (b"a; filename*=utf-8''=?utf-8?q?a.exe?=", b"", ("=?utf-8?q?a.exe?=", "a.exe")),
        (b'a; filename="C:\\dir\\a.exe"', b"", ("C:dira.exe", "C:\\dir\\a.exe")),
        (b'a; filename="a\\"b.exe"', b"", ('a"b.exe', 'a\\"b.exe')),
        (b"", b'x/y; name="=?koi8-r?B?xi5leGU=?="', ("ф.exe", "=?koi8-r?B?xi5leGU=?=")),
        (b"a; filename=\xc4\xd6.exe", b"", ("ÄÖ.exe",)),
        (b"a;filename=a.exe;filename=b.exe", b"x/y;name=a.exe;name=c.exe", ("a.exe", "b.exe", "c.exe")),
        (b"filename=a.exe", b"", ("a.exe",)),
        (b"a; name=a.exe", b"x/y; filename=b.exe", ("a.exe", "b.exe")),
        (b"a; filename=a.exe (x)", b"", ("a.exe (x)", "a.exe")),
        (b"a; (x) filename (y) = a.exe", b"", ("a.exe",)),
        (b'a; filename="a".exe; b=c', b"", ("a", "a.exe")),
        (b"; filename=a.exe", b"", ("a.exe",)),
    ],
)
def test_every_declared_name(disposition: bytes, content_type: bytes, expected: tuple[str, ...]) -> None:
    assert names(disposition, content_type) == expected


def test_there_is_one_name_more_than_allowed_to_tell_that_there_are_too_many() -> None:
    many = b"a" + b"".join(b"; filename=%d" % number for number in range(100))
    assert len(names(many)) == limits.NAMES + 1


def test_comments_in_comments() -> None:
    deep = b"(" * limits.COMMENT_DEPTH + b")" * limits.COMMENT_DEPTH
    assert parse(deep + b" text/html").token == "text/html"
    assert parse(b"(" + deep + b") text/html").token != "text/html"


def test_places_where_clients_may_see_the_body_begin() -> None:
    header = b"Subject: x\r\nno field\r\n \r\nX: y\r\n\r\n"
    fields = collect(header)
    assert (fields.not_field, fields.blank, fields.body) == (12, 25, len(header))
    assert fields.odd and not fields.headless
    assert collect(b"words\r\n").headless and collect(b" X: y\r\n").headless
    assert not collect(b"From x\r\nSubject: y\r\n\tz\r\n\r\n").odd
    assert collect(b"Subject : y\r\n").not_field == 0


def test_names_are_cut_in_their_middle() -> None:
    """FILE-06: an extension cannot be pushed out of sight."""
    assert len(clean_name("x" * limits.NAME_LEN)) == limits.NAME_LEN
    cut = clean_name("x" * 100_000 + ".exe")
    assert len(cut) == limits.NAME_LEN and cut.endswith("x.exe")
    long = b"x" * 100_000
    pieces = b"a" + b"".join(b";filename*%d=%s" % (number, b"x" * 100) for number in range(900))
    for written in (
        b"a; filename=" + long + b".exe",
        b"a; filename*=utf-8''" + long + b"%2Eexe",
        b'a; filename="=?utf-8?q?' + long + b'=2Eexe?="',
        pieces + b";filename*900=.exe",
    ):
        assert names(written)[0].endswith(".exe"), written[:30]


@pytest.mark.parametrize("charset", ["unicode_escape", "idna", "zlib", "rot13", "no-such-charset", "utf-8-sig-x"])
def test_a_charset_that_is_none_is_not_looked_up(charset: str) -> None:
    assert decode_words(f"=?{charset}?Q?abc?=") == "abc"


@given(st.binary(max_size=300))
def test_nothing_raises(octets: bytes) -> None:
    fields = collect(b"Content-Disposition: " + octets + b"\nSubject: " + octets, whole=True)
    subject_texts(fields)
    value = parse(octets)
    assert isinstance(value, Value)
    filenames([value, parse(b"a; filename" + octets)], [value])


@pytest.mark.parametrize(
    "body",
    [
        b"a" * 300_000,
        b"a/b;" + b"a" * 300_000,
        b"a/b" + b";" * 300_000 + b"=x",
        b"a" + b" " * 300_000 + b"/b",
        b'a/b; x="' + b'\\"' * 150_000,
        b"(" * 300_000,
        b"a/b;" + b"=" * 300_000,
        b"a/b" + b";a=b" * 75_000,
    ],
)
def test_no_field_makes_it_backtrack(body: bytes) -> None:
    """Each would take minutes if it did; a limit on parameters keeps the last one short."""
    assert len(parse(body).parameters) <= limits.HEADER_FIELDS
