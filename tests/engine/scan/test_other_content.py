"""Files in places where only some readers look: behind other content, in mailboxes, under another first line."""

import bz2
import gzip
import lzma
import zlib

import pytest

from engine.scan import magic, zip_file
from engine.scan.facts import Cause, Verdict
from engine.scan.formats import appended, mail_file
from engine.scan.formats.item import Gap, Member
from engine.scan.magic import identify
from engine.scan.offline import examine
from tests.engine.scan.formats.archives_made import cab, lha, rar5, seven_zip, zstd
from tests.engine.scan.formats.rooms import Found
from tests.engine.scan.material import EICAR, Matcher, message, uuencoded, walk, walk_file, zipped

INNER = zipped({"e.com": EICAR})  # packed: not seen in the octets of what it lies in
ZIP = INNER[: INNER.index(b"PK\1\2")]  # without a directory
ARCHIVES = {
    "7z": seven_zip({"in.zip": INNER}),
    "rar": rar5({"in.zip": INNER}),
    "cab": cab({"in.zip": INNER}),
    "lha": lha({"in.zip": INNER}),
    "gzip": gzip.compress(b"a" * 100 + INNER),
    "bzip2": bz2.compress(b"a" * 100 + INNER),
    "xz": lzma.compress(b"a" * 100 + INNER),
    "zip": ZIP,
}
BEFORE = {
    "picture.jpg": b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(500),
    "notes.txt": b"words of a letter\r\n" * 200,
    "data.bin": bytes(range(256)),
    "paper.pdf": b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n",
}
ATTACHED = message("inside", [("a.zip", INNER)])


@pytest.mark.parametrize("name", BEFORE)
@pytest.mark.parametrize("kind", ARCHIVES)
def test_archives_behind_other_content(kind: str, name: str) -> None:
    """AV-02, CONT-01: unpackers look for the mark of an archive in all of a file, so we do."""
    content = BEFORE[name] + ARCHIVES[kind]
    assert EICAR not in content
    facts = walk(message("see", [(name, content)])).facts
    assert facts.verdict is Verdict.INFECTED
    assert f"{kind}-in-other-content" in {one.kind for one in facts.findings}


def test_marks_without_an_archive_are_no_archives() -> None:
    """SCAN-07: a mark by itself is no reason to hold clean mail."""
    marks = [
        b"PK\3\4",
        b"7z\xbc\xaf\x27\x1c",
        b"Rar!\x1a\7\0",
        b"MSCF\0\0\0\0",
        b"xx-lh5-",
        b"\x1f\x8b\x08\0",
        b"\xfd7zXZ\0",
    ]
    content = b"\xff\xd8\xff\xe0" + b"".join(mark + b"\xff" * 40 for mark in marks) + b"BZh91A no"
    assert walk(message("see", [("a.jpg", content)])).facts.verdict is Verdict.CLEAN


def test_the_first_of_each_kind_and_how_many_marks() -> None:
    """PROC-23: marks that are looked at are bounded, and beyond it is said."""
    content = BEFORE["data.bin"] + ARCHIVES["7z"] + ARCHIVES["rar"] + ARCHIVES["7z"]
    assert [one.kind for one in Found(appended.members, content).items if isinstance(one, Member)] == ["7z", "rar"]
    below = b"x" + b"PK\3\4\xff" * (appended._CANDIDATES - 1)
    assert Found(appended.members, below).items == []
    over = Found(appended.members, below + b"PK\3\4\xff").items
    assert over == [Gap(Cause.LIMIT, "1000 signatures of archives in other content")]


def test_zip_with_a_directory_is_opened_once() -> None:
    """CONT-01: who ends in a directory is found by it."""
    found = walk_file(BEFORE["picture.jpg"] + INNER, "a.jpg")
    assert [one.part for one in found.facts.parts] == ["a.jpg", "a.jpg/e.com"]


@pytest.mark.parametrize("count", [1, 2, appended._CANDIDATES + 1])
def test_whole_zips_far_from_the_end_are_whole(count: int) -> None:
    """SCAN-07: documents that lie in a file as they are, as attachments in some PDF do, hold no clean mail."""
    clean = zipped({"a.txt": b"words"})
    behind = bytes(zip_file.END_SEARCH_LEN + 5000)
    found = walk_file(BEFORE["picture.jpg"] + (clean + b"x") * min(count, 3) + behind, "a.jpg").facts
    assert (found.verdict, len(found.parts)) == (Verdict.CLEAN, 1 + 2 * min(count, 3))
    many = zipped({f"{number}.txt": b"" for number in range(count)})
    assert walk_file(BEFORE["picture.jpg"] + many + behind, "a.jpg").facts.verdict is Verdict.CLEAN


def test_zips_behind_a_whole_one() -> None:
    """AV-02: a whole archive hides none that comes behind it, and none whose end record tells another begin."""
    clean, behind = zipped({"a.txt": b"words"}), bytes(zip_file.END_SEARCH_LEN + 5000)
    long = clean[:-2] + b"\xff\xff"  # the comment that it is said to have
    odd = b"PK\5\6" + bytes(30)
    for content in (clean + INNER, clean + ZIP, ZIP + clean, clean + odd + INNER, long + INNER, long + ZIP):
        assert walk_file(BEFORE["picture.jpg"] + content + behind, "a.jpg").facts.verdict is Verdict.INFECTED


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_each_message_of_a_mailbox(place: int, line_end: bytes) -> None:
    """AV-02: a mailbox that is attached has several messages, whose attachments are encoded each for itself."""
    plain = b"Subject: nothing\r\n\r\nFrom here on\r\nno postmark\r\n"
    mails = [ATTACHED if number == place else plain for number in range(3)]
    mailbox = b"".join(b"From a@b.example Thu Jan  1 00:00:00 2026\r\n" + mail + b"\r\n" for mail in mails)
    mailbox = mailbox.replace(b"\r\n", line_end)
    facts = walk(message("see", [("all.mbox", mailbox)])).facts
    assert facts.verdict is Verdict.INFECTED
    assert any(one.part == f"2/all.mbox/message-{place + 1}/2/a.zip/e.com" for one in facts.matches)
    assert examine(mailbox, "all.mbox", Matcher()).verdict is Verdict.INFECTED


def test_what_is_no_mailbox() -> None:
    one = b"From a@b.example Thu Jan  1 00:00:00 2026\nSubject: x\n\nFrom time to time\nthere is: a colon\n"
    assert not mail_file.is_mailbox(one)
    assert mail_file.is_mailbox(one + b"\n" + one)
    assert not mail_file.is_mailbox(b"Subject: x\n\n" + one)
    assert Found(mail_file.members, one).items == []


@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("a.eml", b"\xef\xbb\xbf"),
        ("a.emlx", b"1234      \n"),
        ("a.eml", b"X: field\r\nThat-Nobody: knows\r\n"),
        ("letter.doc", b"%PDF-1.7\n1 0 obj<<>>endobj\r\n\r\n"),
        ("letter.doc", b"some words\r\n\r\n"),
    ],
)
def test_messages_with_something_before(name: str, before: bytes) -> None:
    """AV-02: what clients and Word open as a message is one, whatever is in front of it."""
    mail = b"MIME-Version: 1.0\r\n" + ATTACHED.replace(b"MIME-Version: 1.0\r\n", b"")
    assert walk(message("see", [(name, before + mail)])).facts.verdict is Verdict.INFECTED


def test_a_message_far_behind_other_content() -> None:
    """AV-02: a PDF that Word opens as a web archive may say so late; what is before two fields is told short
    (mail_file._BEFORE_LEN)."""
    mail = b"MIME-Version: 1.0\r\n" + ATTACHED.replace(b"MIME-Version: 1.0\r\n", b"")
    before = b"%PDF-1.7\n%" + b"x" * 300_000 + b"\r\n\r\n"
    assert walk(message("see", [("a.doc", before + mail)])).facts.verdict is Verdict.INFECTED
    for more, count in ((0, 1), (1, 0)):
        first = b"\xef\xbb\xbf" + b"X-Long: ".ljust(mail_file._BEFORE_LEN - 7 + more, b"x") + b"\nTo: y\n\n"
        opened = [one for one in walk_file(first, "a.txt").facts.parts if one.part == "a.txt/message"]
        assert len(opened[:1]) == count


def test_text_with_a_mark_in_front_is_searched_for_files() -> None:
    """AV-02: clients take files in UUE out of a text body, whatever its first octets look like."""
    for mark in (b"#!", b"GIF89a", b"FWS", b"PK\3\4", b"\x1f\x8b\x08\0", b"%!", b"{\\rt"):
        body = mark + b"\r\n" + uuencoded(INNER, "a.zip")
        mail = b"From: a@b.example\r\nContent-Type: text/plain\r\n\r\n" + body
        assert walk(mail).facts.verdict is Verdict.INFECTED, mark


def test_uue_without_a_name() -> None:
    """AV-02: readers take the name from the subject, or make one up."""
    for first in (b"begin 644", b"begin 644 ", b"begin 755 \t"):
        body = uuencoded(INNER, "NAME").replace(b"begin 644 NAME", first)
        assert b"NAME" not in body
        assert walk(b"Subject: a.zip\r\n\r\n" + body).facts.verdict is Verdict.INFECTED


@pytest.mark.parametrize("count", [1, magic._SKIPPED, magic._SKIPPED + 1])
def test_frames_that_are_skipped(count: int) -> None:
    """AV-02: zstd and lz4 may begin with frames that their readers skip (RFC 8878 s3.1.2)."""
    frames = b"".join(bytes([0x50 + number % 16]) + b"\x2a\x4d\x18" + b"\3\0\0\0abc" for number in range(count))
    facts = walk(message("see", [("a.zst", frames + zstd(INNER))])).facts
    assert facts.verdict is Verdict.INFECTED
    lz4 = frames + b"\x04\x22\x4d\x18" + bytes(9)
    assert identify(lz4, 0, len(lz4)) == ("lz4" if count <= magic._SKIPPED else "zstd")


@pytest.mark.parametrize("unknown", [True, False])
def test_lzma_of_any_properties(unknown: bool) -> None:
    """AV-02: .lzma has no mark; what its header says is all there is."""
    for number, (lc, lp, pb) in enumerate([(0, 0, int(not unknown)), (4, 0, 2), (1, 3, 4), (3, 1, 0)]):
        filters = [{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 16 + number, "lc": lc, "lp": lp, "pb": pb}]
        packed = lzma.compress(INNER, lzma.FORMAT_ALONE, filters=filters)
        if not unknown:
            packed = packed[:5] + len(INNER).to_bytes(8, "little") + packed[13:]
        assert identify(packed, 0, len(packed)) == "lzma"
        assert walk(message("see", [("a.lzma", packed)])).facts.verdict is Verdict.INFECTED


def test_what_is_no_lzma() -> None:
    """SCAN-07: zeros, tables of numbers and texts are none."""
    small = b"".join(number.to_bytes(4, "little") for number in range(1, 300))
    table = bytes.fromhex("0000000001 0115000000000000 00000000") + b"\0\2\0\x10\1\0" * 20
    for content in (table, bytes(1000), bytes([1, 0, 0, 1]) + bytes(500), small, bytes([0, 0, 16, 0, 0]) + bytes(500)):
        assert identify(content, 0, len(content)) == "data"


@pytest.mark.parametrize("mark", [b"CWS", b"ZWS"])
def test_packed_flash(mark: bytes) -> None:
    """AV-02: what Flash files pack is unpacked."""
    plain = b"\0" * 50 + EICAR
    head = mark + b"\x0d" + (8 + len(plain)).to_bytes(4, "little")
    if mark == b"CWS":
        packed = head + zlib.compress(plain)
    else:
        alone = lzma.compress(plain, lzma.FORMAT_ALONE)
        packed = head + (len(alone) - 13).to_bytes(4, "little") + alone[:5] + alone[13:]
    assert EICAR not in packed
    assert walk(message("see", [("a.swf", packed)])).facts.verdict is Verdict.INFECTED
    cut = walk(message("see", [("a.swf", packed[:24])])).facts
    assert cut.verdict is Verdict.UNSCANNED


@pytest.mark.parametrize(
    ("name", "content"), [("a.pst", b"!BDN\1\2\3\4SM" + bytes(600)), ("a.dbx", b"\xcf\xad\x12\xfe" + bytes(600))]
)
def test_stores_of_mail_that_are_not_opened(name: str, content: bytes) -> None:
    """SCAN-07: stores of Outlook keep mail in a way of their own, so they are not clean."""
    facts = walk(message("see", [(name, content)])).facts
    assert [one.cause for one in facts.unscanned] == [Cause.UNSUPPORTED]
