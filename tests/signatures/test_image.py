"""The image: one layout on both sides, the same octets for the same signatures, and nothing damaged gets in."""

import mmap
import re
import struct
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import cext
from cext.automaton import DamagedImage, Image, ImageError, NotAnImage, WrongVersion
from cext.crc32c import crc32c
from signatures import automaton, conditions, grammar, hexpattern, image, logic, model, names, prefilter
from signatures.model import Digest, FileName, Literal, Signature
from tests.fuzz.fuzz_image import ANNEXES, SIGNATURES, WHOLE, one_input

INCLUDE = Path(cext.__file__).parent / "include"
HEADER = (INCLUDE / "image.h").read_text()
FILTER = (INCLUDE / "match_filter.h").read_text()


def defined(name: str, text: str = HEADER) -> int:
    found = re.search(rf"#define {name} (\S+)", text)
    assert found, name
    return int(found[1].rstrip("ul"), 0)


def test_both_sides_have_the_same_constants() -> None:
    sections = {
        "STRINGS": image.STRINGS,
        "TARGETS": image.TARGET_NAMES,
        "SIGNATURES": image.SIGNATURES,
        "PROGRAMS": image.PROGRAMS,
        "PATTERNS": image.PATTERNS,
        "LITERALS": image.LITERALS,
        "AUTOMATON_EXACT": image.AUTOMATON_EXACT,
        "AUTOMATON_FOLDED": image.AUTOMATON_FOLDED,
        "FILTER_EXACT": image.FILTER_EXACT,
        "FILTER_FOLDED": image.FILTER_FOLDED,
        "DIGEST_SIZES": image.DIGEST_SIZES,
        "DIGESTS": image.DIGESTS,
        "SUFFIXES": image.SUFFIXES,
        "GLOBS": image.GLOBS,
        "LONG_FILTER_EXACT": image.LONG_FILTER_EXACT,
        "LONG_FILTER_FOLDED": image.LONG_FILTER_FOLDED,
        "TARGET_SETS": image.TARGET_SETS,
        "ELEMENTS": image.ELEMENTS,
        "SUBS": image.SUBS,
        "CONDITIONS": image.CONDITIONS,
        "EXPRESSIONS": image.EXPRESSIONS,
        "ALWAYS": image.ALWAYS,
        "SECTION_DIGESTS": image.SECTION_DIGESTS,
        "SECTION_SIZES": image.SECTION_SIZES,
        "TINY_FILTER_EXACT": image.TINY_FILTER_EXACT,
        "TINY_FILTER_FOLDED": image.TINY_FILTER_FOLDED,
        "ANNEXES": image.ANNEXES,
        "ANNEX_OCTETS": image.ANNEX_OCTETS,
        "IMPORT_DIGESTS": image.IMPORT_DIGESTS,
        "IMPORT_SIZES": image.IMPORT_SIZES,
    }
    assert {name: defined(f"MW_SECTION_{name}") for name in sections} == sections
    assert defined("MW_SECTION_KINDS") == max(sections.values()) + 1
    assert [defined(f"MW_OP_{name}") for name in ("END", "TARGET", "REPORT", "TOUCH")] == [
        image.OP_END,
        image.OP_TARGET,
        image.OP_REPORT,
        image.OP_TOUCH,
    ]
    elements = ("BYTES", "FOLDED", "MASKED", "GAP", "ONE_OF", "EDGE", "REGEX", "COMPARE", "PROGRAM", "AROUND")
    assert [defined(f"MW_ELEMENT_{name}") for name in elements] == [getattr(conditions, name) for name in elements]
    origins = ("ANYWHERE", "START", "END", "ENTRY", "SECTION", "LAST_SECTION", "IN_SECTION", "VERSION")
    assert [defined(f"MW_FROM_{name}") for name in origins] == list(range(len(model.ORIGINS)))
    assert [defined(f"MW_COMPARE_{form.upper()}") for form in hexpattern.FORMS] == list(range(4))
    assert defined("MW_COMPARE_LEN") == max(hexpattern.MOST_LEN.values())
    assert defined("MW_AROUND") == model.MOST_AROUND
    words = ("SUB", "AND", "OR", "EQUAL", "MORE", "LESS", "SKIP")
    assert [defined(f"MW_EXPR_{name}") for name in words] == [getattr(conditions, f"EXPR_{name}") for name in words]
    assert defined("MW_EXPR_WORDS") == conditions.MOST_WORDS
    assert defined("MW_EXPR_DEPTH") == logic.MOST_TERMS
    assert defined("MW_IMAGE_LAYOUT") == image.LAYOUT
    assert defined("MW_IMAGE_HEADER_LEN") == image.HEADER_LEN
    assert defined("MW_IMAGE_ALIGN") == image.ALIGN
    assert defined("MW_PATTERN_FOLDED") == image.PATTERN_FOLDED
    assert defined("MW_PATTERN_LEN") == grammar.PATTERN_LEN
    assert defined("MW_GLOB_LEN") == names.GLOB_LEN
    assert {k: defined(f"MW_DIGEST_{k.upper()}") for k in image.DIGEST_KINDS} == image.DIGEST_KINDS
    assert defined("MW_AC_DENSE") == automaton.DENSE
    assert defined("MW_AC_SPARSE") == automaton.SPARSE
    assert defined("MW_FILTER_BUCKET") == prefilter.BUCKET
    assert defined("MW_FILTER_LITERAL") == prefilter.LONGEST
    assert defined("MW_FILTER_STRIDE", FILTER) == prefilter.STRIDE
    assert defined("MW_LONG_STRIDE", FILTER) == prefilter.LONG_STRIDE
    windows = {int(window) for window in re.findall(r"_FILTER_EXACT, \d, (\d+)}", HEADER)}
    assert windows == {prefilter.window_len(tier) for tier in (prefilter.SHORT, prefilter.LONG, prefilter.TINY)}
    assert 1 << defined("MW_SLOT_TAG") == prefilter.MOST + 1 == defined("MW_SLOT_START") + 1
    assert [defined(f"MW_FAMILY_{f.upper()}") for f in model.FAMILIES] == [0, 1, 2]


def test_same_signatures_same_octets_in_any_order() -> None:
    assert image.build(SIGNATURES[::-1], annexes=ANNEXES, long=True) == WHOLE


def test_revision_is_of_the_content() -> None:
    other = image.build(SIGNATURES[:-1])
    assert re.fullmatch(r"[0-9a-f]{12}", Image(WHOLE).revision)
    assert Image(WHOLE).revision != Image(other).revision


def test_describe() -> None:
    info = image.describe(WHOLE)
    assert info.signatures == len(SIGNATURES) == Image(WHOLE).signatures
    assert info.families == {"malware": len(SIGNATURES)}
    assert info.kinds == {"literal": len(SIGNATURES) - 8, "digest": 4, "filename": 1, "condition": 3}
    assert info.targets == {"any": len(SIGNATURES) - 13, "pe": 13}
    assert info.revision == Image(WHOLE).revision
    assert info.size == len(WHOLE)
    assert set(info.sections) == set(range(1, image.IMPORT_SIZES + 1))
    assert 0 < info.filtered < info.patterns
    with pytest.raises(DamagedImage):
        image.describe(WHOLE[:-1])


def test_annexes_travel_with_the_signatures() -> None:
    """Also from a mapping at an odd address, which is copied."""
    octets = image.build(SIGNATURES, annexes={"recipes": b"abc", "empty": b"", "vectors": bytes(range(256))})
    for matcher in (Image(octets), Image(memoryview(b"x" + octets)[1:])):
        assert matcher.annexes == ("empty", "recipes", "vectors")
        found = [one for name in ("recipes", "empty", "vectors") if (one := matcher.annex(name)) is not None]
        assert [bytes(one) for one in found] == [b"abc", b"", bytes(range(256))]
        assert all(one.readonly for one in found)
        assert matcher.annex("others") is None
        assert matcher.scan(b"..no1case..") == ("n1",)
    assert Image(octets).revision != Image(WHOLE).revision
    assert Image(image.build(SIGNATURES)).annexes == ()


def test_an_annex_outside_its_section_is_damage() -> None:
    octets = bytearray(image.build([], annexes={"recipes": b"abcdefgh"}))
    at = octets.index(struct.pack("<QQ", 0, 8))
    for offset, length in ((0, 9), (9, 0), (1, 8), ((1 << 64) - 1, 8), (8, (1 << 64) - 8)):
        struct.pack_into("<QQ", octets, at, offset, length)
        struct.pack_into("<I", octets, 12, crc32c(bytes(octets[16:])))
        with pytest.raises(DamagedImage):
            Image(bytes(octets))


def test_an_image_without_signatures_is_one() -> None:
    empty = Image(image.build([]))
    assert empty.scan(b"anything") == ()
    assert empty.match_name("a.exe") == ()
    assert empty.stream().finish() == ()


def test_a_mapped_file_is_used_in_place(tmp_path: Path) -> None:
    path = tmp_path / "definitions.mwi"
    path.write_bytes(WHOLE)
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    matcher = Image(mapped)
    assert matcher.scan(b"..no1case..") == ("n1",)
    with pytest.raises(BufferError):  # it is held, not copied
        mapped.close()


def test_an_image_at_an_odd_address_works() -> None:
    assert Image(memoryview(b"x" + WHOLE)[1:]).scan(b"..no1case..") == ("n1",)


@pytest.mark.parametrize("octets", [b"", b"M", b"MWIMAGE", b"PK\3\4" * 50, bytes(1000)])
def test_what_is_no_image(octets: bytes) -> None:
    with pytest.raises(NotAnImage):
        Image(octets)


def test_another_layout_is_another_version() -> None:
    with pytest.raises(WrongVersion):
        Image(WHOLE[:8] + struct.pack("<I", image.LAYOUT + 1) + WHOLE[12:])


def test_an_unknown_section_is_another_version() -> None:
    changed = bytearray(WHOLE)
    count = struct.unpack_from("<I", changed, 24)[0]
    struct.pack_into("<I", changed, image.HEADER_LEN + 24 * (count - 1), 99)
    struct.pack_into("<I", changed, 12, crc32c(changed[16:]))
    with pytest.raises(WrongVersion):
        Image(changed)


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_one_changed_octet_is_noticed(at: int, change: int) -> None:
    changed = bytearray(WHOLE)
    changed[at] ^= change
    with pytest.raises(ImageError):
        Image(changed)


@given(st.integers(0, len(WHOLE) - 1))
def test_a_cut_image_is_refused(length: int) -> None:
    with pytest.raises(ImageError):
        Image(WHOLE[:length])
    with pytest.raises(ImageError):
        Image(WHOLE + bytes(length + 1))


@settings(max_examples=500, deadline=None)
@given(st.binary(min_size=4, max_size=30))
@example(b"\0" * 4)
def test_damage_under_a_right_checksum_never_leads_astray(data: bytes) -> None:
    one_input(data)


def test_every_instruction_is_checked_before_it_can_run() -> None:
    """Each word of each program set to nonsense: refused, or harmless."""
    table = struct.iter_unpack("<I4xQQ", WHOLE[image.HEADER_LEN : image.HEADER_LEN + 24 * 26])
    offset, length = next((o, n) for kind, o, n in table if kind == image.PROGRAMS)
    for at in range(offset, offset + length, 8):
        for bad in (
            (7, 0, 0),
            (image.OP_REPORT, 0, 1 << 30),
            (image.OP_TARGET, 60_000, 1),
            (image.OP_TARGET, 0, 1 << 31),
        ):
            changed = bytearray(WHOLE)
            struct.pack_into("<BxHI", changed, at, *bad)
            struct.pack_into("<I", changed, 12, crc32c(changed[16:]))
            with pytest.raises(DamagedImage):
                Image(changed)


def test_one_literal_of_several_signatures_is_one_pattern() -> None:
    signatures = [
        Signature("a", Literal(b"the same text")),
        Signature("b", Literal(b"the same text"), target="pe"),
        Signature("c", Literal(b"THE SAME TEXT", True)),
        Signature("d", Literal(b"12345678", True)),
        Signature("e", Literal(b"12345678")),
    ]
    compiled = image.build(signatures)
    assert image.describe(compiled).patterns == 3
    assert Image(compiled).scan(b"the same text 12345678") == ("a", "c", "d", "e")
    assert Image(compiled).scan(b"the same text", "pe") == ("a", "b", "c")


def test_full_slots_leave_the_rest_to_the_automaton() -> None:
    """Literals that differ only outside of their one possible window share a slot; each is found all the same."""
    literals = [b"\0" * 12 + bytes((n,)) for n in range(40)] + [bytes((n,)) + b"\0" * 12 for n in range(1, 40)]
    signatures = [Signature(f"s{n:02}", Literal(octets)) for n, octets in enumerate(literals)]
    compiled = [Image(image.build(signatures)), Image(image.build(signatures, long=True))]
    for n, octets in enumerate(literals):
        assert all(f"s{n:02}" in one.scan(b"\7" * 9 + octets + b"\7") for one in compiled)


def test_a_long_run_of_one_octet_goes_to_the_automaton() -> None:
    """Its windows would survive at every position of such a run, each time with a long comparison."""
    run = Signature("run", Literal(b"\x90" * 100))
    info = image.describe(image.build([run, Signature("edge", Literal(b"\x90" * 100 + b"edge of it"))]))
    assert (info.patterns, info.filtered) == (2, 1)
    assert Image(image.build([run])).scan(b"." + b"\x90" * 100) == ("run",)


def test_kinds_go_where_they_belong() -> None:
    info = image.describe(
        image.build(
            [
                Signature("short", Literal(b"abc")),
                Signature("long", Literal(bytes(range(256)) * 3)),
                Signature("digest", Digest("md5", bytes(16))),
                Signature("name", FileName(("*.exe", "a*.exe"))),
            ]
        )
    )
    assert info.filtered == 0
    assert image.AUTOMATON_EXACT in info.sections
    assert image.FILTER_EXACT not in info.sections
    assert info.sections[image.SUFFIXES] == info.sections[image.GLOBS] == 16
