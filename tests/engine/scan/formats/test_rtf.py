"""Objects of RTF documents, however they are spelled; where readers differ, what each of them sees."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cext.rtf import ESCAPES, FLAT, GROUPS, NO_BIN, objects
from engine.scan.facts import Verdict
from engine.scan.formats import rtf
from tests.engine.scan.formats.compound import compound, ole1, packed
from tests.engine.scan.formats.rooms import Found, Room
from tests.engine.scan.material import EICAR, VIRUS, walk_file


def _document(data: bytes) -> bytes:
    return b"{\\rtf1\\ansi text {\\object\\objemb{\\*\\objclass Package}{\\*\\objdata " + data + b"}} more}"


def _spelled(octets: bytes) -> bytes:
    return octets.hex().encode()


PACKAGE = ole1("Package", packed("a.js", "C:\\a.js", "C:\\Temp\\a.js", EICAR))


def test_packed_file() -> None:
    facts = walk_file(_document(_spelled(PACKAGE)), "a.rtf").facts
    part = facts.parts[1]
    assert "a.js" in part.filenames and part.size == len(EICAR)
    assert [(one.name, one.part) for one in facts.matches] == [(VIRUS, part.part)]
    assert not facts.unscanned and not facts.findings


def test_compound_file_in_an_object_and_behind_a_broken_header() -> None:
    storage = compound({"Contents": EICAR + b" " * 64})
    for octets in (ole1("Word.Document.8", storage), b"\x01\x05\0\0\x09\0\0\0junk" + storage, storage):
        facts = walk_file(_document(_spelled(octets)), "a.doc").facts
        assert any(one.part.endswith("Contents") for one in facts.matches)


@pytest.mark.parametrize("step", [1, 2, 3, 7])
def test_digits_broken_by_what_readers_pass_over(step: int) -> None:
    digits = _spelled(PACKAGE).upper()
    for junk in (b"\r\n", b" \t", b"\\objupdate ", b"\\bin0 ", b"\\~", b"zz"):
        document = _document(junk.join(digits[at : at + step] for at in range(0, len(digits), step)))
        assert [one.data for one in Found(rtf.members, document).files.values()] == [EICAR], junk


@pytest.mark.parametrize(
    "spelled",
    [
        b"\\bin%d " % len(PACKAGE) + PACKAGE,
        _spelled(PACKAGE[:9]) + b"{\\*\\unknown 00ff}" + _spelled(PACKAGE[9:]),
        _spelled(PACKAGE[:9]) + b"{" + _spelled(PACKAGE[9:]) + b"}",
        _spelled(PACKAGE[:9]) + b"{\\*\\unknown " + _spelled(PACKAGE[9:]) + b"}",
        _spelled(PACKAGE[:9]) + b"\\'41" + _spelled(PACKAGE[9:]),
        b"".join(b"\\'%02x" % octet for octet in PACKAGE),
        _spelled(PACKAGE)[:-40],
    ],
)
def test_every_reading_is_examined(spelled: bytes) -> None:
    data = [one.data for one in Found(rtf.members, _document(spelled)).files.values()]
    assert any(one and EICAR.startswith(one) for one in data)


def test_data_behind_a_length_that_hides_it() -> None:
    document = b"{\\rtf1 \\bin999999 {\\object{\\*\\objdata " + _spelled(PACKAGE) + b"}}}"
    found = Found(rtf.members, document)
    assert EICAR in [one.data for one in found.files.values()] and "rtf-ambiguous" in found.odd


def test_document_without_objects() -> None:
    facts = walk_file(b"{\\rtf1 \\'e4 {\\pict 00ff} \\u8364 ? words}", "a.rtf").facts
    assert facts.verdict is Verdict.CLEAN and not facts.findings and len(facts.parts) == 1


def test_limits_crossed_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    two = b"{\\rtf1" + b"{\\*\\objdata 0102}" * 2 + b"}"
    for most, cut in ((2, False), (1, True)):
        monkeypatch.setattr(rtf, "OBJECTS", most)
        assert (("limit", "rtf-objects") in Found(rtf.members, two).gaps) is cut
    monkeypatch.undo()
    for room, cut in ((4, False), (3, True)):
        assert (("limit", "rtf-objects") in Found(rtf.members, two, Room(room)).gaps) is cut


def test_readings_of_the_kernel() -> None:
    document = b"\\objdata 01{\\*\\x 02}{03}\\'04\\bin2 ab05"
    assert objects(document, 0, 99, 9) == ([(0, b"\x01\x03ab\x05")], False, True)
    assert objects(document, GROUPS, 99, 9)[0] == [(0, b"\x01\x02\x03ab\x05")]
    assert objects(document, FLAT, 99, 9)[0] == [(0, b"\x01ab\x05")]
    assert objects(document, ESCAPES, 99, 9)[0] == [(0, b"\x01\x03\x04ab\x05")]
    assert objects(document, NO_BIN, 99, 9)[0] == [(0, b"\x01\x03\xab\x05")]
    assert objects(document, 0, 3, 9) == ([(0, b"\x01\x03a")], True, True)
    with pytest.raises(ValueError):
        objects(document, 0, -1, 9)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=500), st.integers(1, 9))
def test_round_trip(content: bytes, step: int) -> None:
    digits = _spelled(content)
    spread = b"\n".join(digits[at : at + step] for at in range(0, len(digits), step))
    assert objects(_document(spread), 0, 1 << 20, 9)[0][0][1] == content


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [b"{", b"}", b"\\", b"\\*", b"\\'", b"\\bin", b"9", b"\\objdata", b" ", b"0a", b"-", b"\0", b"zz"]
        ),
        max_size=60,
    ).map(b"".join)
)
def test_octets_never_raise_and_stay_in_room(octets: bytes) -> None:
    for reading in range(16):
        found, over, _ = objects(octets, reading, 20, 3)
        assert len(found) <= 3 and sum(len(one) for _, one in found) <= 20
        assert over or objects(octets, reading, 1 << 20, 100)[0] == found
    Found(rtf.members, b"{\\rtf1" + octets)
