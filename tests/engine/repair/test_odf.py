"""OpenDocument: macros, listeners and what is asked elsewhere go, results and all other parts stay."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.repair import odf
from tests.engine.repair import infected
from tests.engine.repair.documents import docx, odt
from tests.engine.repair.infected import MARK, parts_of, zipped


def done_to(content: bytes) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """(parts after cleaning, what was taken out). A second cleaning finds nothing."""
    done = odf.cleaned(content)
    assert done is not None and odf.cleaned(done.content) is None
    return parts_of(done.content), done.done


def test_macros_and_packages_go() -> None:
    """AV-13: with their entries in the manifest; `mimetype` is still first and stored, the text is as it was."""
    content = infected.odf(odt())
    parts, done = done_to(content)
    assert set(done) == {"Basic macros and scripts", "actions on events", "packaged files"}
    assert list(parts) == ["mimetype", "content.xml", "META-INF/manifest.xml", "Object 77"]
    assert MARK not in b"".join(parts.values()) and b"Basic" not in parts["META-INF/manifest.xml"]
    assert b'full-path="content.xml"' in parts["META-INF/manifest.xml"]
    assert parts["content.xml"].count(b"event-listener ") == 0 and b"<text:p>Figures</text:p>" in parts["content.xml"]
    done_content = odf.cleaned(content)
    assert done_content is not None and done_content.content[30:46] == b"mimetypeapplicat"


@pytest.mark.parametrize(
    ("text", "words", "stays"),
    [
        ('<text:a xlink:href="vnd.sun.star.script:M?MARKED">kept</text:a>', "links to macros", "kept"),
        ('<text:a xlink:href="&#109;acro:///MARKED">kept</text:a>', "links to macros", "kept"),
        ('<text:a xlink:href=" JavaScript:MARKED">kept</text:a>', "links to macros", "kept"),
        ('<text:script script:language="js" xmlns:script="s">MARKED</text:script>kept', "actions on events", "kept"),
        ('<office:dde-source office:dde-application="a" office:dde-topic="MARKED"/>kept', "DDE links", "kept"),
        ('<table:c table:formula="of:=DDE(&quot;MARKED&quot;)" office:value="7">7</table:c>', "DDE links", '"7">7'),
        ('<draw:applet xlink:href="MARKED.class"/>kept', "content from elsewhere", "kept"),
        ('<draw:floating-frame xlink:href="https://MARKED/"/>kept', "content from elsewhere", "kept"),
        ('<meta:template xlink:href="https://MARKED/t.ott"/><text:p>kept</text:p>', "external template", "kept"),
        ('<meta:auto-reload xlink:href="MARKED" meta:delay="P0D"/><text:p>kept</text:p>', "external template", "kept"),
    ],
)  # fmt: skip
def test_what_acts_in_a_text(text: str, words: str, stays: str) -> None:
    """AV-13: links to macros, DDE, formulas, applets, frames, templates; what they show stays."""
    parts, done = done_to(odt(text))
    assert done == (words,) and b"MARKED" not in parts["content.xml"] and stays in parts["content.xml"].decode()


def test_what_does_not_act_is_not_touched() -> None:
    """AV-13: links to the web, clicks to the next slide, local templates and other formulas."""
    text = (
        '<text:a xlink:href="https://example.com/?macro:x">a</text:a><meta:template xlink:href="/home/x/t.ott"/>'
        '<table:c table:formula="of:=ADD(1)"/><draw:plugin xlink:href="Media/a.mp4"/>'
        '<presentation:event-listener xmlns:presentation="p" presentation:action="next-page"/>'
    )
    assert odf.cleaned(odt(text)) is None and odf.cleaned(odt()) is None
    assert odf.cleaned(infected.ooxml(docx())) is None and odf.cleaned(b"PK\3\4") is None


def test_objects() -> None:
    """AV-13: documents of other programs inside are cleaned, programs become empty."""
    parts = parts_of(odt())
    content = zipped({**parts, "Object 1": infected.ooxml(docx()), "x.bin": b"MZ\0\0" + MARK, "Pictures/a.png": MARK})
    after, done = done_to(content)
    assert "VBA macros" in done and "embedded programs" in done and after["x.bin"] == b""
    assert after["Pictures/a.png"] == MARK


def test_what_cannot_be_changed_is_refused() -> None:
    """AV-13: encrypted packages, texts that are not well-formed."""
    parts = parts_of(infected.odf(odt()))
    entry = b"<manifest:file-entry"
    manifest = parts["META-INF/manifest.xml"].replace(entry, b"<manifest:encryption-data/>" + entry)
    assert odf.cleaned(zipped({**parts, "META-INF/manifest.xml": manifest})) is None
    assert odf.cleaned(zipped({**parts, "content.xml": b"<a>macro:"})) is None


SOURCE = infected.odf(odt())


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(SOURCE) - 1), st.binary(max_size=4)), max_size=4))
def test_changed_octets_never_raise(changes: list[tuple[int, bytes]]) -> None:
    """AV-13: hostile octets are cleaned or refused."""
    content = bytearray(SOURCE)
    for where, octets in changes:
        content[where : where + len(octets)] = octets
    odf.cleaned(bytes(content))


@pytest.mark.parametrize("encoding", ["utf-7", "cp037"])
def test_texts_in_other_encodings_are_refused(encoding: str) -> None:
    """AV-05: what some readers take for an encoding that shows no word of it cannot be looked into."""
    parts = parts_of(infected.odf(odt()))
    declared = f'<?xml version="1.0" encoding="{encoding}"?>'
    parts["styles.xml"] = (declared + '<a xlink:href="macro:///M"/>').encode(
        "cp037" if encoding == "cp037" else "ascii"
    )
    assert odf.cleaned(zipped(parts)) is None
    parts["styles.xml"] = b'<?xml version="1.0" encoding="ISO-8859-1"?><a/>'
    assert odf.cleaned(zipped(parts)) is not None


def test_scripts_with_any_prefix() -> None:
    """AV-13: prefixes are the writer's choice."""
    parts = parts_of(odt())
    parts["content.xml"] = parts["content.xml"].replace(
        b"<text:p>", b'<t:script xmlns:t="x">MARKED</t:script><text:p>', 1
    )
    after, done = done_to(zipped(parts))
    assert done == ("actions on events",) and b"MARKED" not in after["content.xml"]
