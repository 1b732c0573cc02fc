"""Where mail clients disagree, whatever one of them would show is examined (PROC-22), and no more than the budget.

Each case hides the test file so that only one of the readings decodes it.
"""

import base64

import pytest

from engine import limits
from engine.scan.facts import Cause, Verdict
from engine.scan.walk import Walk
from tests.engine.scan.material import EICAR, gzipped, kinds, message, paths, walk

B64 = base64.encodebytes(EICAR).replace(b"\n", b"\r\n")
HIDDEN = b"Content-Transfer-Encoding: base64\r\n\r\n" + B64
MIXED = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
DECLARED = b"Content-Type: multipart/mixed; boundary="
LONG = b"x" * 70

CASES: dict[str, bytes] = {
    "field without a blank line": b"Subject: x\r\nContent-Transfer-Encoding: base64\r\n" + B64 + b"\r\nrest\r\n",
    "line of white space": b"Content-Transfer-Encoding: base64\r\n \r\n" + B64 + b"\r\nrest\r\n",
    "line of white space that continues": b"Content-Type: text/plain;\r\n\t\r\n charset=x\r\n" + HIDDEN,
    "line that is no field": b"Subject: x\r\nno field\r\n" + HIDDEN,
    "field without text": b"Content-Type:\r\n multipart/mixed;\r\n boundary=b\r\n\r\n--b\r\n" + HIDDEN,
    "blanks before the colon": b"Content-Transfer-Encoding  : base64\r\n\r\n" + B64,
    "bare CR before an empty line": b"X: y\r\r\n" + HIDDEN,
    "bare CR between fields": b"X: y\r" + HIDDEN,
    "NUL in a name": b"Content-Transfer\0-Encoding: base64\r\n\r\n" + B64,
    "words in front of the content": b"no header section\r\n\r\n" + gzipped(EICAR),
    "two words in one field": b"Content-Transfer-Encoding: 7bit base64\r\n\r\n" + B64,
    "a comment in the encoding": b"Content-Transfer-Encoding: (7bit) base64 (x)\r\n\r\n" + B64,
    "data behind padding": b"Content-Transfer-Encoding: base64\r\n\r\naGk=\r\n" + B64,
    "padding that is none": b"Content-Transfer-Encoding: base64\r\n\r\nZ=" + base64.b64encode(b"g" + EICAR)[1:],
    "same boundary inside": MIXED + b"--b\r\n" + MIXED + b"--b\r\n" + HIDDEN + b"\r\n--b--\r\n",
    "boundary of the outer one inside": MIXED
    + b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nwords\r\n--b\r\n\r\nx\r\n--c\r\n"
    + HIDDEN,
    "closing delimiter that opens": b'Content-Type: multipart/mixed; boundary="a--"\r\n\r\n--a--\r\n'
    b'Content-Type: multipart/mixed; boundary="a----"\r\n\r\n--a----\r\n' + HIDDEN + b"--a------\r\n",
    "delimiters by their beginning": MIXED + b"--bc\r\n" + HIDDEN + b"\r\n--bc--\r\n",
    "beginning of a long boundary": DECLARED + LONG + b"yz\r\n\r\n--" + LONG + b"\r\n" + HIDDEN,
    "boundary of 700 octets": DECLARED + LONG * 10 + b"\r\n\r\n--" + LONG * 10 + b"\r\n" + HIDDEN,
    "boundary with a comment": b"Content-Type: multipart/mixed; boundary=b (c)\r\n\r\n--b\r\n" + HIDDEN,
    "boundary in single quotes": b"Content-Type: multipart/mixed; boundary='b'\r\n\r\n--b\r\n" + HIDDEN,
    "boundary with an escape": b'Content-Type: multipart/mixed; boundary="a\\b"\r\n\r\n--a\\b\r\n' + HIDDEN,
    "boundary without its last quote": b'Content-Type: multipart/mixed; boundary="b; x=y\r\n\r\n--b\r\n' + HIDDEN,
    "boundary in RFC 2231": b"Content-Type: multipart/mixed; boundary*=us-ascii''%62\r\n\r\n--b\r\n" + HIDDEN,
    "boundary in pieces": b"Content-Type: multipart/mixed; boundary*1=d; boundary*0*=%63\r\n\r\n--cd\r\n" + HIDDEN,
    "no boundary": b"Content-Type: multipart/mixed\r\n\r\n--any\r\n" + HIDDEN,
    "wrong boundary in a part": MIXED
    + b"--b\r\nContent-Type: multipart/mixed; boundary=wrong\r\n\r\n--c\r\n"
    + HIDDEN
    + b"\r\n--c--\r\n--b--\r\n",
    "two readings in each other": b"Content-Type: a/b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
    b"Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64\r\n\r\n" + B64,
    "message in the epilogue": MIXED + b"--b\r\n\r\nx\r\n--b--\r\n\r\n\r\n" + message("x\n", [("e.com", EICAR)]),
    "message in the preamble": MIXED + message("x\n", [("e.com", EICAR)]) + b"\r\n--b\r\n\r\nx\r\n--b--\r\n",
    "external body": b"Content-Type: message/external-body; access-type=x\r\n\r\nContent-Type: image/png\r\n" + HIDDEN,
    "first piece of a message": b"Content-Type: message/partial; number=1; id=x\r\n\r\nSubject: y\r\n" + HIDDEN,
    "digest": b"Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: y\r\n" + HIDDEN,
    "encoded digest": b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + base64.encodebytes(b"Subject: y\r\n" + HIDDEN),
    "appledouble": b"Content-Type: multipart/appledouble; boundary=b\r\n\r\n--b\r\nContent-Type: a/b\r\n"
    + HIDDEN,
    "signed": b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n" + HIDDEN,
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_some_client_shows_is_examined(name: str) -> None:
    found = walk(CASES[name])
    assert found.facts.verdict is Verdict.INFECTED, (found.facts.findings, found.facts.parts)


@pytest.mark.parametrize("name", CASES)
def test_the_same_inside_another_message(name: str) -> None:
    wrapped = b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    assert walk(wrapped + base64.encodebytes(CASES[name])).facts.verdict is Verdict.INFECTED


def readings(found: Walk) -> set[str]:
    return {part.reading for part in found.facts.parts}


def test_delimiters_at_a_bare_cr_are_read_in_both_ways() -> None:
    found = walk(MIXED + b"--b\r\n\r\nx\r--b\rContent-Type: text/html\r\ry\r\n--b--\r\n")
    assert "multipart-bare-cr" in kinds(found)
    assert "a bare CR ends no line" in readings(found)


def test_trailing_blanks_of_quoted_printable_are_dropped_and_kept() -> None:
    found = walk(b"Content-Transfer-Encoding: quoted-printable\r\n\r\na \r\nb\t\r\n")
    assert [(part.size, part.reading) for part in found.facts.parts] == [(6, ""), (8, "trailing blanks kept")]
    usual = walk(b"Content-Transfer-Encoding: quoted-printable\r\n\r\na=20\r\nb\r\n")
    assert readings(usual) == {""} and not usual.facts.findings


def test_ordinary_mail_has_one_reading_and_no_finding() -> None:
    for data in (
        message("words\n", [("a.bin", b"\0\1"), ("b.txt", b"text")]),
        MIXED + b"preamble\r\n--b\r\n\r\nx\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>\r\n--b--\r\n",
        b"From x@example.com Mon Jan  1\r\nSubject: x\r\n\ty\r\n\r\nwords\r\n",
        b'Content-Type: multipart/alternative; boundary="=_1 a"\r\n\r\n--=_1 a\r\n\r\nx\r\n--=_1 a--\r\n',
    ):
        found = walk(data)
        assert not found.facts.findings and readings(found) == {""}


def test_an_empty_part_in_uue_is_not_damaged() -> None:
    assert walk(b"Content-Transfer-Encoding: x-uuencode\r\n\r\n\r\n").facts.verdict is Verdict.CLEAN


# --- bounds (PROC-23): each crossed by one ------------------------------------------------------------------


def numbered(words: bytes, count: int) -> bytes:
    return b"".join(words % number for number in range(count))


def severe(found: Walk) -> list[str]:
    return [one.kind for one in found.facts.findings if one.severe]


@pytest.mark.parametrize(
    ("limit", "value", "kind", "make"),
    [
        ("HEADER_FIELDS", 50, "header-too-long", lambda n: b"X: y\r\n" * n + b"\r\n"),
        ("HEADER_LEN", 600, "header-too-long", lambda n: b"X: " + b"y" * (n - 6) + b"\r\nX: y\r\n\r\n"),
        ("PARAMETERS", 20, "mime-parameters", lambda n: b"Content-Type: a/b" + b"; a=b" * n + b"\r\n\r\n"),
        ("NAMES", 5, "mime-names", lambda n: b"Content-Disposition: a" + numbered(b"; filename=%d", n)),
        ("OCCURRENCES", 8, "header-too-long", lambda n: numbered(b"Content-Type: a/%d\r\n", n) + b"\r\n"),
        ("BOUNDARY_LEN", 300, "boundary-too-long", lambda n: b"Content-Type: multipart/x; boundary=" + b"b" * n),
        ("READINGS", 6, "mime-readings", lambda n: b"Content-Type: multipart/x" + numbered(b"; boundary=%d", n)),
    ],
)
def test_one_past_a_limit_is_never_clean(
    monkeypatch: pytest.MonkeyPatch, limit: str, value: int, kind: str, make: object
) -> None:
    assert callable(make)
    monkeypatch.setattr(limits, limit, value)
    assert severe(walk(make(value))) == []
    past = walk(make(value + 1))
    assert severe(past) == [kind] and past.facts.verdict is Verdict.UNSCANNED


def test_readings_of_a_message_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    one = b"--b\r\nContent-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64\r\n\r\nwords\r\n"
    monkeypatch.setattr(limits, "READINGS_TOTAL", 10)
    assert walk(MIXED + one * 10 + b"--b--\r\n").facts.verdict is Verdict.CLEAN
    past = walk(MIXED + one * 11 + b"--b--\r\n")
    assert [(entry.cause, entry.detail) for entry in past.facts.unscanned] == [(Cause.LIMIT, "10 readings")]
    monkeypatch.setattr(limits, "READINGS_TOTAL", 1000)
    monkeypatch.setattr(limits, "READINGS_LEN", len(b"words") * 10)
    assert walk(MIXED + one * 10 + b"--b--\r\n").facts.verdict is Verdict.CLEAN
    assert walk(MIXED + one * 11 + b"--b--\r\n").facts.verdict is Verdict.UNSCANNED


@pytest.mark.parametrize("depth", [limits.MIME_DEPTH, limits.MIME_DEPTH + 1])
def test_multiparts_in_each_other(depth: int) -> None:
    opened = b"".join(b"Content-Type: multipart/x; boundary=%db\r\n\r\n--%db\r\n" % (n, n) for n in range(depth))
    closed = b"".join(b"\r\n--%db--" % n for n in reversed(range(depth)))
    found = walk(opened + b"\r\nx" + closed + b"\r\n")
    assert found.facts.verdict is (Verdict.CLEAN if depth == limits.MIME_DEPTH else Verdict.UNSCANNED)


@pytest.mark.parametrize("depth", [10, 11])
def test_messages_in_each_other(depth: int) -> None:
    found = walk(b"Content-Type: message/rfc822\r\n\r\n" * depth + b"Subject: x\r\n\r\nx", depth=10)
    assert found.facts.verdict is (Verdict.CLEAN if depth == 10 else Verdict.UNSCANNED)


def test_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MIME_PARTS", 20)
    part = b"--b\r\n\r\nx\r\n"
    assert walk(MIXED + part * 19 + b"--b--\r\n").facts.verdict is Verdict.CLEAN  # the message itself is one
    assert walk(MIXED + part * 20 + b"--b--\r\n").facts.verdict is Verdict.UNSCANNED


def test_delimiters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DELIMITERS", 21)
    part = b"--b\r\n\r\nx\r\n"
    assert walk(MIXED + part * 19 + b"--b--\r\n").facts.verdict is Verdict.CLEAN
    past = walk(MIXED + part * 20 + b"--b--\r\n")
    assert [(one.cause, one.detail) for one in past.facts.unscanned] == [(Cause.LIMIT, "21 delimiters")]
    inside = walk(MIXED + part * 18 + b"--b\r\n" + MIXED.replace(b"=b", b"=c") + b"--c--\r\n--c\r\n--b--\r\n")
    assert inside.facts.verdict is Verdict.UNSCANNED


def test_a_million_parts_and_a_million_header_lines_end_early() -> None:
    many = walk(MIXED + b"--b\r\n\r\nx\r\n" * 1_000_000)
    assert len(many.facts.parts) <= limits.MIME_PARTS + 1 and many.facts.verdict is Verdict.UNSCANNED
    assert walk(b"X: y\r\n" + b" \r\n" * 1_000_000 + b"\r\nbody").facts.verdict is Verdict.CLEAN  # one long field
    for line in (b"X: y\r\n", b"Content-Type: a/b\r\n", b"no field\r\n", b"Content-Type: a/b\r"):
        assert walk(b"X: y\r\n" + line * 1_000_000 + b"\r\nbody").facts.verdict is Verdict.UNSCANNED
    assert len(paths(walk(b"Content-Type: message/rfc822\r\n\r\n" * 100_000))) < 100


SHAPES = {
    "parts": lambda n: MIXED + b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n" * n,
    "almost delimiters": lambda n: MIXED + b"--b\r\n\r\n" + b"--bx\r\n" * n + b"--b--\r\n",
    "ambiguous parts": lambda n: MIXED + b"--b\r\nno field\r\n \r\nX: y\r\n\r\nx\r\n" * n,
    "boundaries inside": lambda n: MIXED + (b"--b\r\n" + MIXED) * n,
    "fields": lambda n: b"Content-Type: a/b; x=y\r\n" * n + b"\r\n",
    "parameters": lambda n: b"Content-Type: a/b" + b"; name*%d*=x" * n % tuple(range(n)) + b"\r\n\r\n",
    "words": lambda n: b"Subject: " + b"=?utf-8?q?x?= " * n + b"\r\n\r\n",
    "comments": lambda n: b"Content-Type: " + b"(" * n + b"a/b" + b")" * n + b"\r\n\r\n",
}


@pytest.mark.parametrize("name", SHAPES)
def test_twice_the_input_is_at_most_twice_the_work(name: str) -> None:
    """Work: octets that the matcher is shown, and parts that are listed."""
    work = []
    for count in (100, 200):
        facts = walk(SHAPES[name](count)).facts
        work.append(sum(part.examined for part in facts.parts) + 100 * len(facts.parts) + 1000)
    assert work[1] <= 2.2 * work[0]
