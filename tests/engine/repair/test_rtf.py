"""RTF: objects, DDE fields and remote templates become blanks; the document keeps its length."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.repair import rtf
from engine.scan.formats import rtf as opener
from tests.engine.repair import infected
from tests.engine.repair.documents import RTF
from tests.engine.repair.infected import MARK
from tests.engine.scan.formats.rooms import Found


def test_everything_at_once() -> None:
    """AV-13: what was put in is gone with its octets, results stay, nothing is left at a second look."""
    content = infected.rtf(RTF)
    done = rtf.cleaned(content)
    assert done is not None and done.done == ("embedded objects", "DDE fields", "external template")
    assert len(done.content) == len(content) and done.content.startswith(RTF[:-1])
    assert MARK not in done.content and MARK.hex().encode() not in done.content and b"invalid" not in done.content
    assert b"{\\fldrslt last result}" in done.content and b"objupdate" not in done.content
    assert not Found(opener.members, done.content).files and rtf.cleaned(done.content) is None


HEX = b"4d41524b4544"


@pytest.mark.parametrize(
    ("inside", "words"),
    [
        (b"{\\object{\\*\\objdata " + HEX + b"}}", "embedded objects"),
        (b"{\\object{\\objdata{\\*\\x " + HEX + b"}" + HEX + b"}}", "embedded objects"),
        (b"{\\object {\\* \\objdata\\'01\\bin6 MARKED" + HEX + b"}}", "embedded objects"),
        (b"{\\object{\\*\\objdata " + HEX + b"\\}" + HEX + b"}}", "embedded objects"),
        (b"{\\*\\datastore " + HEX + b"}", "embedded objects"),
        (b"{\\field{\\*\\fldinst { D\\'44}{\\b\\u69 ?AUTO MARKED}}{\\fldrslt kept}}", "DDE fields"),
        (b"{\\field{\\fldinst dde MARKED}{\\fldrslt kept}}", "DDE fields"),
        (b"{\\field{\\*\\fldinst \\u68?\\u68?\\u-65467?AUTO MARKED}{\\fldrslt kept}}", "DDE fields"),
        (b"{\\*\\template http:\\u47?\\u47?MARKED/t.dot}", "external template"),
        (b"{\\*\\template \\\\\\\\MARKED\\\\t.dot}", "external template"),
        (b"{\\*\\template http\\'3a//MARKED/t.dot}", "external template"),
    ],
)
def test_ways_to_write_it(inside: bytes, words: str) -> None:
    """AV-13: with groups, escapes and binary data within."""
    content = RTF[:-1] + inside + b"{\\b after}}"
    done = rtf.cleaned(content)
    assert done is not None and done.done == (words,) and len(done.content) == len(content)
    assert b"MARKED" not in done.content and HEX not in done.content
    assert done.content.endswith(b"{\\b after}}") and (b"kept" in done.content) == (b"kept" in inside)
    assert rtf.cleaned(done.content) is None


def test_what_does_not_act_is_not_touched() -> None:
    """AV-13: other fields, pictures, a local template."""
    assert rtf.cleaned(RTF[:-1] + b"The word \\\\objdata 0102 means an object}") is None
    inside = b"{\\*\\template C:\\\\a.dot}{\\field{\\*\\fldinst PAGE}{\\fldrslt 1}}{\\pict\\wmetafile8 0102}\\objemb"
    assert rtf.cleaned(RTF) is None and rtf.cleaned(RTF[:-1] + inside + b"}") is None


def test_what_cannot_be_changed_is_refused() -> None:
    """AV-13: groups that never end, and objects that only other readers see."""
    assert rtf.cleaned(b"{\\rtf1 {\\object{\\*\\objdata 01{02}") is None
    hidden = b"{\\*\\template //x}{\\object\\bin1 \\\\objdata " + HEX + b"}"
    assert rtf.cleaned(RTF[:-1] + hidden + b"}") is None


PIECES = [b"{", b"}", b"\\*", b"\\objdata ", HEX, b"\\bin3 ", b"\\'7d", b"\\fldinst", b" DDE", b"\\objupdate"]


def test_bounds_of_instructions() -> None:
    """AV-13: what says nothing within INSTRUCTION_LEN may say DDE behind it, and a place may be remote."""
    for word in (b"\\fldinst", b"\\template"):
        for blanks, is_cleaned in ((rtf.INSTRUCTION_LEN, False), (rtf.INSTRUCTION_LEN + 1, True)):
            content = RTF[:-1] + b"{\\*" + word + b" " * blanks + b"}}"
            assert (rtf.cleaned(content) is not None) == is_cleaned


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [b"{", b"}", b"\\*", b"\\objdata ", HEX, b"\\bin3 ", b"\\'7d", b"\\fldinst", b" DDE", b"\\objupdate"]
        ),
        max_size=24,
    ).map(b"".join)
)
def test_any_groups(inside: bytes) -> None:
    """AV-13: cleaned or refused; what is cleaned has no object in any reading."""
    content = RTF[:-1] + inside + b"}"
    done = rtf.cleaned(content)
    if done is not None:
        assert len(done.content) == len(content)
        assert not any(bytes(one.data).strip(b"\0") for one in Found(opener.members, done.content).files.values())
