"""Metatags: what they stand for goes in once, cleaned and cut; texts that would not work are named when saved."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config import Kind, Notifications
from engine.config.metatags import AUDIENCES, NAMES, allowed_in, tag_errors, texts
from engine.policy.metatags import VALUE_LEN, clean, fill

EVERY = frozenset(NAMES)
HOSTILE = st.text(alphabet=st.sampled_from("a{}$MSGINFO \r\n\t\x00\x1b\x85\u2028\u202e\u200b\ufeff<é😀"), max_size=3000)


def test_each_tag_gets_its_value_and_other_braces_stay() -> None:
    """META-01, META-06."""
    text = "{$MSGINFO}: {$FILE} {$FILE} {x} $5 {$FOO} {$DISPOSITION}!"
    values = {"MSGINFO": "From: a@b, To: c@d", "FILE": "x.exe"}
    assert fill(text, values) == "From: a@b, To: c@d: x.exe x.exe {x} $5 {$FOO} !"


def test_a_value_is_never_looked_at_for_tags() -> None:
    """NTF-17: a file name that looks like a tag stays what it is."""
    assert fill("{$FILE}|{$MSGINFO}", {"FILE": "{$MSGINFO}", "MSGINFO": "{$FILE}"}) == "{$MSGINFO}|{$FILE}"


@given(st.dictionaries(st.sampled_from(NAMES), HOSTILE), st.lists(st.sampled_from([*NAMES]), max_size=6))
def test_values_are_one_printable_line_of_limited_length(values: dict[str, str], tags: list[str]) -> None:
    """NTF-17: no control, line end or direction characters; at most 1000 characters for each."""
    filled = fill("".join(f"{{${tag}}}" for tag in tags), values)
    assert filled.isprintable()
    assert len(filled) <= VALUE_LEN * len(tags)


@given(HOSTILE, st.integers(1, 50))
def test_clean_keeps_what_is_harmless(value: str, limit: int) -> None:
    kept = clean(value, limit)
    assert kept.isprintable() and len(kept) <= limit and "\n" not in kept
    assert clean(kept, limit) == kept
    if value.isprintable() and len(value) <= limit:
        assert kept == value


def test_the_limit_is_crossed_by_one() -> None:
    """NTF-17"""
    assert clean("x" * VALUE_LEN) == "x" * VALUE_LEN
    longer = clean("x" * (VALUE_LEN + 1))
    assert len(longer) == VALUE_LEN and longer.endswith("x…")
    assert clean("\x00" * 10_000_000 + "x") == ""


@pytest.mark.parametrize(
    "damaged",
    [
        "{$MSGINFO", "{MSGINFO}", "{MSGINFO", "MSGINFO}", "$MSGINFO", "${MSGINFO}", "{ $MSGINFO}", "{$FOO}",
        "{$msginfo}", "{$}", "{$",
    ],
)  # fmt: skip
def test_damaged_and_unknown_tags_are_named(damaged: str) -> None:
    """NTF-16"""
    (error,) = tag_errors(f"before {damaged} behind", EVERY)
    assert damaged.strip("$").strip("{} ")[:7] in error


@pytest.mark.parametrize("plain", ["", "{x}", "5 $", "a file and a FILE", "profile}", "msginfo", "{}", "$x"])
def test_other_words_are_no_tags(plain: str) -> None:
    """NTF-16: texts may be changed freely."""
    assert not tag_errors(plain, frozenset())


@pytest.mark.parametrize(
    ("tag", "kinds", "sender"),
    [
        ("MSGINFO", set(Kind), True),
        ("DISPOSITION", set(Kind), False),
        ("CONTENTINFO", {Kind.CONTENT, Kind.CONTAINER, Kind.ENCRYPTED}, True),
        ("VIRUSINFO", {Kind.VIRUS}, True),
        ("SPAMINFO", {Kind.SPAM}, False),
        ("FILE", set(), False),
    ],
)
def test_where_each_tag_has_a_meaning(tag: str, kinds: set[Kind], sender: bool) -> None:
    """META-01, META-02, META-03, META-04, META-05, META-06, GAP-22: the column "Valid in"."""
    for kind in Kind:
        for audience in AUDIENCES:
            expected = kind in kinds and (sender or audience == "administrator")
            assert (tag in allowed_in(kind, audience)) is expected
            assert (not tag_errors(f"{{${tag}}}", allowed_in(kind, audience))) is expected


def test_the_default_texts_are_without_mistakes() -> None:
    """NTF-16: for every kind and audience, subject and text."""
    found = list(texts(Notifications()))
    assert len(found) == len(Kind) * len(AUDIENCES) * 2
    for path, text, tags in found:
        assert text and not tag_errors(text, tags), path


@given(HOSTILE)
def test_whatever_is_not_named_is_filled_or_plain(text: str) -> None:
    """NTF-16: after a text was accepted, filling leaves nothing in it that looks like a tag."""
    if not tag_errors(text, EVERY):
        filled = fill(text, {})
        assert "{$" not in filled
