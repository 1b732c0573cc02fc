"""AV-02: the matcher finds what a plain search finds, however the octets are cut, on every instruction set."""

import ahocorasick
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cext.automaton import LEVELS, Image, dispatch, fold_name
from signatures import image
from signatures.model import FAMILIES, Digest, FileName, Literal, Signature
from tests.oracles import match_naive as oracle

USABLE = LEVELS[: LEVELS.index(dispatch()) + 1]
TARGETS = ("any", "html", "pe")

Patterns = list[tuple[bytes, bool]]

# Few letters, so that patterns overlap, repeat and are prefixes and suffixes of each other.
letters = st.sampled_from(b"aAbB\0\xff")
words = st.lists(letters, min_size=1, max_size=12).map(bytes)
longer = st.builds(lambda word, n, tail: word * n + tail, words, st.integers(1, 12), words)
patterns = st.lists(st.tuples(st.one_of(words, longer), st.booleans()), min_size=1, max_size=12)


@st.composite
def haystacks(draw: st.DrawFn, given_patterns: Patterns) -> bytes:
    """Octets that hold some of the patterns, some cut short, and noise between them."""
    pieces = draw(
        st.lists(st.one_of(words, st.sampled_from([p for p, _ in given_patterns]), st.just(b"a" * 40)), max_size=12)
    )
    data = b"".join(pieces)
    cut = draw(st.integers(0, 3))
    return data[cut : len(data) - cut] if draw(st.booleans()) else data


def signatures_of(given_patterns: Patterns, targets: tuple[str, ...] = ("any",)) -> list[Signature]:
    return [
        Signature(f"s{i}", Literal(octets, nocase), target=targets[i % len(targets)], family=FAMILIES[i % 3 == 2])
        for i, (octets, nocase) in enumerate(given_patterns)
    ]


def by_stream(
    matcher: Image, data: bytes, sizes: list[int], target: str = "any", family: str = "malware", size: int | None = None
) -> tuple[str, ...]:
    stream = matcher.stream(target, family=family, size=size)
    at, turn = 0, 0
    while at < len(data):
        step = sizes[turn % len(sizes)]
        stream.feed(data[at : at + step])
        at, turn = at + step, turn + 1
    assert stream.finish() == stream.finish()
    return stream.finish()


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_equals_a_plain_search_in_every_tier_and_cut(data: st.DataObject) -> None:
    given_patterns = data.draw(patterns)
    haystack = data.draw(haystacks(given_patterns))
    target = data.draw(st.sampled_from((*TARGETS, "zip")))
    sizes = data.draw(st.lists(st.integers(1, 50), min_size=1, max_size=4))
    signatures = signatures_of(given_patterns, TARGETS)
    for compiled in (
        image.build(signatures, filtered=False),
        image.build(signatures),
        image.build(signatures, long=True),
    ):
        for level in USABLE:
            matcher = Image(compiled, level=level)
            for family in ("malware", "spam", "any"):
                expected = oracle.scan(signatures, haystack, target, family)
                assert sorted(matcher.scan(haystack, target, family=family)) == list(expected)
                assert sorted(by_stream(matcher, haystack, sizes, target=target, family=family)) == list(expected)
                first = matcher.scan(haystack, target, first=True, family=family)
                assert len(first) == min(1, len(expected)) and set(first) <= set(expected)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_equals_pyahocorasick(data: st.DataObject) -> None:
    given_patterns = [(octets, False) for octets, _ in data.draw(patterns)]
    haystack = data.draw(haystacks(given_patterns))
    other = ahocorasick.Automaton()
    for octets, _ in given_patterns:
        other.add_word(octets.decode("latin-1"), octets)
    other.make_automaton()
    found = {octets for _, octets in other.iter(haystack.decode("latin-1"))}
    signatures = signatures_of(given_patterns)
    expected = sorted(s.name for s, (octets, _) in zip(signatures, given_patterns, strict=True) if octets in found)
    assert sorted(Image(image.build(signatures, filtered=False)).scan(haystack, family="any")) == expected
    assert sorted(Image(image.build(signatures)).scan(haystack, family="any")) == expected


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.binary(min_size=7, max_size=60), min_size=1, max_size=20, unique=True),
    st.integers(0, 300),
    st.integers(1, 400),
)
def test_each_literal_is_found_at_every_offset(literals: list[bytes], offset: int, step: int) -> None:
    signatures = [Signature(f"s{i:02}", Literal(octets)) for i, octets in enumerate(literals)]
    compiled = [image.build(signatures), image.build(signatures, long=True)]
    for matcher in [Image(one, level=level) for level in USABLE for one in compiled]:
        for s, octets in zip(signatures, literals, strict=True):
            data = bytes(offset) + octets + b"\1" * 70
            assert s.name in matcher.scan(data)
            assert s.name in matcher.scan(data[: offset + len(octets)])
            assert s.name in by_stream(matcher, data, [step])


@pytest.mark.parametrize("long", [True, False])
@pytest.mark.parametrize("level", USABLE)
@pytest.mark.parametrize("chunk", [1000, 65535, 65536, 65537, 70_001, 200_000])
def test_matches_across_borders_of_large_chunks(level: str, chunk: int, long: bool) -> None:
    literal = bytes(range(256)) * 2
    signatures = [
        Signature("filtered", Literal(literal)),
        Signature("automaton", Literal(b"z" + literal + b"z")),
        Signature("folded", Literal(b"Border-Marker", True)),
        Signature("short", Literal(b"!@#$")),
    ]
    matcher = Image(image.build(signatures, long=long), level=level)
    for shift in (0, 1, 3, 255, 511, 513):
        for octets in (literal, b"z" + literal + b"z", b"bORDER-mARKER", b"!@#$"):
            data = bytes(chunk - shift) + octets + bytes(2 * chunk)
            expected = oracle.scan(signatures, data)
            assert tuple(sorted(by_stream(matcher, data, [chunk]))) == expected
            assert tuple(sorted(by_stream(matcher, data, [7, chunk, chunk * 2]))) == expected


def test_overlapping_prefixes_cost_no_more() -> None:
    """AAAA... of every length, against megabytes of A: each pattern is looked at once, not at every octet."""
    signatures = [Signature(f"a{n}", Literal(b"a" * n)) for n in range(1, 250)]
    signatures += [Signature(f"b{n}", Literal(b"a" * n + b"b")) for n in range(1, 250)]
    signatures += [Signature(f"c{n}", Literal(b"B" + b"A" * n, True)) for n in range(1, 250)]
    for filtered, long in ((False, None), (True, None), (True, True)):
        matcher = Image(image.build(signatures, filtered=filtered, long=long))
        assert len(matcher.scan(b"a" * 500_000)) == 249
        assert len(matcher.scan(b"a" * 500_000 + b"b" + b"A" * 300)) == 3 * 249


def test_reports_a_family_only_when_asked() -> None:
    matcher = Image(
        image.build([Signature("m", Literal(b"same-text")), Signature("s", Literal(b"same-text"), "test", "spam")])
    )
    assert matcher.scan(b"..same-text..") == ("m",)
    assert matcher.scan(b"..same-text..", family="spam") == ("s",)
    assert matcher.scan(b"..same-text..", family="any") == ("m", "s")
    assert matcher.scan(b"..same-text..", first=True, family="spam") == ("s",)
    with pytest.raises(ValueError, match="family"):
        matcher.scan(b"", family="other")


def test_digests_match_by_size_and_without() -> None:
    data = b"content"
    signatures = [
        Signature("md5", Digest("md5", bytes.fromhex("9a0364b9e99bb480dd25e1f0284c8555"), 7)),
        Signature("sha1", Digest("sha1", bytes.fromhex("040f06fd774092478d450774f5ba30c5da78acc8"))),
        Signature("other", Digest("md5", bytes.fromhex("9a0364b9e99bb480dd25e1f0284c8555"), 8)),
        Signature("pe", Digest("sha1", bytes.fromhex("040f06fd774092478d450774f5ba30c5da78acc8")), target="pe"),
        Signature("empty", Digest("md5", bytes.fromhex("d41d8cd98f00b204e9800998ecf8427e"), 0)),
    ]
    matcher = Image(image.build(signatures))
    for target in ("any", "pe"):
        expected = oracle.scan(signatures, data, target)
        assert matcher.scan(data, target) == expected
        assert by_stream(matcher, data, [3], target=target) == expected
        assert by_stream(matcher, data, [3], target=target, size=7) == expected
    assert matcher.scan(b"") == ("empty",) == matcher.stream().finish()
    assert len(matcher.scan(data, first=True)) == 1


globs = st.text("ab.*?é", min_size=1, max_size=8).filter(lambda g: g.strip("*?. "))


@settings(max_examples=150, deadline=None)
@given(st.lists(globs, min_size=1, max_size=8), st.text("ab.é", max_size=12))
@example(["*a"], "a")
@example(["*a*b*a*b?"], "abababababaab")
def test_names_equal_a_plain_glob(given_globs: list[str], name: str) -> None:
    signatures = [Signature(f"g{i}", FileName((fold_name(g),))) for i, g in enumerate(given_globs)]
    folded = fold_name(name)
    expected = oracle.match_name(signatures, folded)
    assert tuple(sorted(Image(image.build(signatures)).match_name(name))) == expected


@pytest.mark.parametrize(
    "name",
    [
        "invoice.pdf.exe",
        "INVOICE.Pdf.ExE",
        "invoice.pdf          .exe",
        "invoice.pdf.exe...  ",
        "invoice.pdf.e\u200bxe",
        "invoice.pdf.exe\0.txt",
        "\u202einvoice.pdf.exe",
        "x" * 100_000 + ".pdf.exe",
        "C:\\temp\\invoice.pdf.exe",
        "\udcff.pdf.exe",
    ],
)
def test_names_that_deceive(name: str) -> None:
    matcher = Image(image.build([Signature("double", FileName(("*.pdf.exe",)))]))
    assert matcher.match_name(name) == ("double",)
    assert matcher.match_name(name + ".txt") == (("double",) if "\0" in name else ())


def test_hostile_names_end() -> None:
    matcher = Image(image.build([Signature("stars", FileName(("*a*a*a*a*a*a*b",)))]))
    assert matcher.match_name("a" * 1_000_000) == ()


def test_takes_any_buffer_and_ends_once() -> None:
    matcher = Image(image.build([Signature("s", Literal(b"findme!"))]))
    for kind in (bytes, bytearray, memoryview):
        assert matcher.scan(kind(b"..findme!")) == ("s",)
    stream = matcher.stream()
    stream.feed(bytearray(b"find"))
    stream.feed(b"")
    stream.feed(memoryview(b"me!"))
    assert stream.finish() == ("s",)
    with pytest.raises(RuntimeError):
        stream.feed(b"x")


def test_a_level_that_is_not_there_is_refused() -> None:
    compiled = image.build([])
    with pytest.raises(ValueError, match="abacus"):
        Image(compiled, level="abacus")
    assert [Image(compiled, level=level).level for level in USABLE] == list(USABLE)
