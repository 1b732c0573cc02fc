"""The walk: what is found where, what is listed as unscanned, and that nothing is called clean that was not seen."""

import base64
import email
import email.message
import email.policy
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import limits
from engine.config import ContainerLimits
from engine.scan.facts import Cause, Verdict
from engine.scan.walk import Walk, Walker, looks_like_message
from tests.engine.scan.material import (
    EICAR,
    VIRUS,
    WRAPS,
    Clock,
    Matcher,
    digest,
    gzipped,
    kinds,
    message,
    nested,
    paths,
    tarred,
    uuencoded,
    walk,
    walk_file,
    walker,
    zipped,
)


def causes(found: Walk) -> list[tuple[Cause, str]]:
    return [(one.cause, one.detail) for one in found.facts.unscanned]


# --- paths, types, ledger -------------------------------------------------------------------------------


def test_a_plain_message() -> None:
    found = walk(message("Just words.\n"))
    (part,) = found.facts.parts
    assert (part.part, part.type, part.size, part.examined) == ("1", "text", 13, 13)
    assert part.sha256 == digest(b"Just words.\r\n")
    assert found.facts.subject == "a subject"
    assert found.facts.definitions == "test-1"
    assert found.facts.verdict is Verdict.CLEAN


def test_numbers_are_those_of_imap() -> None:
    assert paths(walk(message("t\n", [("a.bin", b"\0")]))) == ["", "1", "2"]
    inner = message("t\n", [("a.bin", b"\0"), ("b.zip", zipped({"in/c.txt": b"c"}))])
    assert paths(walk(nested(inner))) == ["", "1", "2", "2", "2.1", "2.2", "2.3", "2.3/b.zip/in/c.txt"]
    assert paths(walk(nested(message()))) == ["", "1", "2", "2.1"]
    assert paths(walk_file(zipped({"inner.doc": b"x"}), "name.zip")) == ["name.zip", "name.zip/inner.doc"]
    assert paths(walk_file(gzipped(b"x"), "a.txt.gz")) == ["a.txt.gz", "a.txt.gz/a.txt"]
    assert paths(walk(message("words\n" + uuencoded(b"x" * 50, "u.exe").decode()))) == ["1", "1/u.exe"]


def test_every_octet_of_a_leaf_is_examined_and_counted() -> None:
    for part in walk(message("t\n", [("a.bin", bytes(range(256)))])).facts.parts:
        assert part.examined == part.size


def test_digests_only_on_request() -> None:
    plain = Walker(Matcher(), ContainerLimits(), clock=Clock()).walk_message(message())
    assert plain.facts.parts[0].sha256 == ""


def test_header_sections_names_preamble_and_epilogue_are_matched() -> None:
    assert walk(b"Subject: " + EICAR + b"\r\n\r\nx").facts.matches[0].part == "1"
    named = walk(message("t\n", [("invoice.pdf.exe", b"x")]))
    assert [(one.name, one.part) for one in named.facts.matches] == [("Double-Extension", "2")]
    inside = walk(message("t\n", [("a.zip", zipped({"x/invoice.pdf.exe": b"x"}))]))
    assert inside.facts.matches[0].part == "2/a.zip/x/invoice.pdf.exe"
    head = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    for body, where in (
        (EICAR + b"\r\n--b\r\n\r\nx\r\n--b--\r\n", "preamble"),
        (b"--b\r\n\r\nx\r\n--b--\r\n" + EICAR, "epilogue"),
    ):
        assert walk(head + body).facts.matches[0].part == where


# --- detection at depth --------------------------------------------------------------------------------


@pytest.mark.parametrize("outer", WRAPS)
@pytest.mark.parametrize("inner", WRAPS)
def test_the_test_file_is_found_in_two_layers(outer: str, inner: str) -> None:
    content, name = WRAPS[outer](*WRAPS[inner](EICAR, "eicar.com"))
    found = walk(message("t\n", [(name, content)]))
    assert [match.name for match in found.facts.matches] == [VIRUS]
    assert found.facts.matches[0].part.startswith("2")


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "7bit", "x-uuencode", "base-64", "BASE64 "])
def test_encodings(encoding: str) -> None:
    body = {
        "base64": base64.encodebytes(EICAR),
        "quoted-printable": EICAR.replace(b"X5O", b"=585=\n=4F"),
        "7bit": EICAR,
        "x-uuencode": uuencoded(EICAR),
    }.get(encoding, base64.encodebytes(EICAR))
    data = b"Content-Transfer-Encoding: " + encoding.encode() + b"\n\n" + body
    assert walk(data).facts.verdict is Verdict.INFECTED


@pytest.mark.parametrize("encoding", ["", "base64"])
def test_nested_messages(encoding: str) -> None:
    found = walk(nested(message("t\n", [("e.com", EICAR)]), encoding))
    assert found.facts.matches[0].part == "2.2"


def test_a_message_saved_as_a_file_is_opened() -> None:
    inner = message("t\n", [("e.com", EICAR)])
    assert looks_like_message(inner, "x") and looks_like_message(b"?", "x.EML") and not looks_like_message(b"?", "x")
    assert walk_file(inner, "m.bin").facts.matches[0].part == "m.bin/2"


def test_a_zip_at_the_end_of_something_else_is_opened() -> None:
    found = walk_file(b"MZ\0\0" + bytes(300) + zipped({"e.com": EICAR}), "setup.exe")
    assert found.facts.parts[0].type == "pe"
    assert found.facts.matches[0].part == "setup.exe/e.com"


def test_data_between_the_members_of_an_archive_is_matched() -> None:
    assert walk_file(EICAR + zipped({"a": b"b"}), "a.zip").facts.matches
    in_comment = walk_file(zipped({"a": b"b"}, comment=EICAR), "a.zip")
    assert [one.part for one in in_comment.facts.matches] == ["a.zip"]
    stored = walk_file(zipped({"a": EICAR}, zipfile.ZIP_STORED), "a.zip")
    assert [one.part for one in stored.facts.matches] == ["a.zip/a"]  # not told twice


def test_a_later_gzip_member_that_is_an_archive_is_opened() -> None:
    found = walk_file(gzipped(b"text") + gzipped(zipped({"e": EICAR})), "a.gz")
    assert found.facts.verdict is Verdict.INFECTED


# --- what cannot be examined ------------------------------------------------------------------------------


def test_an_archive_that_is_not_opened_is_not_clean() -> None:
    found = walk(message("t\n", [("a.zpq", b"zPQ\1" + bytes(40))]))
    assert causes(found) == [(Cause.UNSUPPORTED, "zpaq")]
    assert found.facts.unscanned[0].part == "2"
    assert found.facts.verdict is Verdict.UNSCANNED


def test_an_encrypted_member_is_not_clean() -> None:
    buf = bytearray(zipped({"secret.txt": b"abc", "open.txt": b"def"}))
    for mark, off in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        buf[buf.index(mark) + off] |= 1
    found = walk_file(bytes(buf), "a.zip")
    assert causes(found) == [(Cause.ENCRYPTED, "zip")]
    assert found.facts.unscanned[0].part == "a.zip/secret.txt"
    assert "a.zip/open.txt" in paths(found)


def test_other_methods_damage_and_partial_messages_are_not_clean() -> None:
    odd = zipped({"a": b"x" * 99}).replace(b"\x08\0\0\0\x21\0", b"\x61\0\0\0\x21\0")
    assert causes(walk_file(odd, "a.zip")) == [(Cause.UNSUPPORTED, "zip method 97")]
    assert causes(walk_file(gzipped(b"x" * 9999)[:-20], "a.gz")) == [(Cause.DAMAGED, "gzip-data")]
    assert causes(walk(b"Content-Type: message/partial; id=a; number=1\r\n\r\nx")) == [
        (Cause.UNSUPPORTED, "message/partial")
    ]
    assert causes(walk(b"Content-Transfer-Encoding: x-uuencode\r\n\r\nno begin line")) == [
        (Cause.DAMAGED, "uue-without-begin")
    ]
    broken = walk(message("(This file must be converted with BinHex 4.0)\n:abc:\n"))
    assert broken.facts.verdict is Verdict.UNSCANNED


# --- limits (CONT-03..07) -----------------------------------------------------------------------------------


def test_depth() -> None:
    content, name = EICAR, "e.com"
    for number in range(5):
        content, name = zipped({name: content}), f"{number}.zip"
    assert walk(message("t\n", [(name, content)]), depth=5).facts.verdict is Verdict.INFECTED
    stopped = walk(message("t\n", [(name, content)]), depth=4)
    assert stopped.facts.verdict is Verdict.UNSCANNED
    assert causes(stopped) == [(Cause.LIMIT, "extraction depth 4")]


def test_a_file_past_its_limit_is_seen_up_to_it() -> None:
    big = EICAR + bytes(3 * limits.MIB)
    found = walk_file(zipped({"big": big}), "a.zip", file_mb=1)
    assert causes(found) == [(Cause.LIMIT, "file size 1 MB")]
    assert found.facts.parts[1].size == limits.MIB
    assert found.facts.verdict is Verdict.INFECTED
    assert causes(walk(message("t\n", [("big", big)]), file_mb=1))[0][0] is Cause.LIMIT
    assert causes(walk_file(gzipped(big), "a.gz", file_mb=1))[0][0] is Cause.LIMIT
    assert causes(walk_file(tarred({"big": big}), "a.tar", file_mb=1))[0][0] is Cause.LIMIT


def test_total_size_over_all_layers() -> None:
    piece = bytes(limits.MIB - 10)
    found = walk_file(zipped({str(n): piece for n in range(4)}), "a.zip", total_mb=2)
    assert (Cause.LIMIT, "total size 2 MB") in causes(found)


def test_number_of_files() -> None:
    for content, name in (
        (zipped({str(n): b"x" for n in range(30)}), "a.zip"),
        (tarred({str(n): b"x" for n in range(30)}), "a.tar"),
        (b"".join(uuencoded(b"x", str(n)) for n in range(30)), "a.txt"),
    ):
        found = walk_file(content, name, files=20)
        assert causes(found) == [(Cause.LIMIT, "20 files")]
        assert len(found.facts.parts) == 21


def test_time_by_the_clock_that_is_passed_in() -> None:
    found = walker(clock=Clock(step=1.0), time_s=5).walk_message(message("t\n", [(str(n), b"x") for n in range(20)]))
    assert causes(found) == [(Cause.LIMIT, "time 5 s")]
    assert found.facts.verdict is Verdict.UNSCANNED


def test_mime_depth_and_number_of_parts() -> None:
    deep = b"".join(
        b"Content-Type: multipart/mixed; boundary=%db\r\n\r\n--%db\r\n" % (n, n) for n in range(limits.MIME_DEPTH + 50)
    )
    assert causes(walk(deep)) == [(Cause.LIMIT, f"MIME depth {limits.MIME_DEPTH}")]
    many = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * (limits.MIME_PARTS + 5)
    assert (Cause.LIMIT, f"{limits.MIME_PARTS} parts") in causes(walk(many))
    again = b"".join(b"Content-Type: message/rfc822\r\n\r\n" for _ in range(300))
    assert walk(again, depth=1000).facts.verdict is Verdict.UNSCANNED


def test_the_ledger_is_capped() -> None:
    found = walk_file(zipped({str(n): EICAR for n in range(limits.FINDINGS + 50)}), "a.zip")
    assert len(found.facts.matches) == limits.FINDINGS


# --- readings (PROC-22) ---------------------------------------------------------------------------------------

PART = b"--b\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(EICAR) + b"\r\n--b--\r\n"


@pytest.mark.parametrize(
    "header",
    [
        b"Content-Type: text/plain\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n",
        b"Content-Type: multipart/mixed; boundary=b\r\nContent-Type: text/plain\r\n\r\n",
        b"Content-Type: multipart/mixed; boundary=a; boundary=b\r\n\r\n",
        b"Content-Type: multipart/mixed\r\n\r\n",
        b"Content-Type: multipart/mixed; boundary=wrong\r\n\r\n",
        b"Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: base64\r\n\r\n",
        b"Content-Type: multipart; boundary=b\r\n\r\n",
        b"Content-Type: text/x\rContent-Type: multipart/mixed; boundary=b\r\n\r\n",
        b"Content-Type: multipart/mixed;\r\n boundary*0=b\r\n\r\n",
        b"Content-\0Type: multipart/mixed; boundary=b\r\n\r\n",
    ],
)
def test_the_union_of_readings_is_scanned(header: bytes) -> None:
    found = walk(header + PART)
    assert found.facts.verdict is Verdict.INFECTED, found.facts


def test_two_encodings_are_both_decoded() -> None:
    for fields in (b"7bit", b"base64"), (b"base64", b"7bit"):
        header = b"".join(b"Content-Transfer-Encoding: " + field + b"\r\n" for field in fields)
        found = walk(header + b"\r\n" + base64.encodebytes(EICAR))
        assert found.facts.verdict is Verdict.INFECTED
        assert "mime-ambiguous" in kinds(found)
        assert {part.reading != "" for part in found.facts.parts} == {True, False}


def test_parts_behind_the_closing_delimiter_are_scanned() -> None:
    head = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n"
    found = walk(head + PART)
    assert found.facts.verdict is Verdict.INFECTED
    assert "multipart-goes-on-behind-its-end" in kinds(found)


def test_a_missing_end_a_missing_header_and_no_body_are_tolerated() -> None:
    found = walk(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx")
    assert kinds(found) == ["multipart-not-closed"] and found.facts.verdict is Verdict.CLEAN
    headless = walk(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + uuencoded(EICAR) + b"\r\n--b--\r\n")
    assert headless.facts.verdict is Verdict.INFECTED
    assert walk(b"").facts.verdict is Verdict.CLEAN
    assert walk(b"Subject: only a header").facts.verdict is Verdict.CLEAN


def test_a_severe_finding_is_never_clean() -> None:
    hidden = zipped({"h": b"hidden"})
    found = walk_file(hidden[: hidden.index(b"PK\x01\x02")] + zipped({"a": b"b"}), "a.zip")
    assert "zip-entry-not-in-directory" in kinds(found)
    assert found.facts.verdict is Verdict.UNSCANNED
    assert "a.zip/h" in paths(found)


# --- properties ---------------------------------------------------------------------------------------------

LEAVES = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=60).map(
        lambda text: text + "\n"
    ),
    st.binary(min_size=1, max_size=200),
)
TREES = st.recursive(LEAVES, lambda inner: st.lists(inner, min_size=1, max_size=3), max_leaves=8)


def built(tree: object) -> email.message.EmailMessage:
    """A message or body part of Python's email package."""
    mail = email.message.EmailMessage(policy=email.policy.SMTP)
    if isinstance(tree, str):
        mail.set_content(tree)
    elif isinstance(tree, bytes):
        mail.set_content(tree, maintype="application", subtype="octet-stream", filename="f.bin")
    else:
        assert isinstance(tree, list)
        mail["Content-Type"] = "multipart/mixed"
        for part in tree:
            mail.attach(built(part))
    return mail


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TREES)
def test_random_trees_come_out_with_the_same_leaves(tree: object) -> None:
    data = built(tree).as_bytes()
    parsed = email.message_from_bytes(data, policy=email.policy.default)
    expected = [digest(bytes(part.get_payload(decode=True))) for part in parsed.walk() if not part.is_multipart()]
    found = walk(data)
    leaves = [part for part in found.facts.parts if part.type != "multipart" and "/" not in part.part]
    assert [part.sha256 for part in leaves] == expected
    assert not [one for one in found.facts.findings if one.kind.startswith(("mime", "multipart", "header"))]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400), st.sampled_from([b"", b"\n\n", b"Content-Type: multipart/mixed; boundary=-\n\n"]))
def test_random_octets_never_raise(octets: bytes, prefix: bytes) -> None:
    found = walk(prefix + octets)
    assert found.facts.verdict in Verdict
    walk_file(octets, "x")
