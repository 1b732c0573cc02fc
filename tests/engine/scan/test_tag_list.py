"""Lists of tags of RFC 6376 s3.2."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.scan import tag_list
from engine.scan.tag_list import BadTagList, decode_base64, parse, words

names = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,9}", fullmatch=True)
whites = st.sampled_from([b"", b" ", b"\t", b"\r\n ", b" \r\n\t"])
values = st.binary(max_size=20).map(lambda text: text.replace(b";", b"").strip(b" \t\r\n"))


@given(st.dictionaries(names, st.tuples(values, whites, whites, whites, whites), max_size=8), st.booleans())
def test_reads_what_was_written(tags: dict[str, tuple[bytes, bytes, bytes, bytes, bytes]], ended: bool) -> None:
    specs = [a + name.encode() + b + b"=" + c + value + d for name, (value, a, b, c, d) in tags.items()]
    text = b";".join(specs) + (b";" if ended and tags else b"")
    assert list(parse(text).items()) == [(name, parts[0]) for name, parts in tags.items()]


@pytest.mark.parametrize(
    "text",
    [b"a=1; a=2", b"a=1;; b=2", b"a", b"=1", b"1a=1", b"a b=1", b"a=1; \r\n ; b=2", b";", b"a-b=1", b"\xc3\xa9=1"],
)
def test_refuses_what_is_no_list(text: bytes) -> None:
    """RFC 6376 s3.2: a tag that is there twice makes the list invalid."""
    with pytest.raises(BadTagList):
        parse(text)


def test_names_are_told_apart_by_case_and_values_keep_theirs() -> None:
    assert parse(b"a=X=Y; A=z ;") == {"a": b"X=Y", "A": b"z"}
    assert parse(b"") == parse(b" \r\n ") == {}


def test_base64_may_be_folded_and_nothing_else() -> None:
    assert decode_base64(b"AQ\r\n ID") == b"\1\2\3"
    assert decode_base64(b"AQI") == decode_base64(b"AQI=") == b"\1\2"
    for broken in (b"", b"A", b"AQ=", b"AQ!D", b"AQID\xff", b"===="):
        with pytest.raises(BadTagList):
            decode_base64(broken)


def test_words_are_separated_by_colons() -> None:
    assert words(b"From : to\r\n :\tDATE") == [b"from", b"to", b"date"]
    assert tag_list.joined(b"a \r\n\tb") == b"ab"


@given(st.binary(max_size=60))
def test_any_octets_are_a_list_or_refused(text: bytes) -> None:
    try:
        tags = parse(text)
    except BadTagList:
        return
    assert all(b";" not in value for value in tags.values())
