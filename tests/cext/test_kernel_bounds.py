"""PROC-23: bounds of the kernels, each crossed by one. They are built in, so inputs are as long as it takes."""

import struct

import pytest

from cext import pdf, rtf
from cext.automaton import NAME_LEN, fold_name, program_of
from cext.expression import LONGEST, Expression
from tests.signatures import programs


def _resources(types: int, leaves: int, names: list[str]) -> bytes:
    """A program whose version information is the last of so many kinds of resources, and has so many leaves."""
    contents = [programs.version({name: "v"}) for name in names]
    root = bytes(12) + struct.pack("<HH", 0, types)
    names_at = 16 + 8 * types
    languages_at = names_at + 24
    leaves_at = languages_at + 16 + 8 * leaves
    root += struct.pack("<II", 1, 0) * (types - 1) + struct.pack("<II", 16, names_at | 1 << 31)
    root += bytes(12) + struct.pack("<HHII", 0, 1, 1, languages_at | 1 << 31)
    root += bytes(12) + struct.pack("<HH", 0, leaves)
    root += b"".join(struct.pack("<II", number, leaves_at + 16 * number) for number in range(leaves))
    at = 0x1000 + leaves_at + 16 * leaves
    for content in contents:
        root += struct.pack("<4I", at, len(content), 0, 0)
        at += len(content)
    program = bytearray(programs.pe(text=root + b"".join(contents)))
    struct.pack_into("<II", program, 64 + 24 + 96 + 16, 0x1000, len(root))
    return bytes(program)


def _versions(program: bytes) -> int:
    known = program_of(program)
    assert known is not None
    return len(known[3])


def test_resources_of_a_program() -> None:
    """MW_PE_ENTRIES, MW_PE_RESOURCES, MW_VERSION_KEYS."""
    assert [_versions(_resources(count, 1, ["Name"])) for count in (256, 257)] == [1, 0]
    assert [_versions(_resources(1, count, [f"N{one}" for one in range(count)])) for count in (16, 17)] == [16, 16]
    counts = [_versions(programs.pe(versions={f"Name{one:03}": "v" for one in range(count)})) for count in (128, 129)]
    assert counts == [128, 128]


def test_sections_of_a_program() -> None:
    """MW_PE_SECTIONS: with more it is no program; MW_PROGRAM_SECTIONS."""
    program = bytearray(programs.pe(text=bytes(8192)))
    for count, known in ((96, True), (97, False)):
        struct.pack_into("<H", program, 64 + 6, count)
        assert (program_of(bytes(program)) is not None) == known
    elf = bytearray(programs.elf()[0]) + bytes(64 * 300)
    for count in (256, 257):
        struct.pack_into("<H", elf, 60, count)
        known_elf = program_of(bytes(elf))
        assert known_elf is not None and len(known_elf[2]) == 256


def test_segments_and_commands() -> None:
    """MW_ELF_SEGMENTS, MW_MACHO_COMMANDS: the entry point is told by the last of so many."""
    for count, told in ((256, True), (257, False)):
        content, *_ = programs.elf()
        elf = bytearray(content)
        segment = bytes(elf[64:120])
        struct.pack_into("<Q", elf, 32, len(elf))
        struct.pack_into("<H", elf, 56, count)
        known = program_of(bytes(elf) + bytes(56) * (count - 1) + segment)
        assert known is not None and (known[1] is not None) == told
        commands = struct.pack("<II", 0, 8) * (count - 1) + struct.pack("<IIQQ", 0x80000028, 24, 32, 0)
        macho = struct.pack("<8I", 0xFEEDFACF, 0x01000007, 3, 2, count, len(commands), 0, 0) + commands
        known = program_of(macho)
        assert known is not None and (known[1] == 32) == told


def _imported(libraries: dict[str, list[str | int]]) -> bytes:
    known = program_of(programs.pe(imports=libraries))
    assert known is not None
    return known[4]


def test_imports_of_a_program() -> None:
    """MW_IMPORT_LIBRARIES, MW_IMPORT_FUNCTIONS, MW_IMPORT_NAME, MW_IMPORTS_LEN."""
    for count in (1024, 1025):
        assert _imported({f"l{one:04}": ["F"] for one in range(count)}).count(b",") == 1023
        assert _imported({"l": list(range(1, count + 1))}).count(b",") == 1023
    assert [len(_imported({"l": ["f" * length]})) for length in (256, 257)] == [2 + 256, 2 + 256]
    one = 3 + 253  # octets of a function with its library, and a comma
    full: dict[str, list[str | int]] = {library: ["f" * 253] * 1024 for library in "abcd"}
    for last, length in ((253, (1 << 20) - 1), (254, 1 << 20), (255, 0)):
        assert one * 4096 == 1 << 20
        full["d"][-1] = "f" * last
        assert len(_imported(full)) == length


def test_a_control_word() -> None:
    """MW_RTF_WORD_LEN: letters that belong to a word of RTF."""
    for length, content in ((32, b"A"), (33, b"A\xbb")):
        text = b"{\\rtf1{\\objdata 41\\" + b"b" * length + b"-\nb}}"
        assert rtf.objects(text, 0, 1 << 16, 10)[0][0][1] == content


def test_a_row_of_a_predictor() -> None:
    """MW_PDF_COLORS, MW_PDF_ROW."""
    assert [pdf.unpredict(b"\0data", 12, colors, 8, 1) is None for colors in (64, 65)] == [False, True]
    assert [pdf.unpredict(b"\0data", 12, 1, 8, 1 << 26 | one) is None for one in (0, 1)] == [False, True]


def test_a_text_for_an_expression() -> None:
    """MW_EXPRESSION_LEN: LONGEST octets of a text that are looked at."""
    known = Expression(b"b")
    assert [known.search(b"a" * (LONGEST - 1 + more) + b"b") is not None for more in (0, 1)] == [True, False]


def test_a_name() -> None:
    """automaton.NAME_LEN: characters of a name that are looked at, from its end."""
    assert [fold_name("a" + "b" * more).startswith("a") for more in (NAME_LEN - 1, NAME_LEN)] == [True, False]


@pytest.mark.parametrize("colors", [64, 65])
def test_components_of_one_bit(colors: int) -> None:
    """MW_PDF_COLORS: of which each is held."""
    assert (pdf.unpredict(bytes(64), 2, colors, 1, 8) is None) == (colors > 64)
