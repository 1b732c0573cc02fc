"""Recipes of repair: what file infectors did is undone, as the definitions say (AV-13). Specimens: specimens.py."""

import email
import io
import struct
import zipfile

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cext.automaton import Image
from engine.config import Settings
from engine.repair import recipes
from engine.repair.cleaners import repair
from engine.repair.program import SECTIONS, NoProgram, Program
from engine.repair.recipes import BadRecipes, Instruction, Recipe, Step, Term, load, run
from engine.rewrite import spliced
from engine.scan.outcome import Fate
from engine.scan.service import examine
from signatures import image
from signatures import recipes as language
from signatures.model import Literal, Signature
from tests.engine.repair.specimens import ALIGNMENT, CLEAN, INFECTED, MARK, RECIPES, program
from tests.engine.scan.material import Clock, message, zipped

NAME = "Test.Infector"


def recipe(*steps: str) -> Recipe:
    """As the gateway reads it out of an image."""
    made = language.Recipe(NAME, tuple(language.instruction(step) for step in steps))
    return load(language.annex([made]))[NAME]


@pytest.mark.parametrize("way", RECIPES)
def test_the_program_is_as_it_was(way: str) -> None:
    """AV-13."""
    infected = INFECTED[way]
    assert MARK in infected and infected != CLEAN
    assert run(infected, recipe(*RECIPES[way])) == CLEAN


@pytest.mark.parametrize("way", RECIPES)
def test_what_does_not_fit_is_not_repaired(way: str) -> None:
    made = recipe(*RECIPES[way])
    assert run(b"", made) is None and run(b"MZ", made) is None
    for other, infected in INFECTED.items():
        assert other == way or run(infected, made) is None, other


@pytest.mark.parametrize("way", RECIPES)
def test_an_infected_program_arrives_as_it_was(way: str) -> None:
    """AV-04, AV-09, AV-13: by definitions that carry the recipe; a program without one is deleted."""
    steps = tuple(language.instruction(step) for step in RECIPES[way])
    known = Signature(NAME, Literal(MARK), repair=steps)
    annex = language.annex([language.Recipe(known.name, known.repair)])
    data = message("t\n", [("x.zip", zipped({"a.exe": INFECTED[way], "b.txt": b"b"})), ("c.exe", INFECTED[way])])
    outcome = examine(data, Image(image.build([known], annexes={recipes.ANNEX: annex})), Settings(), clock=Clock())
    assert [(one.part, one.fate, one.done) for one in outcome.infected] == [
        ("2/x.zip/a.exe", Fate.REPAIRED, (f"code of {NAME}",)),
        ("3", Fate.REPAIRED, (f"code of {NAME}",)),
    ]
    _, archive, alone = [
        one.get_payload(decode=True)
        for one in email.message_from_bytes(spliced(data, outcome.splices)).walk()
        if not one.is_multipart()
    ]
    assert isinstance(archive, bytes) and zipfile.ZipFile(io.BytesIO(archive)).read("a.exe") == alone == CLEAN
    without = examine(data, Image(image.build([known])), Settings(), clock=Clock())
    assert [one.fate for one in without.infected] == [Fate.DELETED, Fate.DELETED]


def test_recipes_come_before_the_cleaner() -> None:
    """AV-13: what has no recipe is left to the cleaner of its kind."""
    page = b"<html><p>a</p>" + MARK + b"<script>b</script>"
    known = {NAME: recipe(f"expect {MARK.hex()} at 14", f"cut 14 to {14 + len(MARK)}")}
    found = repair(page, "html", (NAME,), known)
    assert found is not None and found.content == b"<html><p>a</p><script>b</script>"
    found = repair(page, "html", (NAME, "Other"), known)
    assert found is not None and found.content == b"<html><p>a</p>" and found.done == (f"code of {NAME}", "scripts")
    found = repair(page, "data", (NAME, "Other"), known)
    assert found is not None and b"<script>" in found.content
    assert repair(page, "data", ("Other",), known) is None


# --- steps and terms, one by one ------------------------------------------------------------------

TEXT = bytes(range(64))


@pytest.mark.parametrize(
    ("step", "result"),
    [
        ("copy 8 to 0 length 4", TEXT[8:12] + TEXT[4:]),
        ("copy 0 to 2 length 4", TEXT[:2] + TEXT[:4] + TEXT[6:]),
        ("copy end - 4 to (1 + 1) length 4", TEXT[:2] + TEXT[-4:] + TEXT[6:]),
        ("write cafe to 0x10", TEXT[:16] + b"\xca\xfe" + TEXT[18:]),
        ("xor 255 from 0 length 2", b"\xff\xfe" + TEXT[2:]),
        ("xor 0x1ff from 0 length 1", b"\xff" + TEXT[1:]),
        ("set u8 at 0 = 0x1234", b"\x34" + TEXT[1:]),
        ("set u16 at 0 = u16(2) ^ 0xffff", b"\xfd\xfc" + TEXT[2:]),
        ("set u32 at 1 = 0 - 1", TEXT[:1] + b"\xff" * 4 + TEXT[5:]),
        ("set u8 at u8(9) & 8 = 7", TEXT[:8] + b"\x07" + TEXT[9:]),
        ("cut 0 to u8(5)", TEXT[5:]),
        ("cut end to end", TEXT),
        ("cut end - 2 - 2 to end", TEXT[:-4]),
        ("cut 0 to end", None),
        ("cut 5 to 4", None),
        ("cut 0 to end + 1", None),
        ("copy 0 to end - 3 length 4", None),
        ("copy 0 to 0 length 0 - 1", None),
        ("write cafe to end - 1", None),
        ("expect 0001 at 1", None),
        ("expect 0001 at 0", TEXT),
        ("set u8 at 0 - 1 = 1", None),
        ("set u8 at u32(end - 3) = 1", None),
        ("set u8 at entry = 1", None),
        ("entry = 0", None),
        ("remove section(last)", None),
    ],
)
def test_each_step(step: str, result: bytes | None) -> None:
    assert run(TEXT, recipe(step)) == result


@pytest.mark.parametrize(
    ("step", "at", "value"),
    [
        ("entry = section_rva(1)", 0x40 + 40, struct.pack("<L", 0x2000)),
        ("set u32 at 4 = entry", 4, struct.pack("<L", ALIGNMENT * 2)),
        ("set u32 at 4 = section_end(0) ^ section(1)", 4, bytes(4)),
        ("set u32 at 4 = file(0x2005)", 4, struct.pack("<L", ALIGNMENT * 3 + 5)),
        ("set u32 at 4 = rva(end - 1)", 4, struct.pack("<L", 0x2000 + ALIGNMENT - 1)),
        ("set u32 at 4 = section(last)", 4, struct.pack("<L", ALIGNMENT * 3)),
    ],
)
def test_places_in_programs(step: str, at: int, value: bytes) -> None:
    assert run(CLEAN, recipe(step)) == CLEAN[:at] + value + CLEAN[at + len(value) :]


@pytest.mark.parametrize(
    "step",
    [
        "entry = 0x9000",
        "set u8 at section(2) = 0",
        "set u8 at file(0) = 0",
        "set u8 at rva(end) = 0",
        "cut rva(0) to 1",
    ],
)
def test_places_that_a_program_has_not(step: str) -> None:
    assert run(CLEAN, recipe(step)) is None


def test_a_section_that_others_lie_behind_stays() -> None:
    octets = bytearray(CLEAN)
    header = Program(octets).section(0).header
    octets[header : header + 80] = octets[header + 40 : header + 80] + octets[header : header + 40]
    with pytest.raises(NoProgram):
        Program(octets).remove_last_section()
    with pytest.raises(NoProgram):
        Program(bytearray(program((b"only one",)))).remove_last_section()


# --- what the image holds -------------------------------------------------------------------------


def test_the_compiler_and_the_gateway_mean_the_same() -> None:
    """What one encodes the other decodes, word for word."""
    assert {one.name: one.value for one in language.Term} == {one.name: one.value for one in Term}
    assert {one.name: one.value for one in language.Step} == {one.name: one.value for one in Step}
    assert (language.ANNEX, language.STEPS, language.TERMS, language.OCTETS) == (
        recipes.ANNEX, recipes.STEPS, recipes.TERMS, recipes.OCTETS,
    )  # fmt: skip
    for made in (language.Instruction, language.Recipe, language.Recipes):
        assert made.__struct_fields__ == getattr(recipes, made.__name__).__struct_fields__


def test_an_annex_of_another_make_is_refused() -> None:
    assert load(None) == {}
    steps = [
        Instruction(99),
        Instruction(Step.CUT, ()),
        Instruction(Step.WRITE, (((0, 0),),), bytes(recipes.OCTETS + 1)),
    ]
    steps.append(Instruction(Step.WRITE, (((0, 0),) * (recipes.TERMS + 1),)))
    for step in steps:
        with pytest.raises(BadRecipes):
            load(msgspec.msgpack.encode([[["a", [step]]]]))
    load(msgspec.msgpack.encode([[["a", [Instruction(Step.WRITE, (((0, 0),) * recipes.TERMS,))] * recipes.STEPS]]]))
    others: tuple[object, ...] = ([["a", [Instruction(Step.REMOVE_SECTION)] * (recipes.STEPS + 1)]], 5, [[]])
    for many in others:
        with pytest.raises(BadRecipes):
            load(msgspec.msgpack.encode([many]))
    with pytest.raises(BadRecipes):
        load(b"\x91" * 5000)
    with pytest.raises(BadRecipes):
        load(b"\x91\x91\x92\xa1\xff\x90")  # a name that is no text


_TERMS = st.tuples(st.integers(-1, 20), st.integers(-(1 << 33), 1 << 33))
_EXPRESSIONS = st.lists(st.lists(_TERMS, max_size=6).map(tuple), min_size=3, max_size=3)
_STEPS = st.builds(
    lambda step, terms, octets: Instruction(step, tuple(terms[: recipes._OPERANDS[step]]), octets),
    st.sampled_from(Step),
    _EXPRESSIONS,
    st.binary(max_size=9),
)


@given(st.lists(_STEPS, max_size=6), st.sampled_from([b"", TEXT, CLEAN, CLEAN[:300]]))
def test_whatever_the_steps_nothing_is_raised_nor_longer(steps: list[Instruction], content: bytes) -> None:
    made = run(content, Recipe("a", tuple(steps)))
    assert made is None or len(made) <= len(content)


def test_sections_of_a_program() -> None:
    """AV-13: program.SECTIONS, crossed by one: what has more is no program to Windows, nor to recipes."""
    octets = bytearray(program() + bytes(40 * SECTIONS))
    at = octets.index(b"PE\0\0") + 6
    for count in (SECTIONS, SECTIONS + 1):
        octets[at : at + 2] = struct.pack("<H", count)
        if count == SECTIONS:
            assert Program(octets).section(count - 1).header > 0
        else:
            with pytest.raises(NoProgram):
                Program(octets)
