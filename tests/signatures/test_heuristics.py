"""Sources of heuristics: every mistake is told at once with its line; what is compiled is what the engine reads."""

import ast
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cext.automaton import Image
from engine.config import HeuristicsLevel
from engine.heuristics import rules
from engine.heuristics.rules import Rules, rules_of
from signatures import compile as compiler
from signatures import heuristics
from signatures.compile import SourceErrors, compile_sources, read_all, starter, weighing
from signatures.heuristics import grammar, model

MARK = '[[mark]]\nname = "code.test"\ntarget = "script"\ntext = "Test word"\n'
FAMILY = (
    '[[family]]\nname = "Test"\nof = ["script"]\nneeds = ["code.test|name.gap"]\nlow = 0\nmedium = 90\nhigh = 50\n'
    'reasons = [\n  { feature = "code.test", points = 50, words = "a word" },\n'
    '  { feature = "text.size", least = 100, most = 200, points = 40, words = "a length" },\n]\n'
)


def compiled(folder: Path, text: str) -> bytes:
    (folder / "h.toml").write_text(text)
    return compile_sources([folder / "h.toml"])


def read(folder: Path, text: str) -> Rules:
    found = rules_of(Image(compiled(folder, text)))
    assert found is not None
    return found


def errors(folder: Path, text: str) -> list[tuple[int, str]]:
    with pytest.raises(SourceErrors) as caught:
        compiled(folder, text)
    return [(one.line, one.message) for one in caught.value.errors]


def test_what_ships_compiles_and_every_vector_is_as_it_should_be() -> None:
    """AV-03"""
    assert set(weighing()) < set(starter())
    assert compiler.test_vectors(weighing()) == []
    found = read_all(weighing())
    assert not found.signatures
    used = {one.feature for family in found.families for one in family.reasons}
    used |= {one for family in found.families for either in family.needs for one in either}
    assert {mark.name for mark in found.marks} <= used | {
        "code.net",
        "code.save",
    }  # marks that nothing weighs say nothing


def test_points_reach_from_rules_to_verdicts(tmp_path: Path) -> None:
    """AV-03"""
    found = read(tmp_path, MARK + FAMILY)
    assert found.marks.scan(b"a Test word", "script") == ("code.test",)
    for features, level, points in (
        ({"code.test": 1}, HeuristicsLevel.HIGH, 50),
        ({"code.test": 1, "text.size": 100}, HeuristicsLevel.MEDIUM, 90),
        ({"code.test": 1, "text.size": 200}, HeuristicsLevel.HIGH, 90),
    ):
        (one,) = found.judge("script", features, level)
        assert (one.name, one.points) == ("Heuristic.Test", points)
    for features, level in (
        ({"code.test": 1}, HeuristicsLevel.MEDIUM),
        ({"code.test": 1, "text.size": 99}, HeuristicsLevel.MEDIUM),
        ({"code.test": 1, "text.size": 201}, HeuristicsLevel.MEDIUM),
        ({"code.test": 1, "text.size": 150}, HeuristicsLevel.LOW),
        ({"code.test": 1, "text.size": 150}, HeuristicsLevel.OFF),
        ({"text.size": 150}, HeuristicsLevel.HIGH),
    ):
        assert found.judge("script", features, level) == []
    assert found.judge("html", {"code.test": 1, "text.size": 150}, HeuristicsLevel.HIGH) == []


def test_all_mistakes_are_told_with_their_lines(tmp_path: Path) -> None:
    """AV-03"""
    text = (
        '[[mark]]\nname = "Bad"\nfamily = "spam"\ntext = "Test word"\n'
        '[[mark]]\nname = "name.gap"\ntext = "Test word"\n'
        '[[mark]]\nname = "code.file"\nfilename = "*.exe"\n'
        '[[family]]\nname = "test"\nof = ["scripts"]\nneeds = ["code.tset"]\nlow = 10\nmedium = 20\nhigh = "x"\n'
        'reasons = [\n  { feature = "pe.nothing", points = 0, words = "" },\n  { points = 1 },\n]\nwrong = 1\n'
        '[[family]]\nname = "Good"\nof = ["script"]\nneeds = ["name.gap"]\nlow = 10\nmedium = 20\nhigh = 5\n'
        'reasons = [{ feature = "name.gap", points = 1, words = "w", least = 3, most = 2, more = 1 }]\n'
    )
    told = errors(tmp_path, text)
    assert told == [
        (2, '"Bad" is no name of a mark'),
        (3, 'a mark has no "family"'),
        (6, '"name.gap" is found by code'),
        (10, "a mark looks into content"),
        (12, "family without a name"),
        (13, 'unknown word "scripts" in "of"'),
        (14, 'nothing finds "code.tset"'),
        (17, '"high" is not a number of points'),
        (18, "reason without a feature"),
        (19, 'no words for "pe.nothing"'),
        (19, 'nothing finds "pe.nothing"'),
        (19, 'points of "pe.nothing" are not a number'),
        (22, 'unknown key "wrong"'),
        (27, "a higher level must need fewer points"),
        (30, '"least" and "most" of "name.gap" are no range'),
        (30, 'unknown key "more" of a reason'),
    ]


def test_names_are_taken_once_and_counts_are_bounded(tmp_path: Path) -> None:
    assert errors(tmp_path, MARK + FAMILY + FAMILY) == [(len(MARK.splitlines()) + 13, 'name "Test" is taken')]
    many = "".join(FAMILY.replace('"Test"', f'"Test{number}"') for number in range(grammar.MOST_FAMILIES + 1))
    assert errors(tmp_path, MARK + many)[0][1] == f"more than {grammar.MOST_FAMILIES} families"
    few = "".join(FAMILY.replace('"Test"', f'"Test{number}"') for number in range(grammar.MOST_FAMILIES))
    assert len(read(tmp_path, MARK + few).families["script"]) == grammar.MOST_FAMILIES
    reason = '{ feature = "code.test", points = 1, words = "w" }, '
    for count, message in ((grammar.MOST_REASONS, ""), (grammar.MOST_REASONS + 1, '"reasons" is not a list')):
        head = FAMILY.partition("reasons")[0] + f"reasons = [{reason * count}]\n"
        if message:
            assert errors(tmp_path, MARK + head)[0][1].startswith(message)
        else:
            assert read(tmp_path, MARK + head)


def test_sources_without_families_have_no_heuristics(tmp_path: Path) -> None:
    assert rules_of(Image(compiled(tmp_path, '[[signature]]\nname = "A"\ntext = "some text"\n'))) is None


def test_compiler_and_engine_declare_the_same() -> None:
    assert (model.ANNEX, model.VERSION, model.MOST) == (rules.ANNEX, rules.VERSION, rules.MOST)
    for ours, theirs in ((model.Reason, rules.Reason), (model.Family, rules.Family)):
        assert ours.__struct_fields__ == theirs.__struct_fields__
        assert ours.__struct_defaults__ == theirs.__struct_defaults__
    assert model.Annex.__struct_fields__ == rules._Annex.__struct_fields__


def test_features_that_the_compiler_knows_are_those_that_code_finds() -> None:
    """Every name of a feature in the engine's room, and no other."""
    subjects = {one.partition(".")[0] for one in model.FEATURES}
    found = set()
    for path in (Path(rules.__file__).parent).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                subject, dot, rest = node.value.partition(".")
                if dot and subject in subjects and rest and " " not in rest:
                    found.add(node.value)
    from engine.heuristics.watch import _REMARKS

    assert found | _REMARKS == model.FEATURES


@given(st.binary(max_size=300) | st.builds(lambda rest: heuristics.annex([], [])[:-1] + rest, st.binary(max_size=9)))
def test_an_annex_of_any_octets_is_read_or_refused(octets: bytes) -> None:
    try:
        Rules(octets)
    except ValueError:
        return


def test_an_annex_that_is_too_long_is_not_even_read() -> None:
    with pytest.raises(ValueError, match="too long"):
        Rules(bytes(rules.MARKS_LEN + 1))
    with pytest.raises(ValueError, match="heuristics of the definitions: "):
        Rules(bytes(rules.MARKS_LEN))


def test_another_version_or_too_many_points_are_refused() -> None:
    good = model.Family("Test", ("script",), (("a",),), 1, 1, 1, (model.Reason("a", 1, "w"),))
    assert Rules(heuristics.annex([], [good])).families
    with pytest.raises(ValueError, match="version"):
        Rules(msgspec.msgpack.encode(model.Annex((good,), b"", rules.VERSION + 1)))
    for bad in (
        msgspec.structs.replace(good, low=20_000),
        msgspec.structs.replace(good, name="x" * 99),
        msgspec.structs.replace(good, reasons=(model.Reason("a", 1, "w"),) * 61),
    ):
        with pytest.raises(ValueError, match="heuristics"):
            Rules(heuristics.annex([], [bad]))
