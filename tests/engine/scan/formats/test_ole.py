"""Compound files: every stream is had, whatever carries it; and what streams carry in forms of their own."""

import gc
import struct
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cext.automaton import Image
from cext.span import Span
from engine.scan.facts import Verdict
from engine.scan.formats import cfb, office, ole
from engine.scan.formats.item import Member
from engine.scan.offline import examine
from signatures import image
from signatures.hexpattern import parse
from signatures.logic import Sub
from signatures.model import Condition, Signature, Start, SubPattern
from tests.engine.scan.formats.compound import END, Tree, compound, native, ole1, packed, project
from tests.engine.scan.formats.rooms import Found, Room, within
from tests.engine.scan.material import EICAR, VIRUS, walk_file, zipped

TREE: Tree = {"small": b"s" * 100, "large": bytes(range(256)) * 40, "in": {"deep": {"stream": b"d" * 70}, "empty": b""}}
_NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="/"), min_size=1, max_size=20)
_TREES = st.recursive(
    st.binary(max_size=9000),
    lambda inner: st.dictionaries(_NAMES, inner, max_size=4),
    max_leaves=12,
).filter(lambda tree: isinstance(tree, dict))


def _flat(tree: Tree, around: str = "") -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for name, content in tree.items():
        if isinstance(content, dict):
            found.update(_flat(content, f"{around}{name}/"))
        else:
            found[around + name] = content
    return found


def _data(found: Found) -> dict[str, bytes]:
    return {name: bytes(one.data) for name, one in found.files.items()}


# --- streams ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [3, 4])
def test_all_streams_with_their_paths(version: int) -> None:
    found = Found(ole.members, compound(TREE, version))
    assert _data(found) == _flat(TREE)
    assert all(one.complete and one.stream and not one.over for one in found.files.values())
    assert not found.gaps and not found.odd


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_TREES, st.sampled_from([3, 4]))
def test_round_trip(tree: Tree, version: int) -> None:
    found = Found(ole.members, compound(tree, version))
    assert {name: data for name, data in _data(found).items() if not name.endswith((".bas", "/native"))} == _flat(tree)


def test_sector_table_that_needs_more_than_the_header() -> None:
    tree: Tree = {"big": bytes(range(250)) * 32_000, "after": b"x" * 5000}
    assert _data(Found(ole.members, compound(tree))) == tree


def test_streams_are_parts_of_a_document_and_matched() -> None:
    facts = walk_file(compound({"Contents": b"-" * 80 + EICAR}), "a.doc").facts
    assert {(one.name, one.part) for one in facts.matches} == {(VIRUS, "a.doc/Contents")}
    assert facts.parts[1].filenames == ()


def test_nothing_of_a_document_waits_for_the_collector() -> None:
    """CONT-11: octets that lie in a circle would be held until it is looked for."""
    octets = b"." + compound({"a": b"a" * 5000})
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        assert list(ole.members(Span(octets, 1, len(octets)), Room(1 << 20)))
        gc.collect()
        kept = [one for one in gc.garbage if isinstance(one, Span | memoryview)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
    assert kept == []


def test_short_streams_are_not_taken_for_archives() -> None:
    octets = compound({"hash": b"\x1f\x9d" + b"h" * 20, "WordDocument": b"\xec\xa5" + b"\0" * 5000})
    assert walk_file(octets, "a.doc").facts.verdict is Verdict.CLEAN


# --- damage and hostility ---------------------------------------------------------------------------------


def test_chain_that_ends_early_is_incomplete() -> None:
    octets = compound({"large": b"a" * 8192})
    found = Found(ole.members, octets[: 512 + 4096])
    assert found.refused  # its directory is gone
    whole = bytearray(octets)
    at = whole.index(struct.pack("<LLL", 1, 2, 3))  # the table, which begins with the stream's chain
    struct.pack_into("<L", whole, at + 4 * 7, END)
    member = Found(ole.members, bytes(whole)).files["large"]
    assert (len(member.data), member.complete, member.over) == (4096, False, False)


def test_loops_give_no_more_than_is_declared() -> None:
    whole = bytearray(compound({"large": b"a" * 8192, "other": b"b" * 8192}))
    at = whole.index(struct.pack("<LLL", 1, 2, 3))
    struct.pack_into("<L", whole, at + 4 * 3, 0)
    found = Found(ole.members, bytes(whole))
    assert found.files["large"].data == b"a" * 8192 and found.files["other"].data == b"b" * 8192


def test_directory_and_table_that_lead_to_themselves() -> None:
    whole = bytearray(compound(TREE))
    directory = struct.unpack_from("<L", whole, 48)[0]
    entry = 512 + 512 * directory + 128
    struct.pack_into("<LLL", whole, entry + 68, 1, 0, 1)
    found = Found(ole.members, bytes(whole))
    assert found.files["small"].data == b"s" * 100
    assert "ole-orphan-stream" in found.odd and "stream" in found.files
    struct.pack_into("<L", whole, 68, directory)  # a sector that lists tables and is none
    Found(ole.members, bytes(whole))


def test_root_that_says_it_is_a_stream() -> None:
    whole = bytearray(compound(TREE))
    whole[512 * (1 + struct.unpack_from("<L", whole, 48)[0]) + 66] = 2
    assert Found(ole.members, bytes(whole)).files["large"].data == TREE["large"]


def test_overlapping_streams_are_bounded_by_room() -> None:
    """A thousand streams over the same sectors give out what fits, each its own size, and say that there was more."""
    whole = bytearray(compound({f"s{number}": b"a" * 5000 for number in range(40)}))
    room = Room(1000)
    for member in Found(ole.members, bytes(whole), room).files.values():
        assert len(member.data) == 1000 and member.over


def test_limit_on_size_crossed_by_one() -> None:
    octets = compound({"large": b"a" * 5000})
    assert not Found(ole.members, octets, Room(5000)).files["large"].over
    assert Found(ole.members, octets, Room(4999)).files["large"].over


def test_limit_on_entries_crossed_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    octets = compound({f"s{number}": b"x" for number in range(9)})
    for limit, cut in ((10, False), (9, True)):  # the root is an entry too
        monkeypatch.setattr("engine.scan.formats.cfb.ENTRIES", limit)
        assert (("limit", "ole-directory") in Found(ole.members, octets).gaps) is cut


def test_twice_the_streams_twice_the_looks_at_the_clock() -> None:
    looks = []
    for count in (200, 400):
        room = Room()
        Found(ole.members, compound({f"s{number}": b"x" * 70 for number in range(count)}), room)
        looks.append(room.looks)
    assert looks[1] <= 2 * looks[0]


def test_no_compound_file() -> None:
    for octets in (b"", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", compound({})[:512], b"x" * 2000):
        assert Found(ole.members, octets).refused
    facts = walk_file(compound({"a": b"b"})[:600], "a.doc").facts
    assert facts.verdict is Verdict.UNSCANNED


SAMPLES = [
    compound(TREE),
    compound(
        {"Macros": project({"Module1": "Sub AutoOpen()\r\nEnd Sub\r\n"}), "WordDocument": b"\xec\xa5" + bytes(60)}
    ),
    compound({"\x01Ole10Native": native(packed("a", "b", "c", b"content"))}),
]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(SAMPLES),
    st.lists(st.tuples(st.integers(0, 1 << 16), st.binary(min_size=1, max_size=4)), max_size=6),
    st.integers(0, 1 << 16),
)
def test_cuts_and_changes_never_raise(sample: bytes, changes: list[tuple[int, bytes]], cut: int) -> None:
    octets = bytearray(sample)
    for offset, new in changes:
        at = offset % len(octets)
        octets[at : at + len(new)] = new
    given_out = Found(ole.members, bytes(octets[: len(octets) - cut % 700]), Room(1 << 16))
    assert all(len(one.data) <= 1 << 16 for one in given_out.files.values())


# --- what streams carry -----------------------------------------------------------------------------------


def test_modules_are_had_as_text_and_told() -> None:
    source = 'Attribute VB_Name = "Module1"\r\nSub AutoOpen()\r\n  Shell "calc"\r\nEnd Sub\r\n'
    for around in ("Macros", "_VBA_PROJECT_CUR"):
        found = Found(ole.members, compound({around: project({"Module1": source})}))
        assert found.files[f"{around}/VBA/Module1.bas"].data == source.encode()
        assert found.odd == {"macro-vba"}


def test_project_without_code_is_no_macro() -> None:
    source = 'Attribute VB_Name = "ThisDocument"\r\nAttribute VB_Base = "0"\r\n'
    found = Found(ole.members, compound(project({"ThisDocument": source})))
    assert "VBA/ThisDocument.bas" in found.files and not found.odd


def test_module_whose_offset_or_directory_lies_is_found_all_the_same() -> None:
    source = 'Attribute VB_Name = "M"\r\nSub Evil()\r\nEnd Sub\r\n'
    tree = project({"M": source})
    storage = tree["VBA"]
    assert isinstance(storage, dict)
    for directory in (b"\x01garbage", b"\x01\x00\xb0"):
        storage["dir"] = directory
        found = Found(ole.members, compound(tree))
        assert found.files["VBA/M.bas"].data == source.encode() and "macro-vba" in found.odd


def test_module_whose_source_was_taken_away_is_still_a_macro() -> None:
    tree = project({"M": "Sub A()\r\nEnd Sub\r\n"})
    storage = tree["VBA"]
    assert isinstance(storage, dict)
    storage["M"] = b"\x01\x16" + bytes(300)
    assert Found(ole.members, compound(tree)).odd == {"macro-vba", "vba-module-without-source"}


def test_code_is_matched_where_no_stream_shows_it() -> None:
    source = "Attribute VB_Name = 1\r\n" + "'padding that packs well\r\n" * 20 + "'" + EICAR.decode() + "\r\n"
    octets = compound(project({"M": source}, compiled=b"\0" * 500))
    facts = walk_file(octets, "vbaProject.bin").facts
    assert (VIRUS, "vbaProject.bin/VBA/M.bas") in {(one.name, one.part) for one in facts.matches}


def test_what_is_looked_for_in_documents_is_looked_for_in_the_source_of_macros() -> None:
    """AV-02: ClamAV's signatures of macros are for its target 2, and begin where the source of a module does."""
    text = SubPattern(parse(b"Attribute VB_".hex()), start=Start("start"))
    known = Image(image.build([Signature("macro", Condition((text,), Sub(0)), target="ole")]))
    tree: Tree = {"Macros": project({"M": "Attribute VB_Name = 1\r\n"})}
    assert [one.part for one in examine(compound(tree), "a.doc", known).matches] == ["a.doc/Macros/VBA/M.bas"]
    assert not examine(b"Attribute VB_Name = 1\r\n", "a.bas", known).matches


def test_packed_file_has_all_its_names() -> None:
    octets = native(
        packed("invoice.pdf", "C:\\in\\invoice.pdf", "C:\\Temp\\invoice.pdf.exe", EICAR, ("C:\\Temp\\b.exe",))
    )
    facts = walk_file(compound({"ObjectPool": {"_1": {"\x01Ole10Native": octets}}}), "a.doc").facts
    part = next(one for one in facts.parts if one.filenames and one.depth == 1)
    assert part.size == len(EICAR)
    assert {"b.exe", "invoice.pdf.exe", "invoice.pdf"} <= set(part.filenames)
    assert {one.name for one in facts.matches} >= {VIRUS, "Double-Extension"}


def test_native_data_that_is_no_package() -> None:
    found = Found(ole.members, compound({"\x01Ole10Native": native(b"\x01equation" + b"e" * 100)}))
    assert found.files["\x01Ole10Native/native"].data == b"\x01equation" + b"e" * 100


def test_cut_package_says_so() -> None:
    octets = native(packed("a.exe", "a.exe", "a.exe", b"c" * 100))[:-10]
    member = Found(ole.members, compound({"\x01Ole10Native": octets})).files["\x01Ole10Native/a.exe"]
    assert member.data == b"c" * 90 and not member.complete


def test_objects_in_slides_packed_or_not() -> None:
    inner = compound(project({"M": "Sub A()\r\nEnd Sub\r\n"}))
    squeezed = zlib.compress(inner)
    stream = b"\x0f\0\xe8\x03" + bytes(4)
    stream += struct.pack("<HHLL", 0x0010, 0x1011, len(squeezed) + 4, len(inner)) + squeezed
    stream += struct.pack("<HHL", 0x0000, 0x1011, len(inner)) + inner
    found = Found(ole.members, compound({"PowerPoint Document": stream}))
    objects = [one.data for name, one in found.files.items() if name.startswith("object-")]
    assert objects == [inner, inner]
    facts = walk_file(compound({"PowerPoint Document": stream}), "a.ppt").facts
    assert facts.verdict is Verdict.CLEAN and {one.kind for one in facts.findings} == {"macro-vba"}


def test_limit_on_tried_objects_crossed_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = struct.pack("<HHLL", 0x0010, 0x1011, 16, 8) + b"\x78\x9cno stream."
    for most, cut in ((5, False), (4, True)):
        monkeypatch.setattr("engine.scan.formats.office.OBJECTS_TRIED", most)
        found = Found(ole.members, compound({"PowerPoint Document": stream * 5}))
        assert (("limit", "slide-objects") in found.gaps) is cut


def test_objects_in_slides_without_room_are_told() -> None:
    inner = compound({"a": b"b"})
    squeezed = zlib.compress(inner)
    stream = struct.pack("<HHLL", 0x0010, 0x1011, len(squeezed) + 4, len(inner)) + squeezed
    stream += struct.pack("<HHL", 0x0000, 0x1011, len(inner)) + inner
    for room, over in ((len(inner), False), (len(inner) - 1, True), (0, True)):
        found = [within(one, room) for one in office.slide_objects(stream, Room(room))]
        items = [one for one in found if isinstance(one, Member)]
        assert [(one.over, one.complete, one.data) for one in items] == [(over, True, inner[:room])] * 2


def test_archive_behind_the_last_sector_is_opened() -> None:
    facts = walk_file(compound(TREE) + zipped({"a.com": EICAR}), "a.doc").facts
    assert (VIRUS, "a.doc/behind/a.com") in {(one.name, one.part) for one in facts.matches}
    assert "behind" not in Found(ole.members, compound(TREE) + b"\1" * 700).files


def test_installer_names_are_decoded() -> None:
    assert ole.installer_name(chr(0x4840) + chr(0x3800 + 29 + (36 << 6))) == "!Ta"
    assert ole.installer_name(chr(0x3800 + 10 + (11 << 6)) + chr(0x4800 + 12)) == "ABC"
    class_id = bytes.fromhex("84100C0000000000C000000000000046")
    found = Found(ole.members, compound({chr(0x3800 + 10 + (11 << 6)): b"x" * 90}, class_id=class_id))
    assert list(found.files) == ["AB"]


def test_hangul_streams_are_inflated() -> None:
    squeezed = zlib.compress(b"script " * 50)[2:-4]
    head = b"HWP Document File".ljust(32, b"\0") + bytes(4) + b"\x01\0\0\0" + bytes(216)
    found = Found(ole.members, compound({"FileHeader": head, "Scripts": {"DefaultJScript": squeezed}}))
    assert found.files["Scripts/DefaultJScript/inflated"].data == b"script " * 50
    locked = head[:36] + b"\x03" + head[37:]
    assert ("encrypted", "hangul") in Found(ole.members, compound({"FileHeader": locked})).gaps


# --- encryption and macro sheets (ENC-07) -----------------------------------------------------------------


def _biff(*records: tuple[int, bytes]) -> bytes:
    return b"".join(struct.pack("<HH", kind, len(value)) + value for kind, value in records)


_BOF = (0x0809, b"\0\x06\x05\0" + bytes(12))


@pytest.mark.parametrize(
    ("tree", "detail"),
    [
        ({"EncryptedPackage": b"x" * 5000, "EncryptionInfo": b"i" * 200}, "office-package"),
        ({"\x06DataSpaces": {}, "\x09DRMContent": b"x" * 100}, "office-rights"),
        ({"WordDocument": b"\xec\xa5\xc1\0" + bytes(6) + b"\x00\x13" + bytes(80)}, "word"),
        ({"Workbook": _biff(_BOF, (0x2F, bytes(54)), (0x0A, b""))}, "excel"),
        ({"Book": _biff(_BOF, (0x2F, bytes(4)), (0x0A, b""))}, "excel"),
        ({"PowerPoint Document": bytes(80), "EncryptedSummary": bytes(80)}, "powerpoint"),
        ({"Current User": bytes(12) + b"\xdf\xc4\xd1\xf3" + bytes(20)}, "powerpoint"),
    ],
)
def test_encrypted_documents_are_told(tree: Tree, detail: str) -> None:
    facts = walk_file(compound(tree), "a.doc").facts
    assert ("encrypted", detail) in {(one.cause.value, one.detail) for one in facts.unscanned}
    assert facts.verdict is Verdict.UNSCANNED


def test_ordinary_documents_are_not() -> None:
    trees: list[Tree] = [
        {"WordDocument": b"\xec\xa5\xc1\0" + bytes(6) + b"\x00\x02" + bytes(80)},
        {"Workbook": _biff(_BOF, (0x85, bytes(4) + b"\0\0\x01A"), (0x0A, b""), (0x2F, b""))},
        {"Current User": bytes(12) + b"\x5f\xc0\x91\xe3" + bytes(20), "PowerPoint Document": bytes(80)},
    ]
    for tree in trees:
        facts = walk_file(compound(tree), "a.doc").facts
        assert facts.verdict is Verdict.CLEAN and not facts.findings


def test_macro_sheets_are_told() -> None:
    octets = compound({"Workbook": _biff(_BOF, (0x85, bytes(4) + b"\x02\x01\x06Macro1"), (0x0A, b""))})
    assert Found(ole.members, octets).odd == {"macro-xlm"}


def test_old_object_is_no_compound_file() -> None:
    assert Found(ole.members, ole1("Package", b"x")).refused


def test_two_directories_of_one_project() -> None:
    """AV-03, SCAN-07: no writer makes two streams of one name; that streams beside them are looked at for each is
    quadratic."""
    tree: Tree = {"VBA": {**macros(), "xir": b"x" * 99}}
    octets = compound(tree).replace("xir".encode("utf-16-le"), "dir".encode("utf-16-le"))
    assert "vba-several-directories" in Found(ole.members, octets).odd
    assert "vba-several-directories" not in Found(ole.members, compound(tree)).odd


def macros() -> Tree:
    storage = project({"Module1": "Sub a()"})["VBA"]
    assert isinstance(storage, dict)
    return storage


def test_streams_that_lie_in_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """CONT-07: cfb._READ. What streams have together is so many times the file at most; the rest is damaged."""
    octets = compound({"a": bytes(5000)})
    for times in (1, 2):
        monkeypatch.setattr(cfb, "_READ", times)
        file = cfb.CompoundFile(octets, Room())
        reads = [file.read(file.streams[0], 1 << 20).complete for _ in range(len(octets) * 2 // 5000)]
        assert reads == [(number + 1) * 5000 <= times * len(octets) for number in range(len(reads))]
        file = cfb.CompoundFile(octets, Room())
        assert [file.lying(file.streams[0]) is not None for _ in reads] == reads
