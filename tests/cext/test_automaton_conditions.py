"""AV-02: conditions hold where a slow, plain reading of them holds, whatever they are made of."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cext.automaton import LEVELS, Image, dispatch
from signatures import anchors, hexpattern, image, logic
from signatures.hexpattern import parse
from signatures.model import Condition, Digest, Literal, Regex, Signature, Start, SubPattern
from tests.oracles import condition_naive as oracle

USABLE = LEVELS[: LEVELS.index(dispatch()) + 1]

# Few octets, so that everything occurs now and then.
octets = st.lists(st.sampled_from(["61", "62", "41", "00", "31"]), min_size=1, max_size=4).map("".join)
gaps = st.sampled_from(["??", "????", "*", "{0-2}", "{-3}", "{1}", "{2-}", "[1-3]"])
pieces = st.one_of(
    octets,
    octets,
    gaps,
    st.sampled_from(["6?", "?1", "(61|62)", "(6161|62)", "!(61|62)", "!(6161|6262)"]),
)
texts = st.lists(pieces, min_size=1, max_size=5).map("".join)
edges = st.tuples(st.sampled_from(["", "(B)", "(L)"]), texts, st.sampled_from(["", "(B)", "(W)"])).map("".join)
starts = st.one_of(
    st.just(Start()),
    st.builds(Start, st.sampled_from(["start", "end"]), st.integers(0, 8), st.integers(0, 4)),
)


@st.composite
def subs(draw: st.DrawFn) -> SubPattern:
    while True:
        try:
            elements = parse(draw(edges))
            break
        except hexpattern.PatternError:
            continue
    plain, wide = draw(st.sampled_from([(True, False), (True, True), (False, True)]))
    return SubPattern(elements, draw(st.booleans()), plain, wide, draw(st.integers(0, 4)) == 0, draw(starts))


@st.composite
def logics(draw: st.DrawFn, count: int, depth: int = 2) -> str:
    kind = draw(st.integers(0, 3)) if depth else 0
    if kind == 0:
        text = str(draw(st.integers(0, count - 1)))
    else:
        parts = draw(st.lists(logics(count, depth - 1), min_size=2, max_size=3))
        text = "(" + draw(st.sampled_from("&|")).join(parts) + ")"
    if draw(st.integers(0, 4)) == 0:
        text += draw(st.sampled_from([">1", "=1", "<2", ">0", "=2", ">2,2", "=0"]))
    return text


@st.composite
def conditions(draw: st.DrawFn) -> Condition:
    count = draw(st.integers(1, 3))
    made = tuple(draw(subs()) for _ in range(count))
    sizes = draw(st.sampled_from([(0, (1 << 64) - 1), (0, (1 << 64) - 1), (5, 30)]))
    return Condition(made, logic.parse(draw(logics(count)), count), *sizes)


atoms = st.sampled_from(["a", "b", "[ab]", "[^a]", ".", r"\x00", r"\d", "(?:ab|1)", "(a)"])
repeats = st.sampled_from(["", "", "", "?", "*", "+?", "{2}", "{0,2}"])
looks = st.sampled_from([r"\b", "(?=b)", "(?!a)", "(?<!b)"])
pieces_of_regex = st.one_of(st.tuples(atoms, repeats).map("".join), looks)
expressions = st.lists(pieces_of_regex, min_size=1, max_size=4).map("".join)
regexes = st.builds(
    Regex,
    expressions.map(str.encode),
    st.sampled_from(["", "i", "s", "is"]),
    st.one_of(st.just(Start()), st.builds(Start, st.just("start"), st.integers(0, 6), st.integers(0, 3))),
)


@st.composite
def conditions_with_regexes(draw: st.DrawFn) -> Condition:
    plain = [draw(subs()) for _ in range(draw(st.integers(1, 2)))]
    waiting = [draw(regexes) for _ in range(draw(st.integers(1, 2)))]
    triggers = {len(plain) + i: logic.parse(draw(logics(len(plain), 1)), len(plain)) for i in range(len(waiting))}
    count = len(plain) + len(waiting)
    return Condition((*plain, *waiting), logic.triggered(logic.parse(draw(logics(count)), count), triggers))


def variants_of(condition: Condition) -> list[list[tuple[hexpattern.Element, ...]]]:
    return [list(anchors.variants(sub)) if isinstance(sub, SubPattern) else [] for sub in condition.subs]


haystacks = st.lists(st.sampled_from([b"a", b"b", b"A", b"\0", b"1", b"a\0b\0", b"ab1", b" ", b"\n"]), max_size=30).map(
    b"".join
)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.one_of(conditions(), conditions_with_regexes()), min_size=1, max_size=4),
    st.lists(haystacks, min_size=1, max_size=3),
)
def test_equals_a_plain_reading(given_conditions: list[Condition], given_haystacks: list[bytes]) -> None:
    usable = [c for c in given_conditions if anchors.possible(c)]
    for c in given_conditions:
        assert anchors.possible(c) == (anchors.choose(c) is not None)
    signatures = [Signature(f"s{i}", c) for i, c in enumerate(usable)]
    matcher = Image(image.build(signatures), level=USABLE[len(usable) % len(USABLE)])
    for data in given_haystacks:
        expected = [s.name for s, c in zip(signatures, usable, strict=True) if oracle.holds(c, variants_of(c), data)]
        assert sorted(matcher.scan(data)) == expected
        assert len(matcher.scan(data, first=True)) == min(1, len(expected))


def one(pattern: str, expression: str = "0", target: str = "any", **sub: object) -> Signature:
    parts = tuple(SubPattern(parse(text), **sub) for text in pattern.split(";"))  # type: ignore[arg-type]
    return Signature("c", Condition(parts, logic.parse(expression, len(parts))), target=target)


@pytest.mark.parametrize(
    ("pattern", "expression", "found", "missed"),
    [
        ("6162636465666768??6a", "0", b"..abcdefghXj", b"..abcdefghXk"),
        ("6162636465666768{2-4}6a6b", "0", b"abcdefgh...jk", b"abcdefgh.....jk"),
        ("6162636465666768*6a6b", "0", b"abcdefgh" + b"." * 9000 + b"jk", b"jkabcdefgh"),
        ("61626364(65|6667)6869", "0", b"abcdfghi", b"abcdhi"),
        ("6162636465!(66|67)68", "0", b"abcdexh", b"abcdefh"),
        ("616263646566676869;31323334", "0&1", b"1234abcdefghi", b"abcdefghi"),
        ("616263646566676869;31323334", "0&1=0", b"abcdefghi", b"1234abcdefghi"),
        ("616263646566676869", "0>1", b"abcdefghi" * 2, b"abcdefghi."),
        ("6161616161616161;62626262;63636363", "(0|1|2)>2,2", b"a" * 9 + b"bbbb", b"a" * 20),
    ],
)
def test_examples(pattern: str, expression: str, found: bytes, missed: bytes) -> None:
    matcher = Image(image.build([one(pattern, expression)]))
    assert matcher.scan(found) == ("c",)
    assert matcher.scan(missed) == ()


def test_a_condition_is_for_its_target() -> None:
    matcher = Image(image.build([one("616263646566676869??", target="png,gif")]))
    for target, names in (("png", ("c",)), ("gif", ("c",)), ("pe", ()), ("any", ())):
        assert matcher.scan(b"abcdefghi.", target) == names


def test_a_condition_is_for_its_container() -> None:
    """Also one that is looked for at its place, without an anchor."""
    parts = SubPattern(parse("616263646566676869??")), SubPattern(parse("6162"), start=Start("start"))
    for part in parts:
        matcher = Image(image.build([Signature("c", Condition((part,), logic.parse("0", 1), container="docx"))]))
        for container, names in (("docx", ("c",)), ("zip", ()), ("", ()), ("any", ())):
            assert matcher.scan(b"abcdefghi.", container=container) == names


def test_what_is_trusted_matches_nothing() -> None:
    data = b"a known good file with badword"
    import hashlib

    signatures = [
        Signature("bad", Literal(b"badword")),
        Signature("good", Digest("sha256", hashlib.sha256(data).digest(), len(data)), family="trusted"),
    ]
    matcher = Image(image.build(signatures))
    assert matcher.scan(data) == ()
    assert matcher.scan(data, first=True) == ()
    assert matcher.scan(data + b".") == ("bad",)
    stream = matcher.stream()
    stream.feed(data)
    assert stream.finish() == ()


def test_hostile_content_costs_a_pass_an_element() -> None:
    """Anchors at every octet, gaps that nest: doubling the content doubles the work."""
    matcher = Image(image.build([one("61616161616161{-200}61{-200}61{-200}(61|6161)(61|6161){-200}62636465")]))
    matcher.scan(b"a" * 1000)
    started = time.process_time()
    assert matcher.scan(b"a" * 1_000_000) == ()
    assert time.process_time() - started < 10  # quadratic work would take minutes


def test_a_stream_leaves_conditions_alone() -> None:
    matcher = Image(image.build([one("61626364656667??"), Signature("l", Literal(b"abcdefg"))]))
    stream = matcher.stream()
    stream.feed(b"abcdefgh")
    assert stream.finish() == ("l",)
    assert matcher.scan(b"abcdefgh") == ("c", "l")
