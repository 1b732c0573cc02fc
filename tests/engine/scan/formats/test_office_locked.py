"""Word, Excel and PowerPoint files before 2007 that are encrypted, with and without their password."""

import struct
from collections.abc import Callable
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.scan.formats import office_locked, office_rc4, ole
from engine.scan.formats.item import Opened
from engine.scan.keyring import Keyring
from tests.engine.scan.formats.compound import Tree, compound, project
from tests.engine.scan.formats.rooms import Found, Room
from tests.engine.scan.material import EICAR, walk_file
from tests.oracles.office_rc4 import (
    Crypt,
    atom,
    blocks,
    mask,
    modern,
    obfuscated,
    old,
    picture,
    properties,
    records,
    slides,
    word,
    workbook,
)

SHEET: Final = (0x85, struct.pack("<LBB", 99, 0, 1) + b"\3\0abc")  # a macro sheet
SHEETS: Final = [(0x42, b"\xb0\4"), (0xE1, b"\xb0\4"), SHEET, (0xFC, b"zebra" * 900), (0x0A, b""), (0x204, EICAR)]
WAYS: Final[dict[str, Callable[[str], tuple[bytes, Crypt]]]] = {
    "old": old,
    "40 bits": lambda one: modern(one, 0),
    "56 bits": lambda one: modern(one, 56),
    "128 bits": modern,
}
EXCEL, POWERPOINT = office_locked.UNASKED
MACROS: Final = compound({**project({"M": "Sub Main()\nEnd Sub\n"}), "e": EICAR})


def opened(tree: Tree, *words: str, octets: int = 1 << 26) -> Found:
    room = Room(octets)
    room.keyring = Keyring(words)
    return Found(ole.members, compound(tree), room)


def told(found: Found) -> bool:
    return any(isinstance(one, Opened) for one in found.items)


# --- Excel --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_a_workbook(way: str) -> None:
    """ENC-01, ENC-07: what it holds with the password; without one it is encrypted, as ever."""
    header, crypt = WAYS[way]("Secret7")
    stream = workbook(header, crypt, *SHEETS)
    found = opened({"Workbook": stream}, "wrong", "Secret7")
    data = found.files["Workbook/decrypted"].data
    assert data[-len(records(*SHEETS)) :] == records(*SHEETS) and len(data) == len(stream)
    assert told(found) and not found.gaps and "macro-xlm" in found.odd
    for closed in (opened({"Workbook": stream}), opened({"Workbook": stream}, "secret7")):
        assert closed.gaps == [("encrypted", "excel")] and "Workbook/decrypted" not in closed.files


@pytest.mark.parametrize("word", [EXCEL, POWERPOINT])
def test_what_programs_open_without_asking(word: str) -> None:
    """ENC-07: whatever the settings say; nobody needs a password, so it is not encrypted."""
    stream = workbook(*modern(word), *SHEETS)
    walk = walk_file(
        compound({"Workbook": stream, "_VBA_PROJECT_CUR": project({"M": "Sub Main()\nEnd Sub\n"})}), "a.xls"
    )
    assert [one.part for one in walk.facts.matches] == ["a.xls/Workbook/decrypted"]
    assert not walk.root.encrypted and not walk.facts.unscanned
    assert {"office-encrypted-without-password", "macro-xlm", "macro-vba"} <= {one.kind for one in walk.facts.findings}


def test_what_excel_opens_without_asking_in_every_form() -> None:
    """ENC-07"""
    for stream in (
        workbook(*old(EXCEL), *SHEETS),
        obfuscated(EXCEL, *SHEETS),
        obfuscated(EXCEL, *SHEETS, old_form=True),
    ):
        found = opened({"Workbook": stream})
        assert EICAR in found.files["Workbook/decrypted"].data and not found.gaps and not told(found)


def test_a_mask_that_several_passwords_make() -> None:
    """ENC-01: what one of them opens is matched, and not taken for examined: readers may see it by another one."""
    found = opened({"Workbook": obfuscated("Secret7", *SHEETS)}, "Secret7")
    data = found.files["Workbook/decrypted"].data
    assert data[-len(records(*SHEETS)) :] == records(*SHEETS)
    assert found.gaps == [("encrypted", "excel")] and told(found)


def test_a_workbook_that_says_twice_how_it_is_encrypted() -> None:
    """ENC-07: programs may go by the second one."""
    second = (0x2F, b"\1\0" + old("other")[0])
    found = opened({"Workbook": workbook(*old(EXCEL), *SHEETS[:1], second, *SHEETS[1:])})
    assert found.gaps == [("encrypted", "excel: encrypted twice")] and "Workbook/decrypted" in found.files


@pytest.mark.parametrize("way", ["old", "128 bits"])
def test_what_goes_with_a_workbook(way: str) -> None:
    """ENC-07: revisions, names of users and what pivot tables remember are records too; storages may be in a stream."""
    header, crypt = WAYS[way](EXCEL)
    plain = records((0xFC, EICAR))
    sealed = plain[:4] + blocks(crypt, plain, 1024)[4:]
    tree: Tree = {"Workbook": workbook(header, crypt), "Revision Log": sealed, "_SX_DB_CUR": {"0001": sealed}}
    tree["encryption"] = properties(crypt, {"VBA": MACROS})
    found = opened(tree)
    for name in ("Revision Log", "_SX_DB_CUR/0001"):
        assert EICAR in found.files[f"{name}/decrypted"].data
    assert found.files["encryption/VBA"].data == MACROS and not found.files["encryption/VBA"].plain and not found.gaps


def test_a_workbook_is_cut_at_the_room() -> None:
    found = opened({"Workbook": workbook(*old(EXCEL), *SHEETS)}, octets=2000).files["Workbook/decrypted"]
    assert len(found.data) == 1000 and found.over


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=15), st.binary(max_size=80))
def test_masks(word: str, data: bytes) -> None:
    key, verifier, mixed = mask(word)
    made = office_rc4.Obfuscated(key, verifier).opens(word)
    assert made is not None and made.octets == mixed
    stream = obfuscated(word, (0xFC, data), (0x204, b"x" + data))
    assert office_locked.workbook(stream, len(stream) - 9 - 2 * len(data), made, Room()).endswith(
        records((0xFC, data), (0x204, b"x" + data))
    )


# --- Word ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_a_text(way: str) -> None:
    """ENC-01, ENC-07: text, table and data."""
    header, crypt = WAYS[way]("Secret7")
    streams = word(header, crypt, b"words" * 300, b"table" * 300, EICAR + b"data" * 300)
    streams["Macros"] = b""
    found = opened({**streams}, "Secret7")
    assert found.files["WordDocument/decrypted"].data[68:] == b"words" * 300
    assert found.files["1Table/decrypted"].data[len(header) :] == b"table" * 300
    assert found.files["Data/decrypted"].data == EICAR + b"data" * 300
    assert told(found) and not found.gaps
    assert opened({**streams}, "no").gaps == [("encrypted", "word")]


def test_objects_in_a_text() -> None:
    """ENC-07: they lie in its data, each behind its length; what only looks like it is matched with the rest."""
    header, crypt = modern("Secret7")
    objects = struct.pack("<LH62x", 68 + len(MACROS), 68) + MACROS
    streams = word(header, crypt, b"words", b"table", b"x" * 100 + objects + struct.pack("<LH62x", 8, 68) + MACROS[:40])
    found = opened({**streams}, "Secret7")
    assert [one.data for name, one in found.files.items() if name.startswith("object-")] == [MACROS]
    walk = walk_file(compound({**word(*modern(EXCEL), b"words", b"table", objects)}), "a.doc")
    assert any(one.part.endswith("/e") for one in walk.facts.matches) and not walk.facts.unscanned


def test_a_text_that_is_not_opened() -> None:
    """ENC-07: obfuscated, or without its table."""
    streams = word(*old("Secret7"), b"words" * 300, b"table", flags=0x8000)
    assert opened({**streams}, "Secret7").gaps == [("encrypted", "word")]
    streams = word(*old("Secret7"), b"words" * 300, b"table")
    del streams["1Table"]
    assert opened({**streams}, "Secret7").gaps == [("encrypted", "word")]


# --- PowerPoint ---------------------------------------------------------------------------------------

OBJECTS: Final = [atom(0x03E8, b"slide" * 100), atom(0x1011, MACROS), atom(0x03EE, b"")]


@pytest.mark.parametrize("bits", [0, 128])
def test_slides(bits: int) -> None:
    """ENC-01, ENC-07: objects of a presentation, the macros among them."""
    streams = slides(*modern("Secret7", bits), OBJECTS)
    walk_parts = opened({**streams}, "Secret7")
    data = walk_parts.files["PowerPoint Document/decrypted"].data
    assert data.startswith(b"".join(OBJECTS)) and not walk_parts.gaps and told(walk_parts)
    assert [one.data for name, one in walk_parts.files.items() if name.startswith("object-")] == [MACROS]
    assert opened({**streams}).gaps == [("encrypted", "powerpoint")]
    walk = walk_file(compound({**slides(*modern(POWERPOINT), OBJECTS)}), "a.ppt")
    assert any(one.part.endswith("/e") for one in walk.facts.matches) and not walk.facts.unscanned


def test_slides_of_which_not_all_is_found() -> None:
    """ENC-07: never clean: several edits, objects in each other, objects that are longer than the stream."""
    keys = modern("Secret7")
    several = slides(*keys, OBJECTS, before=1)
    assert opened({**several}, "Secret7").gaps == [("encrypted", "powerpoint-objects")]
    longer = atom(0x03E8, b"slide")[:4] + struct.pack("<L", 1 << 20)
    found = opened({**slides(*keys, [*OBJECTS, longer])}, "Secret7")
    assert found.gaps == [("encrypted", "powerpoint-objects")]
    assert found.files["PowerPoint Document/decrypted"].data.startswith(b"".join(OBJECTS))
    over = atom(0x03E8, b"")[:4] + struct.pack("<L", sum(map(len, OBJECTS)) + 200)
    assert opened({**slides(*keys, [over, *OBJECTS])}, "Secret7").gaps == [("encrypted", "powerpoint-objects")]
    lost = slides(*keys, OBJECTS)
    lost["Current User"] = lost["Current User"][:16] + b"\xff\xff\xff\x7f"
    assert opened({**lost}, "Secret7").gaps == [("encrypted", "powerpoint")]


def test_objects_by_one() -> None:
    """office_locked.OBJECTS"""
    room = Room()
    for more in (0, 1):
        header, _ = modern("x")
        count = office_locked.OBJECTS + more
        offsets = [0] * count
        session = atom(0x2F14, header)
        tables = b""
        for at in range(0, count, 4000):
            some = offsets[at : at + 4000]
            tables += struct.pack(f"<{1 + len(some)}L", at + 1 | len(some) << 20, *some)
        stream = session + atom(0x1772, tables)
        stream += atom(0x0FF5, struct.pack("<6LHHL", 0, 0, 0, len(session), 1, count, 1, 0, count))
        edit = len(stream) - 40
        found = office_locked.slides(bytes(16) + struct.pack("<L", edit), stream, room)
        assert found is not None and found.complete is (more == 0) and len(found.objects) == office_locked.OBJECTS


@pytest.mark.parametrize(("kind", "instance"), [(0xF01E, 0x6E0), (0xF01E, 0x6E1), (0xF01A, 0x216)])
def test_pictures(kind: int, instance: int) -> None:
    """ENC-07: each is decrypted; what is no picture leaves the stream encrypted."""
    header, crypt = modern("Secret7")
    streams = slides(header, crypt, OBJECTS)
    streams["Pictures"] = picture(crypt, b"\x89PNG" + EICAR, kind, instance) + picture(crypt, b"other")
    found = opened({**streams}, "Secret7")
    assert EICAR in found.files["Pictures/decrypted"].data and found.files["Pictures/decrypted"].data[-5:] == b"other"
    assert not found.gaps
    for junk in (b"abc", b"abcdefgh" * 3):
        streams["Pictures"] = picture(crypt, b"other") + junk
        assert opened({**streams}, "Secret7").gaps == [("encrypted", "powerpoint-pictures")]


# --- properties ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("sealed", [False, True])
def test_properties(sealed: bool) -> None:
    """ENC-07"""
    header, crypt = modern("Secret7")
    named = {"SummaryInformation": b"title" + EICAR, "DocumentSummaryInformation": b"more"}
    for name, streams in (
        ("EncryptedSummary", slides(header, crypt, OBJECTS)),
        ("encryption", word(header, crypt, b"words", b"table")),
        ("encryption", {"Workbook": workbook(header, crypt, *SHEETS)}),
    ):
        streams[name] = properties(crypt, named, sealed)
        found = opened({**streams}, "Secret7")
        assert {path: found.files[f"{name}/{path}"].data for path in named} == named and not found.gaps
        streams[name] = b"\xff" * 40
        assert opened({**streams}, "Secret7").gaps == [("encrypted", "office-properties")]


# --- hostile ------------------------------------------------------------------------------------------


def test_headers_that_ask_for_something_else() -> None:
    """ENC-07: named for what they are, and never tried."""
    header, _ = modern("x")
    assert office_rc4.read(header) is not None
    for at, value in ((0, 5), (2, 3), (20, 0x660E), (24, 0x800C), (28, 48 + 4), (28, 32), (28, 136)):
        assert office_rc4.read(header[:at] + struct.pack("<H", value) + header[at + 2 :]) is None
    for cut in (0, 3, 11, 40, len(header) - 1):
        assert office_rc4.read(header[:cut]) is None
    assert office_rc4.read(old("x")[0][:-1]) is None
    assert office_locked.file_pass(b"\2\0" + header) is None and office_locked.file_pass(b"\0\0ab") is not None


def test_how_much_of_a_header_is_read() -> None:
    """office_rc4.HEADER_LEN by one."""
    header, crypt = modern("x")
    room = office_rc4.HEADER_LEN - len(header)
    for more, opens in ((room, True), (room + 1, False)):
        length = int.from_bytes(header[8:12], "little")
        longer = (
            header[:8]
            + struct.pack("<L", length + more)
            + header[12 : 12 + length]
            + bytes(more)
            + header[12 + length :]
        )
        assert told(opened({**word(longer, crypt, b"words", b"table")}, "x")) is opens


@given(st.binary(max_size=300), st.integers(0, 4000), st.integers(0, 3))
def test_damage_raises_nothing(junk: bytes, at: int, which: int) -> None:
    header, crypt = modern("Secret7")
    trees = (
        {"Workbook": workbook(header, crypt, *SHEETS)},
        word(header, crypt, b"words" * 200, b"table" * 200),
        {**slides(header, crypt, OBJECTS[:1]), "Pictures": picture(crypt, b"other")},
        {**slides(header, crypt, OBJECTS[:1]), "EncryptedSummary": properties(crypt, {"a": b"b"})},
    )
    tree = {name: octets[:at] + junk + octets[at + len(junk) :] for name, octets in trees[which].items()}
    opened({**tree}, "Secret7")


@given(st.binary(max_size=2000), st.sampled_from([1, 16, 512, 1024]), st.sampled_from(sorted(WAYS)))
def test_streams(data: bytes, length: int, way: str) -> None:
    header, crypt = WAYS[way]("x")
    lock = office_rc4.read(header)
    keys = lock.opens("x") if lock is not None else None
    assert keys is not None and keys.stream(blocks(crypt, data, length), length, lambda: None) == data
