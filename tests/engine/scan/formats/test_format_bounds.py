"""Bounds of the parsers of documents, each reached, and crossed by one: what stands at the bound is had, what stands
behind it is not. They are lowered for that: how high they are is a matter of memory and time.
"""

import base64
import struct
import zlib
from collections.abc import Callable
from types import ModuleType
from typing import cast

import pytest

from cext.archive import FAILED, Reader
from engine import limits
from engine.scan.formats import (
    OPENERS,
    archive,
    binhex,
    cfb,
    html,
    msg,
    office,
    onenote,
    package,
    pdf,
    pdf_filters,
    pdf_objects,
    pdf_streams,
    pdf_syntax,
    pkcs7,
    rar_header,
    seven_zip,
    vba,
)
from engine.scan.formats.item import Member
from engine.scan.formats.pdf_syntax import Malformed
from tests.engine.scan.formats import archives_made as made
from tests.engine.scan.formats import pdf_material, test_msg, test_onenote
from tests.engine.scan.formats.compound import Tree, compound, native, packed, project
from tests.engine.scan.formats.pdf_material import document, flate, found, object_stream, stream, thing
from tests.engine.scan.formats.rooms import Found, Room

TEXT = b"what stands at the bound"


def has(buf: bytes) -> bool:
    return any(TEXT in one.data for one in found(buf))


def pdf_filters_chained(count: int) -> bool:
    data = TEXT
    for _ in range(count):
        data = flate(data)
    return has(document(stream(4, data, b"/Filter [" + b"/FlateDecode " * count + b"]")))


def pdf_definitions(count: int) -> bool:
    """All of so many definitions of an object."""
    buf = document(*(thing(9, b"/Name%d" % number) for number in range(count)))
    return len(pdf_objects.Objects(buf, Room()).definitions(9)) == count


def pdf_values(count: int) -> bool:
    """The name of a file in the last of so many values of one object: they are looked at from the end."""
    values = b"[<</Type /Filespec /F (order.exe) /EF <</F 4 0 R>> >> " + b"0 " * (count - 2) + b"]"
    named = document(thing(5, values), stream(4, flate(TEXT), b"/Type /EmbeddedFile /Filter /FlateDecode"))
    return any(one.name == "order.exe" for one in found(named))


def pdf_depth(count: int) -> bool:
    return bool(parsed(b"[" * count + b"]" * count))


def pdf_tokens(count: int) -> bool:
    return bool(parsed(b"[" + b"0 " * (count - 2) + b"]"))


def parsed(text: bytes) -> bool:
    try:
        pdf_syntax.parse(text, 0)
    except Malformed:
        return False
    return True


def pdf_ways(count: int) -> bool:
    """A way to read a dictionary that is tried as the last of so many: the last field is the first that is tried."""
    wrong = b"".join(b"/Filter [/ASCII85Decode /LZW%d] " % number for number in range(count - 2))
    return has(document(stream(4, flate(TEXT), wrong + b"/Filter /FlateDecode /Filter /ASCII85Decode")))


def pdf_loose(length: int) -> bool:
    """A dictionary that begins so far before its stream, and no object does."""
    head = b"<< /Filter /FlateDecode"
    return has(b"%PDF-1.7\n" + head + b" " * (length - len(head) - 2) + b">>stream\n" + flate(TEXT) + b"\nendstream\n")


def pdf_loose_tries(count: int) -> bool:
    one = b"<</Filter/AHx>>stream\n%s>\nendstream\n"
    return has(b"%PDF-1.7\n" + (one % b"41") * (count - 1) + one % TEXT.hex().encode())


def pdf_ends(count: int) -> bool:
    """So many times the word that ends a stream, in what it is packed to."""
    data = zlib.compress(b" endstream " * count + TEXT, 0)
    return has(b"%PDF-1.7\n1 0 obj\n<</Filter /FlateDecode>>\nstream\n" + data + b"\nendstream\nendobj\n")


def octet_strings(count: int) -> bool:
    """Octet strings around each other."""
    octets = b"\x04" + bytes([len(TEXT)]) + TEXT
    for _ in range(count):
        octets = b"\x24" + bytes([len(octets)]) + octets
    return pkcs7._octets(octets, 0, 1 << 16, Room()) == (TEXT, True)


def coders(count: int) -> bool:
    try:
        cursor = seven_zip._Cursor(bytes([count]) + b"\x01\x00" * count + bytes(2 * (count - 1)))
        return len(seven_zip._folder(cursor).coders) == count
    except ValueError:
        return False


def macro_modules(count: int) -> bool:
    storage = project({f"Module{number}": "Sub a()" for number in range(count)})["VBA"]
    assert isinstance(storage, dict)
    directory = storage["dir"]
    assert isinstance(directory, bytes)
    return len(vba.modules(directory, Room())) == count


def storages(count: int) -> bool:
    """The outermost of so many storages around a stream stands in its path."""
    tree: Tree = {"stream": TEXT * 300}
    for number in range(count):
        tree = {f"s{number}": tree}
    paths = [one.path for one in cfb.CompoundFile(compound(tree), Room()).streams]
    return any(f"s{count - 1}" in path for path in paths)


def name_of_attachment(length: int) -> bool:
    short = "n" * (length - 4) + ".exe"
    octets = compound(test_msg._message(test_msg._attachment(TEXT, "a.exe", short)))
    return any(short in one.also for one in Found(OPENERS["ole"], octets).files.values())


def name_in_package(length: int) -> bool:
    return package.read_native(native(packed("a", "b", "n" * (length - 1), TEXT))) is not None


def records_of_workbook(count: int) -> bool:
    """The record that says that a workbook is encrypted is the last of so many."""
    records = b"".join(struct.pack("<HH", 0x0809, 0) for _ in range(count - 1)) + struct.pack("<HH", 0x2F, 0)
    return bool(Found(OPENERS["ole"], compound({"Workbook": records + bytes(4096)})).gaps)


def note_files(count: int) -> bool:
    section = test_onenote._section(TEXT, ".hta")
    text = section[section.rindex("<ifndf>".encode("utf-16-le")) :]
    other = "<ifndf>{00000000-0000-0000-0000-000000000000}".encode("utf-16-le") + struct.pack("<L", 0)
    files = Found(OPENERS["onenote"], section[: -len(text)] + other * (count - 1) + text).files
    return any(name.endswith(".hta") for name in files)


def note_names(count: int) -> bool:
    more = b"".join(test_onenote._property(f"n{number}.txt") for number in range(count - 1))
    return len(onenote._names(more + test_onenote._property("last.hta"), Room()).all) == count


def note_properties(count: int) -> bool:
    text = "a.hta\0".encode("utf-16-le")
    ids = b"".join(struct.pack("<L", 0x08001C02) for _ in range(count - 1)) + struct.pack("<L", 0x1C001D9C)
    octets = struct.pack("<H", count) + ids + struct.pack("<L", len(text)) + text
    return onenote._name_at(octets, octets.index(onenote._NAME_PROPERTY)) == "a.hta"


def words_before_binhex(length: int) -> bool:
    """So many octets between the words and the colon, of a file whose header is damaged."""
    words = binhex._WORDS
    return bool(Found(binhex.members, words + b"x" * (length - len(words) - 1) + b"\n:" + b"!" * 80 + b":").gaps)


def lines_before_base64(count: int) -> bool:
    coded = base64.b64encode(b"PK\x03\x04" + bytes(400))
    return bool(Found(html.members, b"word\n" * (count - 1) + coded + b" ").files)


def long_line_before_base64(length: int) -> bool:
    coded = base64.b64encode(b"PK\x03\x04" + bytes(400))
    return bool(Found(html.members, b"w" * (length - 1) + b"\n" + coded + b" ").files)


def base64_too_short(length: int) -> bool:
    """What is shorter than the bound by one or more is not looked at."""
    return not Found(html.members, base64.b64encode(b"PK\x03\x04" + bytes(400))[: length - 1] + b" ").files


def base64_of_no_type(length: int) -> bool:
    """What is shorter than the bound by one or more is not decoded without a type."""
    return not Found(html.members, base64.b64encode(b"\xaa\xc7\x91" * 400)[: length - 1] + b" ").files


def tag_of_uri(length: int) -> bool:
    """A tag that begins so far before its data: URI."""
    tag = b'<a download="order.exe"'.ljust(length - 6) + b'href="'
    return "order.exe" in Found(html.members, tag + b"data:;base64," + base64.b64encode(TEXT) + b'">').files


class Failing:
    """Libarchive, which gives so many failures before the first member."""

    def __init__(self, reader: Reader, left: int) -> None:
        self._reader = reader
        self._left = left

    def next(self) -> int:
        self._left -= 1
        return FAILED if self._left >= 0 else self._reader.next()

    def __getattr__(self, name: str) -> object:
        return getattr(self._reader, name)


def members_in_a_row(count: int) -> bool:
    """A member behind so many that cannot be had, and fewer by one."""
    reader = Failing(Reader(made.rar4({"a.txt": TEXT}), "rar"), count - 1)
    items = archive._walked(cast(Reader, reader), "rar", Room(), False)
    return any(isinstance(one, Member) and TEXT in one.data for one in items)


def header_of_rar(length: int) -> bool:
    """Header of a file that is so long: it grows with the name."""
    shortest = made.rar5({"n": TEXT})
    at = len(made.rar5({})) - 8  # behind the header of the archive
    grown = length - rar_header.number(shortest, at + 4)[0]
    buf = made.rar5({"n" * (1 + grown): TEXT})
    assert rar_header.number(buf, at + 4)[0] == length
    return bool(rar_header.listing(buf, 0, "rar5", lambda: None).files)


CASES: dict[str, tuple[ModuleType, str, int, Callable[[int], bool]]] = {
    "pdf_filters.CHAIN": (pdf_filters, "CHAIN", 3, pdf_filters_chained),
    "pdf_objects.DEFINITIONS": (pdf_objects, "DEFINITIONS", 3, pdf_definitions),
    "pdf._WALKED": (pdf, "_WALKED", 12, pdf_values),
    "pdf_syntax.DEPTH": (pdf_syntax, "DEPTH", 5, pdf_depth),
    "pdf_syntax.TOKENS": (pdf_syntax, "TOKENS", 9, pdf_tokens),
    "pdf_streams._READINGS": (pdf_streams, "_READINGS", 3, pdf_ways),
    "pdf_streams._LOOSE_LEN": (pdf_streams, "_LOOSE_LEN", 200, pdf_loose),
    "pdf_streams._LOOSE_TRIES": (pdf_streams, "_LOOSE_TRIES", 3, pdf_loose_tries),
    "pdf_streams._EXTENSIONS": (pdf_streams, "_EXTENSIONS", 3, pdf_ends),
    "pkcs7._DEPTH": (pkcs7, "_DEPTH", 3, octet_strings),
    "seven_zip._CODERS": (seven_zip, "_CODERS", 4, coders),
    "vba.MODULES": (vba, "MODULES", 3, macro_modules),
    "cfb.NESTING": (cfb, "NESTING", 3, storages),
    "msg._NAME_LEN": (msg, "_NAME_LEN", 64, name_of_attachment),
    "package._TEXT_LEN": (package, "_TEXT_LEN", 64, name_in_package),
    "office._GLOBAL_RECORDS": (office, "_GLOBAL_RECORDS", 5, records_of_workbook),
    "onenote._FILES": (onenote, "_FILES", 3, note_files),
    "onenote._NAMES": (onenote, "_NAMES", 3, note_names),
    "onenote._PROPERTIES": (onenote, "_PROPERTIES", 3, note_properties),
    "binhex._WORDS_LEN": (binhex, "_WORDS_LEN", 80, words_before_binhex),
    "html._LINE_STARTS": (html, "_LINE_STARTS", 3, lines_before_base64),
    "html._HEAD_LEN": (html, "_HEAD_LEN", 64, long_line_before_base64),
    "html.RUN_LEN": (html, "RUN_LEN", 80, base64_too_short),
    "html._BIG_LEN": (html, "_BIG_LEN", 512, base64_of_no_type),
    "html._TAG_LEN": (html, "_TAG_LEN", 64, tag_of_uri),
    "archive._FAILURES": (archive, "_FAILURES", 4, members_in_a_row),
    "rar_header.HEADER_LEN": (rar_header, "HEADER_LEN", 60, header_of_rar),
}


@pytest.mark.parametrize("key", CASES)
def test_crossed_by_one(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """CONT-01, PROC-23: what stands at the bound is had, what stands behind it is not."""
    module, name, number, had = CASES[key]
    monkeypatch.setattr(module, name, number)
    assert [had(number), had(number + 1)] == [True, False]


def test_octets_that_a_pdf_takes_besides() -> None:
    """CONT-11: pdf._TABLES and pdf._SCRIPT: what takes more than there is room for by one is cut."""
    holder = document(object_stream(5, {6: b"(" + b"x" * 500 + b")"}))
    held = next(len(one.data) for one in found(holder) if b"xxx" in one.data)
    script = document(thing(6, b"<</S /JavaScript /JS (" + b"y" * 500 + b")>>"))
    for buf, mark, length, times in ((holder, b"xxx", held, pdf._TABLES), (script, b"yyy", 500, pdf._SCRIPT)):
        for less in (0, 1):
            (one,) = (one for one in found(buf, pdf_material.Room(times * length - less)) if mark in one.data)
            assert (len(one.data), one.over) == (length - less, bool(less))


def test_work_for_one_pdf() -> None:
    """CONT-06: pdf_objects._WORK."""
    objects = pdf_objects.Objects(document(thing(1, b"null")), Room())
    objects.charge(pdf_objects._WORK * len(objects.buf) + limits.MIB)
    with pytest.raises(pdf_objects.TooMuch):
        objects.charge(1)


def test_streams_of_a_pdf_that_lie_in_each_other() -> None:
    """CONT-06: each of them is read anew, though none yields anything."""
    for count, told in ((20, []), (1000, [("limit", "work for one PDF")])):
        one = b"%07d 0 obj\n<</Length %09d/Filter/ASCIIHexDecode>>\nstream\n" + b" " * 40
        size = len(one % (0, 0))
        streams = b"".join(one % (number, size * (count - number - 1) + 40) for number in range(count))
        assert Found(pdf.members, b"%PDF-1.7\n" + streams + b"\nendstream\n").gaps == told


def test_names_of_a_note_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """FILE-06: names past onenote._NAMES are told, never left out in silence."""
    monkeypatch.setattr(onenote, "_NAMES", 2)
    for more in (0, 1):
        names = b"".join(test_onenote._property(f"n{number}.hta") for number in range(more))
        section = test_onenote._section(TEXT) + names
        for buf in (section + names, test_onenote._packaged(TEXT, "a.hta") + names * 2):
            assert (("limit", "2 names of files in a onenote section") in Found(onenote.members, buf).gaps) == bool(
                more
            )


def test_rules_meet_every_name_of_a_note() -> None:
    """FILE-06: onenote._NAMES_EACH: whichever of all names a file of a packaged section has, one is tried by it."""
    first = test_onenote._packaged(TEXT, "n0.txt")
    blob = first[first.rindex(b"\x15\x12") :]
    names = [f"n{number}.txt" for number in range(onenote._NAMES_EACH)] + ["last.hta"]
    buf = first + blob + b"".join(map(test_onenote._property, names[1:]))
    assert [one.also for one in Found(onenote.members, buf).files.values()] == [tuple(names), tuple(names[:-1])]
