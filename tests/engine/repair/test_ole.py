"""Compound files are cleaned in place: what acts is gone with its octets, all other streams are as they were."""

import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.repair import compound as compound_file
from engine.repair import ole
from engine.repair.allowance import DEPTH, Allowance, Irregular
from engine.repair.compound import Compound
from engine.scan.formats import ole as opener
from engine.scan.formats.cfb import CompoundFile
from tests.engine.repair.infected import MARK, package_file, storage, vba_file
from tests.engine.scan.formats.compound import Tree, compound, native, project
from tests.engine.scan.formats.rooms import Found, Room

CODE = {"M": f"Sub A()\r\n' {MARK.decode()}\r\nEnd Sub\r\n"}
TEXT = b"\xec\xa5\xc1\0" + bytes(300) + b"Figures of the harbour office" * 200


def _streams(content: bytes) -> dict[tuple[str, ...], bytes]:
    file = CompoundFile(content, Room())
    return {one.path: file.read(one, 1 << 30).data for one in file.streams if one.listed}


def _opened(content: bytes) -> tuple[set[str], bytes]:
    """(findings, all that is in it) as the walk sees it."""
    found = Found(opener.members, content)
    return found.odd, content + b"".join(one.data for one in found.files.values())


@pytest.mark.parametrize("extension", ["doc", "xls", "ppt"])
@pytest.mark.parametrize("version", [3, 4])
def test_macros_and_packages_go(extension: str, version: int) -> None:
    """AV-13: streams that stay have their octets, what goes has left none, not even in free sectors."""
    main = {"doc": "WordDocument", "xls": "Workbook", "ppt": "PowerPoint Document"}[extension]
    content = storage(compound({main: TEXT, "\x05SummaryInformation": b"p" * 90}, version), extension)
    assert "macro-vba" in _opened(content)[0] and MARK in _opened(content)[1]
    done = ole.cleaned(content)
    assert done is not None and set(done.done) == {"VBA macros", "packaged files"}
    assert len(done.content) == len(content)
    odd, octets = _opened(done.content)
    assert not odd and MARK not in octets and b"a.js" not in octets
    assert _streams(done.content) == {(main,): TEXT, ("\x05SummaryInformation",): b"p" * 90}
    assert ole.cleaned(done.content) is None


def _lookup(raw: bytes, name: str) -> int:
    """Number of the root's child of that name, as readers find it: by its length, then its capitals (MS-CFB s2.6.4)."""
    wanted = name.encode("utf-16-le")
    number = int.from_bytes(raw[76:80], "little")
    for _ in range(64):
        if number == 0xFFFFFFFF:
            return -1
        at = number * 128
        have = raw[at : at + int.from_bytes(raw[at + 64 : at + 66], "little") - 2]
        if have == wanted:
            return number
        left = (len(wanted), wanted.decode("utf-16-le").upper()) < (len(have), have.decode("utf-16-le").upper())
        at += 68 if left else 72
        number = int.from_bytes(raw[at : at + 4], "little")
    return -1


def _level(raw: bytes, number: int, blacks: int, above_red: bool, found: set[int]) -> None:
    """Collects the black entries on each way down, and checks that no red entry has a red child."""
    if number == 0xFFFFFFFF:
        found.add(blacks)
        return
    red = raw[number * 128 + 67] == 0
    assert not (red and above_red)
    for child in struct.unpack_from("<2L", raw, number * 128 + 68):
        _level(raw, child, blacks + (not red), red, found)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.text("abcXYZ123", min_size=1, max_size=6), st.binary(max_size=200), min_size=1, max_size=24),
    st.data(),
)
def test_any_streams_can_go(streams: dict[str, bytes], data: st.DataObject) -> None:
    """AV-13: the tree is one that every reader takes: ordered, and with as many black entries on every way down."""
    names = {name.upper(): name for name in streams}
    tree: Tree = {name: streams[name] * (30 if len(name) > 4 else 1) for name in names.values()}
    content = compound(tree)
    going = data.draw(st.sets(st.sampled_from(sorted(tree)), min_size=1))
    file = Compound(content, Allowance())
    for child in list(file.root.children):
        if child.name in going:
            file.remove(child)
    result = file.finish()
    kept = {(name,): octets for name, octets in tree.items() if name not in going}
    assert len(result) == len(content) and _streams(result) == kept
    raw = Compound(result, Allowance())._raw
    assert all((_lookup(raw, name) > 0) == (name not in going) for name in tree)
    blacks: set[int] = set()
    _level(raw, int.from_bytes(raw[76:80], "little"), 0, True, blacks)
    assert len(blacks) == 1


def test_a_bare_project_is_left_to_its_document() -> None:
    """AV-13: without its project a macro-enabled document of Open XML would not open; within one it becomes empty."""
    assert ole.cleaned(vba_file()) is None
    found = ole.clean(vba_file(), Allowance(), 1, inside=True)
    assert found is not None and not _streams(found[0])


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"ObjectPool": {"_1": {"Equation Native": b"MARKED" * 20, "x": b"y"}}}, "equation objects"),
        ({"ObjectPool": {"_1": {"\x03OCXNAME": b"MARKED", "\x03OCXDATA": b"MARKED", "x": b"y"}}}, "controls"),
        ({"MBD1": {"\x01Ole": b"\x01\0\0\x02\x01\0\0\0MARKED", "x": b"y"}}, "linked objects"),
        ({"MBD1": {"\x01Ole10Native": native(b"MARKED" * 99), "x": b"y"}}, "packaged files"),
        ({"_VBA_PROJECT": {"Any": b"MARKED"}, "x": b"y"}, "VBA macros"),
        ({"VisioDocument": b"y", "VBA": {**project(CODE), "z": b"MARKED"}}, "VBA macros"),
        ({"x": b"y", "VBA": {"_VBA_PROJECT": b"MARKED"}, "PROJECT": b"MARKED", "WordDocument": b"y"}, "VBA macros"),
    ],
)
def test_other_things_that_act(tree: Tree, words: str) -> None:
    """AV-13: controls, equations, links, packages, projects in other places."""
    content = compound({**tree, "keep": b"kept"})
    done = ole.cleaned(content)
    assert done is not None and done.done == (words,) and b"MARKED" in content and b"MARKED" not in done.content
    assert _streams(done.content)[("keep",)] == b"kept" and b"y" in _streams(done.content).values()


@pytest.mark.parametrize(
    "tree",
    [
        {"WordDocument": TEXT},
        {"MBD1": {"\x01Ole10Native": native(b"BM" + bytes(80)), "\x01Ole": b"\x01\0\0\x02" + bytes(8)}},
        {"MBD1": {"Workbook": b"\x09\x08\x10\0\0\x06\x05\0" + bytes(12) + b"\x0a\0\0\0"}},
        {"\u3f3f\u4577\u446c": b"installer", "VBA": {"_VBA_PROJECT": b"x"}},
    ],
)
def test_what_does_not_act_is_not_touched(tree: Tree) -> None:
    """AV-13: pictures of old programs, embedded tables, installers."""
    assert ole.cleaned(compound(tree)) is None


def test_attachments_of_a_message() -> None:
    """AV-13: documents in an Outlook message are cleaned, programs become zeros, the rest stays."""
    word = storage(compound({"WordDocument": TEXT}), "doc")
    script = b"{\\rtf1 {\\object{\\*\\objdata " + MARK.hex().encode() + b"}}}"
    content = compound(
        {
            "__properties_version1.0": bytes(32),
            "__attach_version1.0_#00000000": {"__substg1.0_37010102": word},
            "__attach_version1.0_#00000001": {"__substg1.0_37010102": b"MZ\0\0" + MARK * 9},
            "__attach_version1.0_#00000002": {"__substg1.0_37010102": script},
            "__attach_version1.0_#00000003": {"__substg1.0_37010102": b"plain text"},
        }
    )
    done = ole.cleaned(content)
    assert done is not None and "attached programs" in done.done and "embedded objects" in done.done
    inside = _streams(done.content)
    assert inside[("__attach_version1.0_#00000003", "__substg1.0_37010102")] == b"plain text"
    assert MARK not in done.content and MARK.hex().encode() not in done.content
    assert "macro-vba" not in _opened(inside["__attach_version1.0_#00000000", "__substg1.0_37010102"])[0]


def test_messages_in_messages() -> None:
    """AV-13: documents in messages in messages are cleaned DEPTH deep; what lies deeper is left to the second scan."""
    content = storage(compound({"WordDocument": TEXT}), "doc")
    for depth in range(1, DEPTH + 2):
        content = compound(
            {"__properties_version1.0": bytes(32), "__attach_version1.0_#0": {"__substg1.0_37010102": content}}
        )
        done = ole.cleaned(content)
        assert (done is not None) == (depth <= DEPTH)


def _slides(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<L", len(content)) + content


def test_presentations() -> None:
    """AV-13: projects packed in the stream are cleaned where they are, actions of shapes do nothing."""
    packed_file = struct.pack("<L", len(vba_file())) + zlib.compress(vba_file(), 1)
    stream = (
        _slides(b"\x10\0\x11\x10", packed_file) + _slides(b"\0\0\x11\x10", package_file())
        + b"\x02\0\0\x04\x0c\0\0\0\x05\0\0\0\x01\0\0\0\x02\0\0\0"
        + b"".join(b"\0\0\xf3\x0f\x10\0\0\0" + bytes(8) + action + bytes(7) for action in (b"\1", b"\4"))
    )  # fmt: skip
    content = compound({"PowerPoint Document": stream, "Current User": bytes(40)})
    done = ole.cleaned(content)
    assert done is not None and set(done.done) == {"VBA macros", "packaged files", "actions of slides"}
    odd, octets = _opened(done.content)
    assert not odd and MARK not in octets
    after = _streams(done.content)[("PowerPoint Document",)]
    assert len(after) == len(stream) and after[-8] == 4 and after[-32] == 0
    assert after[stream.index(b"\x02\0\0\x04") :][:20] == b"\x02\0\0\x04\x0c\0\0\0\x05\0\0\0\0\0\0\0\x02\0\0\0"


def test_storages_in_storages() -> None:
    """AV-13: _NESTING of them, and not one more."""
    tree: Tree = {"\x01Ole10Native": native(b"MARKED" * 9)}
    for depth in range(1, compound_file._NESTING + 2):
        tree = {f"s{depth}": tree}
        assert depth < compound_file._NESTING - 1 or (
            (ole.cleaned(compound(tree)) is not None) == (depth <= compound_file._NESTING)
        )


def test_two_of_one_name_are_refused() -> None:
    """AV-05: which one a reader takes is up to it."""
    assert ole.cleaned(compound({"\x01Ole10Native": native(MARK), "Contents": TEXT})) is not None
    assert ole.cleaned(compound({"\x01Ole10Native": native(MARK), "Contents": TEXT, "CONTENTS": TEXT})) is None


def test_many_projects_in_one_storage() -> None:
    """AV-13: each of them looks at all its neighbours, and that is paid for."""
    tree: Tree = {f"s{number}": {"_VBA_PROJECT": b"a"} for number in range(2_200)}
    assert ole.cleaned(compound({"WordDocument": TEXT, **tree})) is None


def test_damage_is_refused() -> None:
    """AV-13: chains that run in circles or share sectors, entries that two lead to: the file is left as it is."""
    content = storage(compound({"WordDocument": TEXT}), "doc")
    file = Compound(content, Allowance())
    word = next(one for one in file.root.all() if one.name == "WordDocument")
    going = next(one for one in file.root.all() if one.name == "\x01Ole10Native")
    directory = content.index("Root Entry".encode("utf-16-le"))
    shared = bytearray(content)
    struct.pack_into("<LL", shared, directory + 128 * going.number + 116, word.first, word.size)
    assert ole.cleaned(bytes(shared)) is None
    circle = bytearray(content)
    struct.pack_into("<L", circle, directory + 128 * going.number + 68, word.number)
    assert ole.cleaned(bytes(circle)) is None
    assert ole.cleaned(content[:700]) is None
    with pytest.raises(Irregular):
        file.write(word, b"shorter")


SOURCES = [
    storage(compound({"WordDocument": TEXT}), "doc"),
    storage(compound({"Workbook": b"\x09\x08\x10\0\0\x06\x05\0" + bytes(12) + b"\x0a\0\0\0"}), "xls"),
    compound({"PowerPoint Document": _slides(b"\0\0\x11\x10", package_file())}),
]


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(SOURCES), st.lists(st.tuples(st.integers(0, 1 << 14), st.binary(max_size=4)), max_size=5))
def test_changed_octets_never_raise(source: bytes, changes: list[tuple[int, bytes]]) -> None:
    """AV-13: hostile octets are cleaned or refused; the length stays."""
    content = bytearray(source)
    for where, octets in changes:
        content[where % len(content) : where % len(content) + len(octets)] = octets
    done = ole.cleaned(bytes(content[: len(source)]))
    assert done is None or len(done.content) == len(source)
