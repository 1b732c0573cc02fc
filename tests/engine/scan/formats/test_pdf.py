"""PDF is taken apart as its readers do, in every revision and disguise (CONT-01, ENC-07, PROC-22)."""

import base64
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import limits
from engine.scan.facts import Cause, Verdict
from engine.scan.formats import pdf_objects
from engine.scan.formats.item import Gap, Member, Odd, Unread
from engine.scan.formats.pdf import members
from tests.engine.scan.formats.pdf_material import (
    Room,
    attached,
    contents,
    document,
    flate,
    found,
    object_stream,
    opened,
    stream,
    thing,
)
from tests.engine.scan.material import EICAR, walk_file, zipped


def odd(buf: bytes) -> dict[str, bool]:
    return {item.kind: item.severe for item in opened(buf) if isinstance(item, Odd)}


def gaps(buf: bytes, room: Room | None = None) -> list[Cause]:
    return [item.cause for item in opened(buf, room) if isinstance(item, Gap)]


def test_streams_are_members_that_are_no_files() -> None:
    (one,) = found(document(stream(4, flate(b"BT (words) Tj ET"))))
    assert (one.name, one.data, one.stream, one.complete) == ("obj4", b"BT (words) Tj ET", True, True)


def test_an_attachment_is_found_in_the_walk_under_its_name() -> None:
    facts = walk_file(attached(EICAR), "order.pdf").facts
    assert [match.part for match in facts.matches] == ["order.pdf/invoice.exe"]
    assert facts.verdict is Verdict.INFECTED
    assert "pdf-embedded-file" in odd(attached(EICAR))


def test_a_clean_document_is_clean() -> None:
    facts = walk_file(document(stream(4, flate(b"words"))), "order.pdf").facts
    assert facts.verdict is Verdict.CLEAN and not facts.findings


@pytest.mark.parametrize(
    ("head", "packed"),
    [
        (b"", EICAR),
        (b"/Filter /Fl", flate(EICAR)),
        (b"/Filter [/FlateDecode /FlateDecode]", flate(flate(EICAR))),
        (b"/Filter [/ASCIIHexDecode /Fl]", flate(EICAR).hex().encode() + b">"),
        (b"/Filter /AHx", b" \n".join(b"%02x" % octet for octet in EICAR) + b">"),
        (b"/F#69lter /#46lateDecode", flate(EICAR)),
        (b"/Filter % comment )>>\n /FlateDecode", flate(EICAR)),
        (b"/Note (endobj \\) >> stream) /Filter/FlateDecode", flate(EICAR)),
        (b"/Filter 9 0 R", flate(EICAR)),
        (b"/Filter [/Crypt /FlateDecode] /DecodeParms [<< /Name /Identity >> null]", flate(EICAR)),
        (b"/Filter /FlateDecode /Filter /AHx", flate(EICAR)),
        (b"/Filter /AHx /Filter /FlateDecode", flate(EICAR)),
        (b"/Filter /FlateDecode /DecodeParms << /Predictor 2 /Columns 1 >>", flate(EICAR)),
    ],
)
def test_every_way_to_write_a_filter(head: bytes, packed: bytes) -> None:
    buf = document(thing(9, b"/FlateDecode"), stream(4, packed, head))
    assert EICAR in [one.data for one in found(buf)]


@pytest.mark.parametrize(
    "written",
    [
        b"4 0 obj<</Filter/Fl/Length %d>>stream\r\n%s\r\nendstream endobj",
        b"4 0 obj <</Filter/Fl/Length %d>>\n% comment\nstream\n%s endstream",
        b"4 0 obj <</Filter/Fl/Length %d>> stream \r\n%s",
        b"4\n0\robj\n<</Filter/Fl/Lenght %d>>stream\r%s\rendstream",
        b"4 0 obj <</Filter/Fl/Length %d\nstream\n%s\nendstream",
        b"4 %%c\n 0 obj <</Filter/Fl/Length %d>>stream\n%s\nendstream",
    ],
)
def test_every_way_to_write_a_stream(written: bytes) -> None:
    packed = flate(EICAR)
    written = written.replace(b"%d", b"%d" % len(packed)).replace(b"%s", packed)
    assert EICAR in contents(b"%PDF-1.4\n" + written).values()


def test_lengths_that_lie_do_not_hide_the_end() -> None:
    for length in (0, 1, 10**6, -5):
        packed = flate(EICAR)
        buf = b"%%PDF-1.4\n1 0 obj\n<</Filter/Fl/Length %d>>\nstream\n%s\nendstream\nendobj" % (length, packed)
        assert contents(buf) == {"obj1": EICAR}


def test_the_end_mark_inside_of_the_data_does_not_cut_it() -> None:
    data = b"endstream " * 3 + EICAR
    packed = zlib.compress(data, 0)
    buf = b"%%PDF-1.4\n1 0 obj\n<</Filter/Fl/Length 9 0 R>>\nstream\n%s\nendstream\nendobj" % packed
    assert contents(buf) == {"obj1": data}
    exact = b"%%PDF-1.4\n1 0 obj\n<</Length %d>>\nstream\n%s\nendstream\nendobj" % (len(data), data)
    assert contents(exact) == {"obj1": data}


def test_more_end_marks_than_are_passed_over_are_severe() -> None:
    packed = zlib.compress(b"endstream " * 20 + EICAR, 0)
    buf = b"%%PDF-1.4\n1 0 obj\n<</Filter/Fl>>\nstream\n%s\nendstream\nendobj" % packed
    assert odd(buf)["pdf-stream-damaged"]


def test_old_revisions_and_unlisted_objects_are_seen() -> None:
    old = document(stream(4, flate(EICAR)))
    assert EICAR in [one.data for one in found(old + document(stream(4, flate(b"new"))))]


def test_a_file_in_front_of_the_header_changes_nothing() -> None:
    assert "invoice.exe" in contents(b"junk\0" * 100 + attached(EICAR))


def test_names_of_files_come_from_their_specification_wherever_it_is() -> None:
    specification = b"<< /Type /F#69lespec /UF <FEFF007800E9002E007300630072> /F (x.scr) /#45F << /UF 12 0 R >> >>"
    buf = document(object_stream(5, {7: specification}), stream(12, flate(EICAR)))
    (one,) = (one for one in found(buf) if not one.stream)
    assert (one.name, one.also, one.data) == ("x\xe9.scr", ("x.scr",), EICAR)


def test_all_names_of_a_file_count() -> None:
    specification = thing(2, b"<< /UF (a.txt) /F (a.exe) /EF << /F 3 0 R >> >>")
    buf = document(specification, stream(3, flate(b"x")))
    (one,) = found(buf)
    assert (one.name, one.also) == ("a.txt", ("a.exe",))


def test_a_file_without_specification_is_a_file() -> None:
    (one,) = found(document(stream(3, flate(EICAR), b"/Type /EmbeddedFile /Filter /FlateDecode")))
    assert (one.name, one.stream) == ("obj3", False)


def test_a_pdf_in_a_pdf_is_opened_once() -> None:
    inner = attached(EICAR)
    buf = document(
        thing(2, b"<< /F (inner.pdf) /EF << /F 3 0 R >> >>"),
        stream(3, inner, b"/Type /EmbeddedFile"),
    )
    assert list(contents(buf)) == ["inner.pdf"]
    facts = walk_file(buf, "outer.pdf").facts
    assert [match.part for match in facts.matches] == ["outer.pdf/inner.pdf/invoice.exe"]


def test_what_else_the_file_is_counts_too() -> None:
    """A mark of PDF in a text, or an archive behind a PDF, hides neither."""
    for mark in (b"<html>%PDF-1.4 ", b"%PDF-1.4 1 0 obj <<>> stream\nx\nendstream "):
        text = mark + b"<a href='data:;base64,%s'>" % base64.b64encode(EICAR)
        assert walk_file(text, "a.html").facts.verdict is Verdict.INFECTED
    both = document(stream(4, flate(b"words"))) + zipped({"evil.com": EICAR})
    assert [match.part for match in walk_file(both, "a.pdf").facts.matches] == ["a.pdf/evil.com"]


@pytest.mark.parametrize(
    ("things", "text"),
    [
        (thing(2, b"<< /S /JavaScript /JS (app.alert\\(1\\);) >>"), b"app.alert(1);"),
        (thing(2, b"<< /S /JavaScript /JS <6170702E616C657274> >>"), b"app.alert"),
        (thing(2, b"<< /#53 /JavaScript /J#53 (\\141lert) >>"), b"alert"),
        (thing(2, b"<< /JS <FEFF00610062> >>"), b"ab"),
        (thing(2, b"<< /JS 3 0 R >>") + thing(3, b"(evil)"), b"evil"),
        (thing(2, b"<< /JS 3 0 R >>") + stream(3, flate(b"evil()")), b"evil()"),
        (object_stream(2, {8: b"<< /S /JavaScript /JS (packed) >>"}), b"packed"),
        (object_stream(2, {8: b"<< /JS 9 0 R >>", 9: b"(apart)"}), b"apart"),
    ],
)
def test_scripts_are_members(things: bytes, text: bytes) -> None:
    assert contents(document(things))["javascript-1.js"] == text
    assert odd(document(things))["pdf-javascript"] is False


def test_one_script_many_times_is_one_member() -> None:
    buf = document(*(thing(number, b"<< /JS (same) >>") for number in range(2, 50)))
    assert list(contents(buf)) == ["javascript-1.js"]


def test_actions_are_findings() -> None:
    assert odd(document(thing(2, b"<< /S /Launch /F (cmd.exe) >>"))) == {"pdf-launch": False}
    assert odd(document(thing(1, b"<< /OpenAction << /S /URI >> >>"))) == {"pdf-open-action": False}
    assert odd(document(thing(1, b"<< /AA << /O 3 0 R >> >>"))) == {"pdf-additional-actions": False}
    assert odd(document(thing(1, b"<< /OpenAction [3 0 R /Fit] >>"))) == {}
    assert odd(document(thing(1, b"<< /OpenAction 2 0 R >>"), thing(2, b"<< /S /GoTo >>"))) == {}


def test_encrypted_documents_are_encrypted() -> None:
    for trailer in (b"/Encrypt 5 0 R", b"/#45ncrypt << /Filter /Standard >>"):
        buf = document(stream(4, b"\x91" * 40), trailer=trailer)
        assert gaps(buf) == [Cause.ENCRYPTED]
        assert contents(buf) == {}
        assert walk_file(buf, "a.pdf").facts.verdict is Verdict.UNSCANNED
    assert contents(document(stream(4, flate(EICAR)), trailer=b"/Encrypt 5 0 R")) == {"obj4": EICAR}


def test_damage_is_read_as_far_as_it_goes() -> None:
    packed = flate(bytes(range(256)) * 40 + EICAR)
    buf = document(stream(4, packed[:-4]))  # without check sum
    assert contents(buf)["obj4"].endswith(EICAR) and not odd(buf)
    cut = document(stream(4, flate(EICAR * 3)[:60]))
    assert contents(cut)["obj4"].startswith(EICAR[:30])
    assert odd(cut) == {"pdf-stream-damaged": False}
    assert walk_file(document(stream(4, flate(b"words" * 9)[:-6])), "a.pdf").facts.verdict is Verdict.CLEAN


def test_a_damaged_attachment_is_not_complete() -> None:
    packed = flate(b"words" * 99)[:-8]
    (one,) = found(document(stream(3, packed, b"/Type /EmbeddedFile /Filter /FlateDecode")))
    assert not one.complete


def test_images_stay_as_they_are_but_only_as_images() -> None:
    image = b"/Subtype /Image /Filter [/FlateDecode /DCTDecode]"
    assert contents(document(stream(4, flate(b"\xff\xd8\xff"), image))) == {"obj4": b"\xff\xd8\xff"}
    (one,) = opened(document(stream(4, b"...", b"/Filter /JBIG2Decode")))
    assert isinstance(one, Unread) and one.cause is Cause.UNSUPPORTED
    hidden = document(thing(2, b"<< /JS 4 0 R >>"), stream(4, b"\0", b"/Subtype /Image /Filter /DCTDecode"))
    assert any(isinstance(item, Unread) for item in opened(hidden))


def test_a_filter_nobody_knows_is_unsupported() -> None:
    (one,) = opened(document(stream(4, b"...", b"/Filter /Brotli")))
    assert isinstance(one, Unread) and one.detail == "pdf Brotli"


def test_filters_that_lead_nowhere_are_severe() -> None:
    assert odd(document(stream(4, flate(b"x"), b"/Filter 99 0 R"))) == {"pdf-filter": True}


def test_a_stream_without_readable_dictionary_is_severe() -> None:
    assert odd(b"%PDF-1.4\n>>\nstream\nwords\nendstream")["pdf-stream-without-dictionary"]


def test_room_cuts_by_one() -> None:
    buf = document(stream(4, flate(b"x" * 100)))
    assert contents(buf, Room(100)) == {"obj4": b"x" * 100}
    (one,) = found(buf, Room(99))
    assert one.over and one.data == b"x" * 99


def test_streams_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    buf = document(*(stream(number, flate(b"x")) for number in range(4)))
    monkeypatch.setattr(limits, "PDF_STREAMS", 4)
    assert gaps(buf) == []
    monkeypatch.setattr(limits, "PDF_STREAMS", 3)
    assert gaps(buf) == [Cause.LIMIT] and len(contents(buf)) == 3


def test_object_streams_that_are_kept_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (object_stream(number, {20 + number: b"(" + b"x" * 50 + b")"}) for number in (2, 3))
    (one,) = found(document(first))
    monkeypatch.setattr(limits, "PDF_OBJECT_STREAMS_LEN", 2 * len(one.data))
    assert not any(one.over for one in found(document(first, second)))
    monkeypatch.setattr(limits, "PDF_OBJECT_STREAMS_LEN", 2 * len(one.data) - 1)
    assert [one.over for one in found(document(first, second))] == [False, True]


def test_objects_past_the_index_lead_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf_objects, "_SEARCHES", 0)
    buf = document(thing(9, b"/FlateDecode"), stream(4, flate(b"x"), b"/Filter 9 0 R"))
    assert contents(buf)["obj4"] == b"x"
    monkeypatch.setattr(limits, "PDF_OBJECTS", 0)
    assert odd(buf) == {"pdf-filter": True}


def test_nul_between_the_numbers_of_an_object_stream_is_white_space() -> None:
    """ISO 32000-1 s7.2.3."""
    table = b"2\0000\0"
    specification = b"<< /Type /Filespec /F (invoice.exe) /EF << /F 3 0 R >> >>"
    head = b"/Type /ObjStm /N 1 /First %d /Filter /FlateDecode" % len(table)
    buf = document(
        stream(7, flate(table + specification), head),
        stream(3, flate(b"x"), b"/Type /EmbeddedFile /Filter /FlateDecode"),
    )
    assert contents(buf)["invoice.exe"] == b"x"


def test_work_that_is_not_linear_ends() -> None:
    """Streams that all claim the rest of the file, and strings without end."""
    reaching = b"".join(b"%d 0 obj <</Length 400000>> stream\nendstream\n" % number for number in range(9000))
    assert gaps(b"%PDF-1.4\n" + reaching + b" " * 400_000) == [Cause.LIMIT]
    endless = b"1 0 obj <</X ( >>\nstream\nendstream\n" * 20_000
    assert Cause.LIMIT in gaps(b"%PDF-1.4\n" + endless)


def test_twice_the_input_is_at_most_twice_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def work(count: int) -> int:
        room = Room()
        things = [stream(number, flate(b"words"), b"/Filter 1 0 R") for number in range(2, count)]
        opened(document(thing(1, b"/FlateDecode"), *things), room)
        return room.checks

    assert work(400) <= 2.2 * work(200)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([b"", b"a (nested) \\", b"\\"]))
def test_what_goes_in_comes_out(data: bytes, name: bytes) -> None:
    text = name.replace(b"\\", b"\\\\") + b"x.exe"
    buf = attached(data, text)
    assert [one.data for one in found(buf) if not one.stream] == [data]


_WHOLE = document(
    object_stream(5, {7: b"<< /F (x.exe) /EF << /F 12 0 R >> >>", 8: b"<< /JS (words) /OpenAction 7 0 R >>"}),
    stream(12, flate(b"words" * 30), b"/Filter [/FlateDecode] /DecodeParms [<< /Predictor 1 >>]"),
    stream(13, b"800B6050220C0C8501>", b"/Filter [/AHx /LZW]"),
    stream(14, b"87cURD]~>", b"/Filter /A85"),
)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_changed_documents_never_raise(data: st.DataObject) -> None:
    changed = bytearray(_WHOLE)
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(changed) - 1))
        changed[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
        if not changed:
            break
    for item in members(bytes(changed), Room()):
        assert isinstance(item, Member | Unread | Odd | Gap)


@pytest.mark.parametrize("end", range(0, len(_WHOLE), 7))
def test_cut_documents_never_raise(end: int) -> None:
    opened(_WHOLE[:end])
