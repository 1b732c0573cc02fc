"""HTML and SVG without what acts, and with all that is read (AV-13). A browser looks at it in test_html_in_chromium."""

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.repair import html
from engine.repair.cleaners import repair
from tests.engine.repair.pages import ACTIVE, READ
from tests.engine.scan.material import zipped

FILE = base64.b64encode(zipped({"a.exe": b"MZ" + bytes(99)}, 0) * 9)


def cleaned(page: bytes) -> bytes:
    found = repair(page, "html")
    assert found is not None and found.done
    assert html.cleaned(found.content) is None, "read again, nothing is left"
    return found.content


@pytest.mark.parametrize(
    ("page", "result"),
    [
        (b"a<script>b</script>c", b"ac"),
        (b"a<SCRIPT\n x='>'>b</ScRiPt\n>c", b"ac"),
        (b"a<script>b<!--<script>c</script>d--></script>e", b"ae"),
        (b"a<script>b<!--c</script>d", b"ad"),
        (b"a<script>b<!--<script>--></script>c", b"ac"),
        (b"a<script>never closed", b"a"),
        (b"<scr<script></script>ipt>b</script>c", b"c"),
        (b"<p onclick=x onMouseOver = 'y'id=z>", b"<p    id=z>"),
        (b"<svg/onload=x>", b"<svg/ >"),
        (b"<p/onclick=x/id=z>", b"<p/ >"),
        (b"<p on=x one='y' data-on=z>", b"<p on=x   data-on=z>"),
        (b"<a href=javascript:x>y</a>", b"<a  >y</a>"),
        (b"<a href=' java\nscript:x'>y</a>", b"<a  >y</a>"),
        (b"<a href='&#x6a;avascript&colon;x'>y</a>", b"<a  >y</a>"),
        (b"<a href='\x01vbscript:x'>y</a>", b"<a  >y</a>"),
        (b"<a href='x' xlink:href='javascript:y'>", b"<a href='x'  >"),
        (b"<a href='data:text/html,x' download=y>", b"<a   download=y>"),
        (b"<img src=data:image/svg+xml,x>", b"<img  >"),
        (b"<img srcset='a.png 1x, javascript:b 2x'>", b"<img  >"),
        (b"<form action=javascript:x><button formaction='javascript:y'>z", b"<form  ><button  >z"),
        (b"<iframe srcdoc='x' src=y>z</iframe>", b"<iframe    >z</iframe>"),
        (b"<object data=x type=y>z</object>", b"<object   type=y>z</object>"),
        (b"<embed src=x><applet code=y>z</applet>", b"<embed  ><applet  >z</applet>"),
        (b"<meta http-equiv=' Refresh' content='0;url=x'>", b"<meta   content='0;url=x'>"),
        (b"<svg><set attributeName=onclick to=x /></svg>", b"<svg><set   to=x /></svg>"),
        (b"<svg><animate attributeName=href values='a;javascript:x'></svg>", b"<svg><animate    ></svg>"),
        (b"<p style='width: expr/**/ession(x)'>", b"<p  >"),
        (b"<p style='background: \\75rl(java\\73 cript:x)'>", b"<p  >"),
        (b"<style>a{behavior:url(x)}</style>b", b"<style></style>b"),
        (b"<?xml version='1.0'?><?xml-stylesheet href='a.xsl'?><svg/>", b"<?xml version='1.0'?><svg/>"),
        (b"<svg><script href='x'/><text>a</text></svg>", b"<svg><text>a</text></svg>"),
        (b"<svg><script><![CDATA[ </script> ]]></script><text>a</text></svg>", b"<svg><text>a</text></svg>"),
        (b"<svg><x:script xmlns:x='y'>z</x:script></svg>", b"<svg>"),
        (b"<!DOCTYPE svg [<!ENTITY a 'javascript'>]><svg/>", b"<!DOCTYPE svg ><svg/>"),
        (b"<!DOCTYPE svg [<!ENTITY a SYSTEM 'x'>", b"<!DOCTYPE svg "),
        (b"<p data-x='" + FILE[:256] + b"'>", b"<p  >"),
        (b"<p>" + FILE + b"</p>", b"<p></p>"),
    ],
)
def test_what_is_cut(page: bytes, result: bytes) -> None:
    """AV-13: the rest is as it was, octet by octet."""
    assert cleaned(page) == result


@pytest.mark.parametrize(
    "page",
    [
        b"plain words, a < b and c > d, on x = y, javascript: is a language",
        b"<p title='javascript: the language' id=onclick class='on'>onclick=x</p>",
        b"<a href='https://a.example/?b=javascript:c#d'>e</a><a href='mailto:a@b.example'>f</a>",
        b"<img src='data:image/png;base64," + FILE[:400] + b"'><img src=cid:a@b>",
        b"<style>a{color:red;scroll-behavior:smooth}@font-face{src:url(data:font/woff2;base64,AAAA)}</style>",
        b"<p style='background:url(data:image/gif;base64,R0lGOD)'>a</p>",
        b"<?xml version='1.0'?><!DOCTYPE svg [ <!ENTITY ns \"http://www.w3.org/2000/svg\"> ]><svg xmlns='&ns;'/>",
        b"<!doctype html><!-- a comment --><table><tr><td>b</td></tr></table>",
        b"<p data-x='" + FILE[:255] + b"'>",
        b"<meta http-equiv=Content-Type content='text/html; charset=utf-8'>",
        b"",
    ],
)
def test_what_is_read_stays(page: bytes) -> None:
    assert html.cleaned(page) is None


def test_other_encodings() -> None:
    """UTF-16, with or without its mark, and ISO-2022-JP, whose kanji are made of letters and signs."""
    page = "<html><p>caf\xe9 \u2603</p><script>x</script></html>"
    clean = page.replace("<script>x</script>", "")
    for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-8"):
        found = repair(page.encode(encoding), "text" if "16" in encoding else "html")
        assert found is not None and found.content == clean.encode(encoding)
    japanese = "<p>\u65e5\u672c\u8a9e</p>"
    assert cleaned((japanese + "<script>x</script>").encode("iso2022_jp")) == japanese.encode("iso2022_jp")
    assert html.cleaned(b"<p>\xff\x1b(Bx</p><script>x</script>") is None, "there and back it is something else"
    assert html.cleaned("<script>".encode("utf-16") + b"\0\xd8") is None
    hidden = b"<script>x</script>" + "<svg onload=y>".encode("utf-16")
    assert html.cleaned(hidden) is None, "without what is before it, it is UTF-16"
    assert repair("only words: javascript".encode("utf-16"), "text") is None
    assert repair(b"\xff\xfe", "text") is None, "a mark, and nothing that it is the mark of"
    assert repair(b"a script of another kind: <script>", "text") is None


@pytest.mark.parametrize(("depth", "good"), [(html.ROUNDS - 2, True), (html.ROUNDS, False)])
def test_pieces_in_pieces_are_bounded(depth: int, good: bool) -> None:
    """ROUNDS."""
    page = b"<script>x</script>"
    for _ in range(depth):
        page = b"<scr" + page + b"ipt>x</script>"
    assert (html.cleaned(page) is not None) is good


def test_work_is_bounded() -> None:
    """WORK, WORK_MIN: each `<` in a tag that does not end is read to the end."""
    for count, good in ((50, True), (5000, False)):
        assert (html.cleaned(b"<a b=c onclick=d " * count) is not None) is good
    assert html.cleaned(b"<style" * 20_000) is None


def test_work_of_all_rounds_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """WORK_MOST: however large the page; by one octet."""
    page = b"<scr<script></script>ipt>x</script><p id=a>"
    found = html.cleaned(page)
    assert found is not None
    good = min(most for most in range(1, 500) if _with_most(page, most, monkeypatch))
    assert _with_most(page, good, monkeypatch) and not _with_most(page, good - 1, monkeypatch)


def _with_most(page: bytes, most: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(html, "WORK_MOST", most)
    return html.cleaned(page) is not None


def test_files_in_a_text_are_bounded_by_their_length() -> None:
    """TEXT_BLOB_LEN: shorter ones are tokens, keys, signatures."""
    for length in (html.TEXT_BLOB_LEN, html.TEXT_BLOB_LEN - 1):
        assert (html.cleaned(b"<p>" + FILE[:length] + b"</p>") is None) is (length < html.TEXT_BLOB_LEN)


_PIECES = st.lists(st.sampled_from([*((one, b"") for one in ACTIVE), *((one, one) for one in READ)]), max_size=12)


@given(_PIECES)
def test_what_acts_goes_and_what_is_read_stays(pieces: list[tuple[bytes, bytes]]) -> None:
    """Whatever stands beside it."""
    page = b"<html><body>" + b"".join(one for one, _ in pieces) + b"</body></html>"
    wanted = b"<html><body>" + b"".join(one for _, one in pieces) + b"</body></html>"
    found = html.cleaned(page)
    assert (found.content if found else page) == wanted


_WORDS = rb"""< > / = ' " script on href javascript: svg <!-- --> style <![CDATA[ ]]> &#x6a; x""".split()


@given(st.lists(st.sampled_from(_WORDS), max_size=30))
def test_it_always_comes_to_an_end(words: list[bytes]) -> None:
    """Read again, nothing is left; nothing is raised, nothing gets longer."""
    page = b" ".join(words) + b"".join(words)
    found = html.cleaned(page)
    if found is not None:
        assert html.cleaned(found.content) is None and len(found.content) <= len(page)
        assert not re.search(rb"<script[ >]", found.content, re.I)


@pytest.mark.parametrize(
    "page",
    [
        b"<p onclick=x>" + b"<!doctype" * 20_000,
        b"<p onclick=x><style>" + b"/* " * 60_000 + b"</style>",
        b"<p onclick=x style='" + b"/* " * 60_000 + b"'>",
        b"<svg onload=x>" + b"<script><![CDATA[</script>" * 40_000,
        b"<p onclick=x>" + b"<ab" * 60_000,
        b"<p onclick=x><a href='&#" + b"0" * 5_000 + b"106;avascript:x'>",
    ],
    ids=["document types", "comments", "comments of an attribute", "CDATA", "tags in tags", "digits"],
)
def test_nothing_is_read_for_ever(page: bytes) -> None:
    """Each of them is read in one go, or given up; without bounds they take minutes, the last one an exception."""
    found = html.cleaned(page)
    assert found is None or html.cleaned(found.content) is None


@pytest.mark.parametrize("length", [63, 64, 65, 1000])
def test_names_of_tags_have_no_length(length: int) -> None:
    """What stands behind a long one is an attribute for us as it is for a browser."""
    assert (
        cleaned(b"<" + b"a" * length + b'="x" tabindex=1 onfocus=x>y') == b"<" + b"a" * length + b'="x" tabindex=1  >y'
    )


@pytest.mark.parametrize("system", [b'"a>b"', b'"a[b"', b"'a]>b'", b'"\'"'])
def test_entities_behind_what_looks_like_the_end_of_a_document_type(system: bytes) -> None:
    page = b"<!DOCTYPE svg SYSTEM " + system + b' [<!ENTITY x "&#60;script>y">]><svg onload="z">&x;</svg>'
    assert cleaned(page) == b"<!DOCTYPE svg SYSTEM " + system + b" ><svg  >&x;</svg>"


def test_styles_that_hide_behind_comments_that_are_none() -> None:
    """A string that looks like the begin of a comment does not begin one."""
    style = b"""<p style='font:"/*";width:expression(x);font:"*/"'>"""
    assert cleaned(style) == b"<p  >"


@pytest.mark.parametrize(
    "page",
    [
        b"<p onclick=x>\x1b$B<v\tonload=x>\x1b(B",
        "<html><p onclick=x>a page in UTF-16 as it begins</p>".encode("utf-16-le") + b"<script>x</script>",
        b"<p onclick=x>+ADw-script+AD4-x+ADw-/script+AD4-",
        b"<meta charset=utf-7><p onclick=x>+AGEAPA-script+AD4-x",
    ],
    ids=["ISO-2022-JP", "UTF-16", "UTF-7", "UTF-7 that is declared"],
)
def test_what_acts_in_another_encoding_is_no_repair(page: bytes) -> None:
    """AV-05: the header of mail may name any; what acts in one of the readings must not be called repaired."""
    assert html.cleaned(page) is None


def test_a_drawing_with_a_document_type_keeps_what_follows_a_script() -> None:
    page = b'<!DOCTYPE svg PUBLIC "a" "b"><svg><script href="x"/><rect/></svg>'
    assert cleaned(page) == b'<!DOCTYPE svg PUBLIC "a" "b"><svg><rect/></svg>'
