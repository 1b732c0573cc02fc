"""AV-02: what signatures ask of programs: version information, imports, sections, entry points, whatever the format."""

import hashlib
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cext.automaton import Image, program_of
from signatures import image
from signatures.clamav.collect import collect
from tests.signatures import programs


def found(tmp_path: Path, line: str, suffix: str, data: bytes, target: str) -> bool:
    database = tmp_path / f"a.{suffix}"
    database.write_text(line + "\n")
    taken = collect([database])
    assert not taken.refused
    return bool(Image(image.build(taken.signatures)).scan(data, target))


def wide(text: str) -> str:
    return text.encode("utf-16-le").hex()


def test_version_information(tmp_path: Path) -> None:
    """Only where a name of it begins, not wherever the same octets stand."""
    data = programs.pe(versions={"CompanyName": "Nobody Ltd", "ProductName": "Nothing"})
    line = f"V:1:VI:{wide('CompanyName')}{{-8}}{wide('Nobody')}"
    assert found(tmp_path, line, "ndb", data, "pe")
    assert not found(tmp_path, line.replace(wide("Nobody"), wide("Somebody")), "ndb", data, "pe")
    assert not found(tmp_path, f"V:1:VI:{wide('ompanyName')}", "ndb", data, "pe")
    assert not found(tmp_path, line, "ndb", data.replace(b"V\0S\0_\0V", b"X\0S\0_\0V"), "pe")
    assert found(tmp_path, line.replace("VI", "*"), "ndb", data.replace(b"V\0S\0_\0V", b"X\0S\0_\0V"), "pe")
    known = program_of(data)
    assert known and [data[at : at + 8] for at in known[3]] == [b"C\0o\0m\0p\0", b"P\0r\0o\0d\0"]


@pytest.mark.parametrize("is_wide", [False, True])
def test_imports(tmp_path: Path, is_wide: bool) -> None:
    data = programs.pe(
        imports={"KERNEL32.dll": ["ExitProcess", 7], "WS2_32.dll": [23], "odd.name.x": ["F"]}, wide=is_wide
    )
    spelling = b"kernel32.exitprocess,kernel32.ord7,ws2_32.socket,odd.name.x.f"
    known = program_of(data)
    assert known and known[4] == spelling
    for digest in (hashlib.md5(spelling), hashlib.sha1(spelling), hashlib.sha256(spelling)):
        for length in (len(spelling), "*"):
            assert found(tmp_path, f"{digest.hexdigest()}:{length}:I:73", "imp", data, "pe")
        assert not found(tmp_path, f"{digest.hexdigest()}:{len(spelling) + 1}:I:73", "imp", data, "pe")
        assert not found(tmp_path, f"{digest.hexdigest()}:*:I:73", "imp", programs.pe(), "pe")


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("is_wide", [False, True])
@pytest.mark.parametrize("make", [programs.elf, programs.macho])
def test_places_in_other_programs(tmp_path: Path, make: programs.Maker, is_wide: bool, big: bool) -> None:
    data, entry, section, kind = make(b"at the entry point", b"in the section", wide=is_wide, big=big)
    known = program_of(data)
    assert known and known[1] == entry
    target = {"elf": "6", "macho": "9"}[kind]
    for offset, text, there in (
        ("EP+0", b"at the entry", True),
        ("EP+1", b"at the entry", False),
        (f"S{section}+0", b"in the section", True),
        (f"S{section}+1", b"in the section", False),
        ("SL+0", b"in the section", True),
        (f"SE{section}", b"the section", True),
        (f"SE{section}", b"at the entry", False),
    ):
        assert found(tmp_path, f"P:{target}:{offset}:{text.hex()}", "ndb", data, kind) == there, offset
    sections = len(known[2])
    for condition, there in (
        (f"NumberOfSections:{sections}", True),
        (f"NumberOfSections:{sections + 1}-99", False),
        (f"EntryPoint:{entry}-{entry + 1}", True),
        (f"EntryPoint:{entry + 1}-{entry + 9}", False),
    ):
        line = f"F;Target:{target},{condition};0;{b'at the entry'.hex()}"
        assert found(tmp_path, line, "ldb", data, kind) == there, condition


def test_a_chain_of_containers(tmp_path: Path) -> None:
    """The last one is the innermost; CL_TYPE_ANY stands for any."""
    database = tmp_path / "a.ldb"
    database.write_text(
        "Two;Target:0,Intermediates:CL_TYPE_ZIP>CL_TYPE_PDF;0;61626364\n"
        "Any;Target:0,Intermediates:CL_TYPE_ZIP>CL_TYPE_ANY>CL_TYPE_PDF;0;61626364\n"
    )
    matcher = Image(image.build(collect([database]).signatures))
    for container, names in (
        ("zip>pdf", ("Two",)),
        ("mail>docx>pdf", ("Two",)),
        ("zip>rar>pdf", ("Any",)),
        ("zip>zip>pdf", ("Any", "Two")),
        ("pdf>zip", ()),
        ("pdf", ()),
        ("", ()),
    ):
        assert matcher.scan(b"abcdefgh", container=container) == names


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(
        [programs.pe(versions={"A": "b"}, imports={"k.dll": ["F", 1]}), programs.elf()[0], programs.macho()[0]]
    ),
    st.lists(st.tuples(st.integers(0, 4096), st.sampled_from([0, 1, 2, 16, 0x7F, 0x80, 0xFF])), max_size=8),
    st.integers(0, 64),
)
def test_hostile_headers_lead_nowhere(data: bytes, changes: list[tuple[int, int]], cut: int) -> None:
    broken = bytearray(data[: len(data) - cut])
    for at, octet in changes:
        broken[at % len(broken)] = octet
    known = program_of(bytes(broken))
    if known is not None:
        _, entry, sections, versions, _ = known
        assert entry is None or 0 <= entry < len(broken)
        assert all(offset + length <= len(broken) for _, offset, length in sections)
        assert all(at < len(broken) for at in versions) and list(versions) == sorted(versions)


def test_counts_are_bounded() -> None:
    """One more than is looked at changes nothing, and costs nothing."""
    names = {f"Name{i:03}": "v" for i in range(129)}
    known = program_of(programs.pe(versions=names))
    assert known and len(known[3]) == 128
    many = programs.pe(imports={"k.dll": [*range(1, 1026)]})
    known = program_of(many)
    assert known and known[4].count(b",") == 1023
    elf, *_ = programs.elf()
    crowded = bytearray(elf)
    struct.pack_into("<H", crowded, 60, 257)
    crowded += bytes(64 * 300)
    known = program_of(bytes(crowded))
    assert known and len(known[2]) == 256
