"""AV-02: regular expressions in conditions are bounded, and wait for their trigger."""

import pytest

from cext.automaton import REGEX_FLAGS, Image, regex_error
from engine.scan.facts import Cause
from engine.scan.offline import examine
from signatures import image, logic
from signatures.hexpattern import parse
from signatures.model import Condition, Regex, Signature, SubPattern

ANCHOR = SubPattern(parse(b"the anchor".hex()))


def compiled(*regexes: Regex, expression: str = "0&1", trigger: str = "0") -> Image:
    subs: tuple[SubPattern | Regex, ...] = (ANCHOR, *regexes)
    triggers = {number: logic.parse(trigger, 1) for number in range(1, len(subs))}
    node = logic.triggered(logic.parse(expression, len(subs)), triggers)
    return Image(image.build([Signature("r", Condition(subs, node))]))


@pytest.mark.parametrize(
    ("text", "flags", "found", "missed"),
    [
        (rb"a.b", "", b"axb", b"a\nb"),
        (rb"a.b", "s", b"a\nb", b"ab"),
        (rb"a b", "x", b"ab", b"a b"),
        (rb"^b$", "m", b"a\nb\nc", b"ab"),
        (rb"\xff\x00", "", b"\xff\x00", b"\xff0"),
        (rb"(?P<v>\w+)=(?P=v);", "", b"x=x;", b"x=y;"),
        (rb"q(?!b)(?<=q)", "", b"qc", b"qb"),
        (rb"B", "i", b"b", b"c"),
        (rb"the", "A", b"", b""),
    ],
)
def test_what_signatures_are_written_in(text: bytes, flags: str, found: bytes, missed: bytes) -> None:
    known = compiled(Regex(text, flags))
    assert known.scan(b"the anchor\n" + found) == ("r",)
    if missed:
        assert known.scan(missed + b"\n \nthe anchor") == ()


def test_a_trigger_that_does_not_hold_keeps_it_from_being_tried() -> None:
    known = compiled(Regex(b"(x+x+)+y" * 20, "s"), trigger="0>1")
    assert known.scan(b"the anchor" + b"x" * 100_000) == ()


def test_all_matches_count_if_asked_for() -> None:
    assert compiled(Regex(b"ab", "g"), expression="0&1>2").scan(b"the anchor ababab") == ("r",)
    assert compiled(Regex(b"ab", "g"), expression="0&1>2").scan(b"the anchor abab") == ()
    assert compiled(Regex(b"ab"), expression="0&1>1").scan(b"the anchor ababab") == ()
    assert compiled(Regex(b"x*", "g"), expression="0&1>2").scan(b"the anchor") == ("r",)


def test_a_start_that_needs_too_much_does_not_hide_the_next() -> None:
    """The first 40 starts run into the bound on steps; the one that matches comes behind them."""
    known = compiled(Regex(rb"(?:x+x+)+y|good", ""))
    assert known.scan(b"the anchor " + b"x" * 40 + b" good") == ("r",)


def test_what_takes_too_long_is_not_clean() -> None:
    """SCAN-07: content that is made to keep an expression busy is not examined, and nobody waits for it."""
    known = compiled(Regex(rb"(?:[xy]+[xz]+)+w", ""))
    bait = b"the anchor " + b"x" * 2_000_000 + b".w"
    facts = examine(bait, "bait.bin", known)
    assert [(one.cause, "regular expressions" in one.detail) for one in facts.unscanned] == [(Cause.ENGINE, True)]


def test_steps_that_each_look_at_the_whole_content_are_bounded_too() -> None:
    """SCAN-07: a hundred thousand steps over ten million octets each would take hours, from one start."""
    known = compiled(Regex(rb"[a-z]+\s*=\s*\w+\(", "is"))
    with pytest.raises(TimeoutError):
        known.scan(b"the anchor " + b"x" * 10_000_000)


LONG = rb"x?" * 9000  # with a look at the clock before each item it is longer than PCRE2 allows


def test_an_expression_that_looks_at_the_clock_make_too_large() -> None:
    """Those of lists of words in every spelling: they are taken, in all their branches, and bounded all the same."""
    known = compiled(Regex(LONG + rb"end|(o)ther\1", "i"))
    assert known.scan(b"the anchor xxEND") == known.scan(b"the anchor OTHERo") == ("r",)
    assert known.scan(b"the anchor others") == ()
    with pytest.raises(TimeoutError):
        compiled(Regex(LONG + rb"[a-z]+\s*=", "is")).scan(b"the anchor " + b"x" * 2_000_000 + b".=")


def test_mistakes_have_a_place() -> None:
    assert regex_error(b"ab(c", 0) == ("missing closing parenthesis", 4)
    assert regex_error(b"a\\", 0) is not None
    assert regex_error(b"(?:(?:a{9999}){9999}){9999}", 0) is not None
    assert all(regex_error(b"abc", flag) is None for flag in REGEX_FLAGS.values())
