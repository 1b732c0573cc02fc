"""Deleting infected parts: what goes, what stands in its place, and that all else stays as it was (AV-07, AV-10)."""

import base64
import email
import email.policy
import io
import tarfile
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.config import Antivirus
from engine.policy import Deletion, Plan, Why, decide
from engine.rewrite import CannotRewrite, apply, removed, spliced
from engine.rewrite.encode import encode
from engine.rewrite.replacement import Names, content, message_header, text_for
from engine.scan.facts import Verdict
from engine.scan.node import ENTITY, Node
from engine.scan.walk import Walk
from tests.engine.scan.material import (
    EICAR,
    WRAPS,
    gzipped,
    message,
    nested,
    tarred,
    uuencoded,
    walk,
    walk_file,
    zipped,
)

TEXT = "Removed {$FILE} because of {$VIRUSINFO}.\n"


def planned(data: bytes, text: str = TEXT, add_text: bool = True) -> tuple[Walk, Plan]:
    found = walk(data)
    infected = [node for node in found.root.everything() if node.viruses]
    return found, decide(infected, found.facts.unscanned, Antivirus(text=text, add_text=add_text))


def cleaned(data: bytes, **options: object) -> bytes:
    found, plan = planned(data, **options)  # type: ignore[arg-type]
    assert plan.deletions
    result = spliced(data, apply(data, found, plan.deletions))
    assert walk(result).facts.verdict is Verdict.CLEAN
    return result


def parts(data: bytes) -> list[email.message.Message]:
    return [one for one in email.message_from_bytes(data).walk() if not one.is_multipart()]


def payload(part: email.message.Message) -> bytes:
    found = part.get_payload(decode=True)
    assert isinstance(found, bytes)
    return found


# --- top-level attachments (AV-07) -------------------------------------------------------------------------


def test_an_attachment_is_replaced_by_the_text() -> None:
    data = message("Words.\n", [("e.com", EICAR), ("keep.bin", bytes(range(256)))])
    result = cleaned(data)
    _, gone, kept = parts(result)
    assert gone.get_filename() == "DELETED0.TXT"
    assert gone.get_content_type() == "text/plain"
    assert payload(gone).startswith(b"Removed e.com because of EICAR-Test-File.")
    assert payload(kept) == bytes(range(256))


def test_all_octets_outside_of_the_part_stay() -> None:
    data = message("Words.\n", [("e.com", EICAR), ("keep.bin", bytes(range(256)))])
    found, plan = planned(data)
    (splice,) = apply(data, found, plan.deletions)
    assert splice.start == found.root.children[1].start and splice.end == found.root.children[1].end
    result = spliced(data, [splice])
    assert result.startswith(data[: splice.start]) and result.endswith(data[splice.end :])


def test_without_a_text_the_part_is_gone() -> None:
    for names in (["e", "k"], ["k", "e"], ["k", "e", "e2", "k2"], ["e", "e2", "k"], ["k", "e", "e2"]):
        data = message("Words.\n", [(name, EICAR if name[0] == "e" else b"kept") for name in names])
        kept = [one.get_filename() for one in parts(cleaned(data, add_text=False))]
        assert kept == [None, *(name for name in names if name[0] == "k")]


def test_a_multipart_never_becomes_empty() -> None:
    data = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n" + EICAR + b"\r\n--b--\r\n"
    result = cleaned(data, add_text=False)
    assert result.count(b"--b\r\n") == 1 and b"--b--" in result
    assert [payload(one) for one in parts(result)] == [b""]


def test_a_single_part_message_keeps_its_other_fields() -> None:
    data = (
        b"Subject: s\r\nContent-Type: application/x-thing;\r\n name=e.com\r\nX-Keep: a\r\n b\r\n"
        b"Content-Transfer-Encoding: base64\r\nTo: bob@example.net\r\n\r\n" + base64.encodebytes(EICAR)
    )
    result = cleaned(data)
    head, _, body = result.partition(b"\r\n\r\n")
    assert head.startswith(b"Subject: s\r\nX-Keep: a\r\n b\r\nTo: bob@example.net\r\n")
    assert b"application/x-thing" not in head and b"MIME-Version: 1.0" in head
    assert body.startswith(b"Removed e.com because of EICAR-Test-File.")
    assert payload(parts(cleaned(data, add_text=False))[0]) in (b"", b"\r\n", b"\n")


def test_a_second_reading_takes_the_whole_part_with_it() -> None:
    data = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nfine\r\n--b\r\n"
        b"Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(EICAR)
        + b"\r\n--b--\r\n"
    )
    found, plan = planned(data)
    assert [one.node.part for one in removed(found.root, plan.deletions)] == ["2"]
    assert EICAR[:20] not in base64.b64decode(b"".join(cleaned(data).split(b"\r\n\r\n")[-1:]) + b"==", validate=False)


def test_line_ends_are_those_of_the_message() -> None:
    data = message("Words.\n", [("e.com", EICAR)]).replace(b"\r\n", b"\n")
    assert b"\r" not in cleaned(data)


# --- inside containers (AV-10) ------------------------------------------------------------------------------


def opened(octets: bytes) -> tarfile.TarFile:
    return tarfile.TarFile.open(fileobj=io.BytesIO(octets))


def attachment(data: bytes, name: str) -> bytes:
    return next(payload(one) for one in parts(data) if one.get_filename() == name)


def test_zip_members_that_stay_keep_their_packed_octets() -> None:
    before = zipped({"a.txt": b"alpha " * 99, "e.com": EICAR, "c.txt": b"gamma " * 99}, comment=b"kept")
    after = attachment(cleaned(message("t\n", [("x.zip", before)])), "x.zip")
    archive = zipfile.ZipFile(io.BytesIO(after))
    assert archive.testzip() is None
    assert archive.namelist() == ["a.txt", "DELETED0.TXT", "c.txt"]
    assert archive.comment == b"kept"
    assert archive.read("DELETED0.TXT").startswith(b"Removed e.com because of EICAR-Test-File.")
    first = before[: before.index(b"PK\x03\x04", 4)]
    assert after.startswith(first)
    last = before[before.rindex(b"PK\x03\x04") : before.index(b"PK\x01\x02")]
    assert last in after


def test_names_that_are_there_already_are_skipped() -> None:
    before = zipped({"deleted0.txt": b"mine", "e1": EICAR, "DELETED2.TXT": b"mine", "e2": EICAR})
    after = attachment(cleaned(message("t\n", [("x.zip", before)])), "x.zip")
    assert zipfile.ZipFile(io.BytesIO(after)).namelist() == [
        "deleted0.txt",
        "DELETED1.TXT",
        "DELETED2.TXT",
        "DELETED3.TXT",
    ]
    assert Names(["a/DELETED0.TXT"]).next() == "DELETED1.TXT"


def test_a_prefix_before_a_zip_stays() -> None:
    before = b"#!/bin/sh\n" + zipped({"a": b"a", "e": EICAR})
    after = attachment(cleaned(message("t\n", [("x.zip", before)])), "x.zip")
    assert after.startswith(b"#!/bin/sh\n")
    assert zipfile.ZipFile(io.BytesIO(after)).read("a") == b"a"


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tar(form: int) -> None:
    before = tarred({"a.txt": b"alpha", "d/" * 55 + "e.com": EICAR, "c.txt": b"c" * 600}, form)
    after = attachment(cleaned(message("t\n", [("x.tar", before)])), "x.tar")
    archive = opened(after)
    assert archive.getnames() == ["a.txt", "DELETED0.TXT", "c.txt"]
    kept = archive.extractfile("c.txt")
    assert kept is not None and kept.read() == b"c" * 600
    assert after.startswith(before[:1024])


def test_a_whole_gzip_goes_but_an_archive_in_it_is_changed() -> None:
    whole = parts(cleaned(message("t\n", [("e.gz", gzipped(EICAR, "e"))])))
    assert whole[1].get_filename() == "DELETED0.TXT"
    before = gzipped(tarred({"a": b"alpha", "e": EICAR}), "named.tar")
    after = attachment(cleaned(message("t\n", [("x.tgz", before)])), "x.tgz")
    assert opened(after).getnames() == ["a", "DELETED0.TXT"]
    assert b"named.tar" in after[:40]
    inside = zipped({"a": b"a", "e.gz": gzipped(EICAR, "e")})
    after = attachment(cleaned(message("t\n", [("x.zip", inside)])), "x.zip")
    assert zipfile.ZipFile(io.BytesIO(after)).namelist() == ["a", "DELETED0.TXT"]


def test_a_uue_file_in_a_text_is_replaced_by_another() -> None:
    data = message("before\n" + uuencoded(EICAR, "e.com", b"\n").decode() + "after\n")
    found = walk(cleaned(data))
    assert [part.part for part in found.facts.parts] == ["1", "1/DELETED0.TXT"]
    result = cleaned(data)
    assert b"before\r\nbegin 644 DELETED0.TXT\r\n" in result and b"\r\nend\r\nafter" in result


def test_a_part_of_a_nested_message_is_replaced_in_there() -> None:
    inner = message("t\n", [("e.com", EICAR), ("k.bin", b"kept")], subject="inner")
    for encoding in ("", "base64"):
        result = walk(cleaned(nested(inner, encoding)))
        names = [part.filenames for part in result.facts.parts]
        assert ("DELETED0.TXT",) in names and ("k.bin",) in names
    alone = walk(cleaned(nested(b"Subject: inner\r\n\r\n" + EICAR)))
    assert [part.part for part in alone.facts.parts] == ["", "1", "2", "2.1"]


@pytest.mark.parametrize("outer", WRAPS)
@pytest.mark.parametrize("inner", WRAPS)
def test_two_layers(outer: str, inner: str) -> None:
    """The innermost container that can be changed loses the file; everything beside it stays (AV-10)."""
    packed, name = WRAPS[outer](*WRAPS[inner](EICAR, "eicar.com"))
    data = message("t\n", [(name, packed), ("other.bin", bytes(range(256)))])
    before, after = walk(data), walk(cleaned(data))
    infected = {match.part for match in before.facts.matches}
    have = {part.sha256 for part in after.facts.parts}
    for part in before.facts.parts:
        around = any(path.startswith(f"{part.part}/") for path in infected)  # what holds the file changes with it
        if not part.container and part.part not in infected and not around:
            assert part.sha256 in have, part.part


def test_what_cannot_be_changed_is_told() -> None:
    hidden = zipped({"h": EICAR})
    irregular = hidden[: hidden.index(b"PK\x01\x02")] + zipped({"a": b"b"})
    data = message("t\n", [("x.zip", irregular)])
    found, plan = planned(data)
    with pytest.raises(CannotRewrite) as raised:
        apply(data, found, plan.deletions)
    assert raised.value.node.part == "2"


# --- shapes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [60, 64, 76, 1000])
@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
def test_base64_keeps_its_line_length(width: int, line_end: bytes) -> None:
    text = base64.b64encode(bytes(1000))
    original = line_end.join(text[at : at + width] for at in range(0, len(text), width)) + line_end
    assert encode("base64", bytes(1000), original) == original
    again = encode("base64", bytes(1200), original)
    assert base64.b64decode(again) == bytes(1200)
    assert max(len(line) for line in again.split(line_end)) == width


@given(st.binary(max_size=300))
def test_quoted_printable_and_uue_come_back(octets: bytes) -> None:
    from engine.scan.decode import decode

    for encoding in ("quoted-printable", "uue", "uue-body", "base64"):
        text = encode(encoding, octets, b"x\r\n")
        assert decode(encoding, text, 0, len(text))[0] == octets


@pytest.mark.parametrize("file", ["x\r\nBcc: a@b", "{$VIRUSINFO}", "=?utf-8?Q?x?=", "\u202egpj.exe", "--b--", ""])
def test_a_file_name_cannot_become_structure(file: str) -> None:
    text = text_for("{$FILE}\n.\n", Deletion(Node("2", ENTITY, 0, 0, 0, names=(file,)), Why.INFECTED, ("v",)))
    assert b"\nBcc" not in text
    fields, body = content("DELETED0.TXT", text, b"\r\n")
    assert b"Bcc" not in fields and not body.startswith(b"--")
    if file == "{$VIRUSINFO}":
        assert text.startswith(b"{$VIRUSINFO}")  # what the sender wrote is not filled in again


@pytest.mark.parametrize(
    ("header", "kept"),
    [
        (b"A: b\r\nContent-Type: x\r\n\r\n", b"A: b\r\n"),
        (b"Content-Type: x\r\n y\r\n\r\n", b""),
        (b"MIME-Version: 1.0\r\ncontent-id: x\r\n\r\n", b"MIME-Version: 1.0\r\n"),
        (b"A: b", b"A: b\r\n"),
        (b"\r\n", b""),
        (b"", b""),
    ],
)
def test_headers_without_a_body_of_theirs(header: bytes, kept: bytes) -> None:
    result = message_header(header, b"Content-Type: text/plain\r\n", b"\r\n")
    assert result.startswith(kept) and result.endswith(b"Content-Type: text/plain\r\n\r\n")
    assert result.lower().count(b"mime-version") == 1 and result.count(b"\r\n\r\n") == 1


# --- property ----------------------------------------------------------------------------------------------------

FILES = st.recursive(
    st.one_of(st.just(EICAR), st.binary(min_size=1, max_size=80)).map(lambda content: (content, "f.bin")),
    lambda inner: st.tuples(st.sampled_from(sorted(WRAPS)), inner).map(lambda one: WRAPS[one[0]](*one[1])),
    max_leaves=3,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(FILES, min_size=1, max_size=4))
def test_untouched_leaves_keep_their_digests(files: list[tuple[bytes, str]]) -> None:
    data = message("t\n", [(f"{number}-{name}", packed) for number, (packed, name) in enumerate(files)])
    found, plan = planned(data)
    if not plan.deletions:
        return
    result = walk(spliced(data, apply(data, found, plan.deletions)))
    assert result.facts.verdict is not Verdict.INFECTED  # random octets may look like a broken archive
    have = {part.sha256 for part in result.facts.parts}
    for number, (packed, _) in enumerate(files):
        clean = [part for part in walk_file(packed, "x").facts.parts if not part.container]
        if not walk_file(packed, "x").facts.matches:
            assert all(part.sha256 in have for part in clean), number
