"""Bounds of the parsers of documents, each reached, and crossed by one: what stands at the bound is had, what stands
behind it is not. They are lowered for that: how high they are is a matter of memory and time.
"""

import base64
import struct
from collections.abc import Callable
from types import ModuleType

import pytest

from engine.scan.formats import (
    OPENERS,
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
    seven_zip,
    vba,
)
from engine.scan.formats.pdf_syntax import Malformed
from tests.engine.scan.formats import test_msg, test_onenote
from tests.engine.scan.formats.compound import Tree, compound, native, packed, project
from tests.engine.scan.formats.pdf_material import document, flate, found, stream, thing
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
    return len(onenote._names(more + test_onenote._property("last.hta"), Room())) == count


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


CASES: dict[str, tuple[ModuleType, str, int, Callable[[int], bool]]] = {
    "pdf_filters.CHAIN": (pdf_filters, "CHAIN", 3, pdf_filters_chained),
    "pdf_objects._DEFINITIONS": (pdf_objects, "_DEFINITIONS", 3, pdf_definitions),
    "pdf._WALKED": (pdf, "_WALKED", 12, pdf_values),
    "pdf_syntax.DEPTH": (pdf_syntax, "DEPTH", 5, pdf_depth),
    "pdf_syntax.TOKENS": (pdf_syntax, "TOKENS", 9, pdf_tokens),
    "pdf_streams._READINGS": (pdf_streams, "_READINGS", 3, pdf_ways),
    "pdf_streams._LOOSE_LEN": (pdf_streams, "_LOOSE_LEN", 200, pdf_loose),
    "pdf_streams._LOOSE_TRIES": (pdf_streams, "_LOOSE_TRIES", 3, pdf_loose_tries),
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
}


@pytest.mark.parametrize("key", CASES)
def test_crossed_by_one(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """CONT-01, PROC-23: what stands at the bound is had, what stands behind it is not."""
    module, name, number, had = CASES[key]
    monkeypatch.setattr(module, name, number)
    assert [had(number), had(number + 1)] == [True, False]
