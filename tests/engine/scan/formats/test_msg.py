"""Outlook messages: attachments are files with their names, in messages within messages too."""

import struct

import pytest

from engine.scan.facts import Verdict
from engine.scan.formats import ole
from tests.engine.scan.formats.compound import Tree, compound, native, packed
from tests.engine.scan.formats.rooms import Found
from tests.engine.scan.material import EICAR, VIRUS, walk_file


def _message(*attachments: Tree, body: bytes = b"words " * 20) -> Tree:
    tree: Tree = {"__properties_version1.0": bytes(32), "__substg1.0_1000001E": body}
    for number, one in enumerate(attachments):
        tree[f"__attach_version1.0_#{number:08X}"] = one
    return tree


def _attachment(content: bytes, name: str, short: str = "") -> Tree:
    tree: Tree = {"__properties_version1.0": bytes(8), "__substg1.0_37010102": content}
    tree["__substg1.0_3707001F"] = name.encode("utf-16-le") + b"\0\0"
    if short:
        tree["__substg1.0_3704001E"] = short.encode()
    return tree


def test_attachments_are_files_with_all_their_names() -> None:
    octets = compound(_message(_attachment(EICAR, "Rechnung für März.exe", "RECHNU~1.EXE"), _attachment(b"b", "b.txt")))
    facts = walk_file(octets, "a.msg").facts
    files = {one.filenames: one for one in facts.parts if one.filenames}
    assert set(files) == {("a.msg",), ("Rechnung für März.exe", "RECHNU~1.EXE"), ("b.txt",)}
    assert (VIRUS, "a.msg/Rechnung für März.exe") in {(one.name, one.part) for one in facts.matches}


def test_attached_message_and_what_is_attached_to_it() -> None:
    inner = _message(_attachment(EICAR, "inner.com"))
    outer = _message({"__properties_version1.0": bytes(8), "__substg1.0_3701000D": inner})
    facts = walk_file(compound(outer), "a.msg").facts
    assert "a.msg/inner.com" in {one.part for one in facts.parts} and facts.verdict is Verdict.INFECTED


def test_attachment_without_a_name() -> None:
    found = Found(ole.members, compound(_message({"__substg1.0_37010102": b"content"})))
    assert found.files["attachment"].data == b"content" and not found.files["attachment"].stream


def test_package_in_an_attached_object() -> None:
    inside: Tree = {"\x01Ole10Native": native(packed("x.js", "x.js", "x.js", b"script"))}
    found = Found(ole.members, compound(_message({"__substg1.0_3701000D": inside})))
    assert any(name.endswith("/x.js") and one.data == b"script" for name, one in found.files.items())


@pytest.mark.parametrize("form", [b"LZFu", b"MELA"])
def test_compressed_body_is_a_document(form: bytes) -> None:
    text = b"{\\rtf1 words}"
    literal = b"".join(b"\0" + text[at : at + 8] for at in range(0, len(text), 8))
    packed_text = literal if form == b"LZFu" else text
    head = struct.pack("<LL4sL", len(packed_text) + 12, len(text), form, 0)
    tree = _message()
    tree["__substg1.0_10090102"] = head + packed_text
    found = Found(ole.members, compound(tree))
    assert found.files["__substg1.0_10090102/body.rtf"].data == text


def test_recipients_of_a_large_message_are_examined_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message to thousands is ordinary mail, and must not reach the limit on files."""
    tree = _message(_attachment(b"a", "a.txt"))
    for number in range(20):
        tree[f"__recip_version1.0_#{number:08X}"] = {"__substg1.0_3001001E": b"someone <%d>" % number}
    octets = compound(tree)
    assert len(Found(ole.members, octets).files) == 25
    monkeypatch.setattr(ole, "RECIPIENT_STREAMS", 20)
    found = Found(ole.members, octets)
    assert len(found.files) == 6 and bytes(found.files["recipients"].data).count(b"someone") == 20
