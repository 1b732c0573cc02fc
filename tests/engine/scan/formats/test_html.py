"""Files that HTML and script spell out are members (CONT-01, FILE-06, PROC-22)."""

import base64
import binascii
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.scan.facts import Cause, Verdict
from engine.scan.formats import html
from engine.scan.formats.html import members, utf16
from engine.scan.formats.item import Gap, Item, Member, Odd
from tests.engine.scan.formats.pdf_material import Room
from tests.engine.scan.material import EICAR, walk_file, zipped

PROGRAM = b"MZ" + bytes(range(256)) * 2
CODED = base64.b64encode(PROGRAM)


def opened(buf: bytes, room: Room | None = None) -> list[Item]:
    return list(members(buf, room or Room()))


def found(buf: bytes, room: Room | None = None) -> list[Member]:
    return [item for item in opened(buf, room) if isinstance(item, Member)]


def coded(data: bytes) -> bytes:
    return base64.b64encode(data)


@pytest.mark.parametrize(
    "page",
    [
        b'<a href="data:application/octet-stream;base64,%s">x</a>',
        b"<a href='DATA:;BASE64,%s'>x</a>",
        b"<img src=data:a/b;name=x;base64,%s alt=words>",
        b"<style>p { background: url(data:a/b;base64 ,%s) }</style>",
        b'<a href="&#100;ata:a/b;base64,%s">x</a>',
        b'<script>var x = atob("%s");</script>',
        b"<script>ATOB(\n `%s` )</script>",
    ],
)
def test_data_uris(page: bytes) -> None:
    assert EICAR in [one.data for one in found(b"<html>" + page.replace(b"%s", coded(EICAR)))]


def test_what_scripts_decode() -> None:
    assert opened(b'atob("%s")' % coded(b"words and words")) == [
        Member("script-1.text", b"words and words", stream=True)
    ]
    assert opened(b'atob("%s")' % coded(PROGRAM))[0] == Odd("html-smuggling")
    assert [one.data for one in found(b'atob("%s")' % coded(b"<html><script>x</script>"))] == [
        b"<html><script>x</script>"
    ]


def test_data_uris_that_are_wrapped_or_escaped() -> None:
    wrapped = b"\r\n ".join(CODED[at : at + 60] for at in range(0, len(CODED), 60))
    entities = CODED.replace(b"/", b"&#x2F;").replace(b"+", b"&plus;")
    percent = CODED.replace(b"+", b"%2B").replace(b"=", b"%3d")
    script = CODED.replace(b"/", b"\\/")
    safe = CODED.translate(bytes.maketrans(b"+/", b"-_"))
    for body in (wrapped, entities, percent, script, safe):
        assert [one.data for one in found(b'<a href="data:a/b;base64,%s">' % body)] == [PROGRAM]


def test_what_follows_an_unquoted_uri_is_not_part_of_it() -> None:
    (one,) = found(b"<img src=data:image/png;base64,iVBORw0KGgo= alt=word>")
    assert one.data == b"\x89PNG\r\n\x1a\n"
    assert (one.name, one.stream) == ("data-1.png", True)


@pytest.mark.parametrize(
    "tag",
    [
        b'<a href="data:;base64,%s" download="order.exe">',
        b"<a download='order.exe' href=\"data:;base64,%s\">",
        b"<a download=order.exe href=data:;base64,%s>",
        b'<a download="&#111;rder.exe" href="data:,%%4d%%5a">',
    ],
)
def test_the_download_attribute_names_the_file(tag: bytes) -> None:
    (one,) = found(tag.replace(b"%s", CODED).replace(b"%%", b"%"))
    assert (one.name, one.stream) == ("order.exe", False)


def test_percent_encoded_uris() -> None:
    page = b'<a href="data:text/plain,%s">' % quote_from_bytes(EICAR).encode()
    assert [one.data for one in found(page)] == [EICAR]
    assert found(b'the data: words, and <a href="data:text/plain,words">') == []


def test_overlapping_uris_end() -> None:
    assert [item.cause for item in opened(b"data:a,x" * 3000) if isinstance(item, Gap)] == [Cause.LIMIT]


def test_uris_in_uris_do_not_multiply() -> None:
    page = b"x"
    for _ in range(9):
        page = b"data:,%41" + page.replace(b"%", b"%25")
    facts = walk_file(b"<html>" + page, "page.html").facts
    assert facts.verdict is Verdict.CLEAN and len(facts.parts) == 10


def test_long_runs_in_scripts() -> None:
    for text in (CODED, CODED.translate(bytes.maketrans(b"+/", b"-_")), binascii.hexlify(PROGRAM)):
        items = opened(b"<script>var b = '%s'; a.download = 'order.exe';</script>" % text)
        assert items == [Odd("html-smuggling"), Member("order.exe", PROGRAM)]
    items = opened(b'{"content": "%s"}' % coded(zipped({"a": PROGRAM})))
    assert isinstance(items[1], Member) and (items[1].name, items[1].stream) == ("script-1.zip", True)


def test_runs_behind_lines_of_text() -> None:
    wrapped = b"\n".join(CODED[at : at + 76] for at in range(0, len(CODED), 76))
    assert [one.data for one in found(b"Encoding-Base64\n\n" + wrapped + b"\n")] == [PROGRAM]


def test_big_runs_are_decoded_whatever_they_are() -> None:
    image = bytes(32769) + b"CD001" + bytes(9000)
    items = opened(b"var x = '%s'" % coded(image))
    assert items == [Odd("html-smuggling"), Member("script-1.iso", image, stream=True)]


def test_tokens_are_none() -> None:
    for token in (b"\x99" * 300, b"words and words " * 30, b"BM" + b"\1" * 300):
        assert opened(b"https://example.com/?x=%s" % coded(token)) == []
    assert opened(b"-" * 1000 + b"\r\n" + b"=" * 1000 + b"\n" + b"x" * 1000) == []


def test_a_run_within_a_data_uri_is_not_told_twice() -> None:
    assert len(opened(b'<a href="data:;base64,%s">' % CODED)) == 1


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("mark", ["\ufeff", ""])
def test_utf16_is_narrowed(encoding: str, mark: str) -> None:
    page = (mark + '<html><a href="data:;base64,' + coded(EICAR).decode() + '">x</a>').encode(encoding)
    assert utf16(page) == encoding
    facts = walk_file(page, "page.html").facts
    assert [match.part for match in facts.matches] == ["page.html/utf-8/data-1"]


def test_other_octets_are_not_utf16() -> None:
    for data in (b"", b"a\0", b"words" * 20, bytes(64), b"\0\0\1\0" * 20):
        assert utf16(data) == ""


def test_the_walk_finds_what_is_spelled_out() -> None:
    facts = walk_file(b'<html><a href="data:;base64,%s" download="a.pdf.exe">' % coded(EICAR), "page.html").facts
    assert facts.verdict is Verdict.INFECTED
    assert facts.parts[1].filenames == ("a.pdf.exe",)


def test_room_cuts_by_one() -> None:
    for page in (b'"data:;base64,%s"' % CODED, b"'%s'" % CODED, b"'%s'" % PROGRAM.hex().encode()):
        assert [(one.data, one.over) for one in found(page, Room(len(PROGRAM)))] == [(PROGRAM, False)]
        (one,) = found(page, Room(len(PROGRAM) - 1))
        assert (one.data, one.over) == (PROGRAM[:-1], True)
    text = "words".encode("utf-16")
    assert [(one.data, one.over) for one in found(text, Room(5))] == [(b"words", False)]
    assert [(one.data, one.over) for one in found(text, Room(4))] == [(b"word", True)]


def test_twice_the_input_is_twice_the_work() -> None:
    def work(count: int) -> int:
        room = Room()
        opened((b'<a href="data:;base64,%s">atob("' % CODED) * count, room)
        return room.checks

    assert work(200) <= 2 * work(100) + 2


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=1, max_size=200))
def test_what_goes_in_comes_out(data: bytes) -> None:
    if len(coded(data)) >= 4:
        assert [one.data for one in found(b"<img src='data:a/b;base64,%s'>" % coded(data))] == [data]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [b"data:", b";base64,", b"atob('", b"'", b'"', CODED, b"a,%41", b"&#x", b"\0", b"<a download="]
        ),
        max_size=12,
    )
)
def test_any_text_is_bounded(pieces: list[bytes]) -> None:
    assert all(len(one.data) <= 99 for one in found(b"".join(pieces), Room(99)))


def test_names_are_bounded() -> None:
    assert len(html._shown(b"x" * 5000)) == 1024
