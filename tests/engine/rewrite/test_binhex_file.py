"""BinHex files that are changed (AV-09, AV-10): what is written reads back, also for others."""

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cext.binhex import decode
from engine import limits
from engine.config import Antivirus, Settings
from engine.policy import decide
from engine.rewrite import CannotRewrite, apply, spliced
from engine.rewrite.binhex_file import BinHex, Unusable, read, write
from engine.scan.facts import Verdict
from engine.scan.formats import binhex
from engine.scan.formats.item import Member
from engine.scan.outcome import Fate
from engine.scan.service import examine
from tests.engine.scan.formats.rooms import Found
from tests.engine.scan.material import EICAR, Clock, Matcher, message, walk
from tests.oracles.binhex import armor, encode, stream
from tests.oracles.binhex import decode as oracle

PAGE = b"<html><p>a</p></html>"
BAD = PAGE.replace(b"<p>", b"<script>" + EICAR + b"</script><p>")
FORKS = st.one_of(st.binary(max_size=200), st.lists(st.sampled_from(b"\x90a"), max_size=700).map(bytes))


@given(st.binary(min_size=1, max_size=63), FORKS, FORKS, st.integers(0, 65535), st.sampled_from([b"\n", b"\r\n"]))
@example(b"a", b"\x90" * 256 + b"b" * 255 + b"c" * 4, b"", 0, b"\n")
def test_what_is_written_reads_back(name: bytes, data: bytes, resource: bytes, flags: int, line_end: bytes) -> None:
    file = BinHex(name, data, resource, b"abcd", b"efgh", flags)
    text = write(file, b":" + line_end)
    assert read(text) == file
    assert text[:1] == text[-1:] == b":" and text.count(b":") == 2 and max(map(len, text.split(line_end))) <= 64
    octets, findings, used = decode(text[1:], 1 << 20)
    assert (octets, findings, used) == oracle(text[1:], 1 << 20) and not findings and used == len(text) - 1
    found = Found(binhex.members, b"(This file must be converted with BinHex 4.0)\r\n" + text + b"\r\n")
    forks = [one.data for one in found.items if isinstance(one, Member)]
    assert forks == ([data, resource] if resource else [data]) and not found.odd


@given(st.binary(max_size=300))
def test_any_text_is_read_or_refused(text: bytes) -> None:
    with contextlib.suppress(Unusable):
        read(text)


def test_what_others_write_is_read() -> None:
    text = armor(stream(b"a.txt", b"data" * 99, b"resource"))
    assert read(text) == BinHex(b"a.txt", b"data" * 99, b"resource", b"TEXT", b"ttxt", 0)


@pytest.mark.parametrize("text", [b"::", b":", b"", armor(stream(b"a", b"data")[:-9])])
def test_what_is_cut_short_is_refused(text: bytes) -> None:
    with pytest.raises(Unusable):
        read(text)


def test_what_expands_too_far_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    octets = stream(b"a", b"b" * 5000)
    for room, good in ((len(octets), True), (len(octets) - 1, False)):
        monkeypatch.setattr(limits, "SCAN_TOTAL_LEN", room)
        if good:
            assert len(read(armor(octets)).data) == 5000
        else:
            with pytest.raises(Unusable):
                read(armor(octets))


def edited(text: bytes) -> tuple[bytes, list[Fate], list[str]]:
    """(text after antivirus, what became of its files, names of those that are in it)."""
    data = b"Subject: s\r\n\r\n" + text
    outcome = examine(data, Matcher(), Settings(), clock=Clock())
    result = spliced(data, outcome.splices)
    after = walk(result)
    assert after.facts.verdict is Verdict.CLEAN and not outcome.attachments_deleted
    names = [node.name for node in after.root.children]
    return result[14:], [one.fate for one in outcome.infected], names


def test_forks_are_repaired_and_all_around_stays() -> None:
    """AV-09."""
    files = encode(b"a.html", BAD, b"resources"), encode(b"b.html", b"good", BAD), encode(b"c.txt", b"c")
    text, fates, names = edited(b"before\r\n" + b"between\r\n".join(files) + b"behind\r\n")
    assert fates == [Fate.REPAIRED, Fate.REPAIRED]
    assert names == ["a.html", "a.html.rsrc", "b.html", "b.html.rsrc", "c.txt"]
    files = encode(b"a.html", PAGE, b"resources"), encode(b"b.html", b"good", PAGE), encode(b"c.txt", b"c")
    assert text == b"before\r\n" + b"between\r\n".join(files) + b"behind\r\n"


@pytest.mark.parametrize("forks", [(EICAR, b""), (EICAR, b"resources"), (b"good", EICAR), (EICAR, EICAR)])
def test_a_file_is_replaced(forks: tuple[bytes, bytes]) -> None:
    """AV-10: as a whole, whichever fork it was; n skips what is there already."""
    text, fates, names = edited(encode(b"e.com", *forks) + encode(b"DELETED0.TXT", b"0") + encode(b"f.com", EICAR))
    assert fates == [Fate.DELETED] * (2 + (forks == (EICAR, EICAR)))
    assert names == ["DELETED1.TXT", "DELETED0.TXT", "DELETED2.TXT"]
    assert b"BinHex 4.0" in text


def test_files_that_share_a_colon_are_not_rewritten() -> None:
    both = armor(stream(b"e.com", EICAR)).rstrip(b"\r\n")[:-1] + b"\r\n" + armor(stream(b"b.txt", b"b"))
    data = message("t\n", [("x.txt", both)])
    found = walk(data)
    infected = [node for node in found.root.everything() if node.viruses]
    assert infected and infected[0].role == "binhex"
    with pytest.raises(CannotRewrite):
        apply(data, found, decide(infected, [], Antivirus()).deletions)
    outcome = examine(data, Matcher(), Settings(), clock=Clock())
    assert [one[:2] for one in outcome.attachments_deleted] == [("2", "x.txt")]
