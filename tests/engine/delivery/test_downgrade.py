"""Conversion to 7bit (RFC 6152 s3), held against the standard library's reading of both messages."""

import email
import email.message
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import limits
from engine.delivery import parts
from engine.delivery.downgrade import convert, survey
from engine.delivery.parts import Unconvertible

UMLAUTS = "Grüße aus Köln, mit =3D und nicht viel mehr\r\n \t\r\n. \r\n".encode()
HIGH = bytes(range(128, 256)) * 3


def cut(octets: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(octets), size):
        yield octets[at : at + size]


def seven_bit(octets: bytes, size: int = 100) -> bytes:
    plan = survey(cut(octets, size))
    return b"".join(convert(cut(octets, size), plan))


def leaves(octets: bytes) -> list[tuple[str, bytes]]:
    """Type and decoded content of all parts that hold no others."""
    found = [part for part in email.message_from_bytes(octets).walk() if not part.is_multipart()]
    return [(part.get_content_type(), part.get_payload(decode=True)) for part in found]  # type: ignore[misc]


def entity(content: bytes, *fields: str) -> bytes:
    return "".join(f"{field}\r\n" for field in fields).encode() + b"\r\n" + content


def multipart(boundary: str, *entities: bytes, kind: str = "mixed", encoding: str = "8bit") -> bytes:
    head = entity(
        b"pre\xe4mble\r\n",
        f"Content-Type: multipart/{kind}; boundary={boundary}",
        f"Content-Transfer-Encoding: {encoding}",
    )
    inner = b"".join(f"--{boundary}\r\n".encode() + one + b"\r\n" for one in entities)
    return head + inner + f"--{boundary}--\r\n".encode() + b"epil\xf6gue\r\n"


lines = st.lists(
    st.one_of(
        st.binary(max_size=120).map(lambda octets: octets.translate(None, b"\r\n\0")),
        st.sampled_from(
            [b"", b" ", b"=", b".", b"--", b"--b", b"From me", b"a \t", HIGH, b"x" * 1200, "ж".encode() * 400]
        ),
    ),
    max_size=8,
).map(b"\r\n".join)
types = st.sampled_from(
    ["text/plain; charset=utf-8", "text/html", "application/octet-stream", "TEXT/PLAIN (ä)".replace("ä", "a")]
)
leaf = st.builds(
    lambda content, kind, encoding: entity(content, *([f"Content-Type: {kind}"] if kind else []), *encoding),
    lines,
    types,
    st.sampled_from([(), ("Content-Transfer-Encoding: 8bit",), ("content-transfer-encoding:\r\n\tBinary (so)",)]),
)
count = st.integers(0, 10**9)
trees = st.recursive(
    leaf,
    lambda inner: st.one_of(
        st.builds(
            lambda number, kind, entities: multipart(f"b{number}", *entities, kind=kind),
            count,
            st.sampled_from(["mixed", "alternative", "signed"]),
            st.lists(inner, min_size=1, max_size=3),
        ),
        inner.map(lambda one: entity(one, "Content-Type: message/rfc822", "Content-Transfer-Encoding: 8bit")),
    ),
    max_leaves=6,
)


@given(trees, st.integers(1, 5000))
def test_same_content_in_seven_bits(message: bytes, size: int) -> None:
    """RFC 6152 s3: parts decode to the same octets, in the same structure, in lines of at most 998."""
    try:
        converted = seven_bit(message, size)
    except Unconvertible as refused:
        assert str(refused) in ("two multiparts have the same boundary", "a multipart has no parts")
        return
    assert converted.isascii()
    assert max(map(len, converted.split(b"\r\n"))) <= 998
    assert leaves(converted) == leaves(message)
    assert seven_bit(converted) == converted, "nothing is left to do"


@given(st.lists(lines, min_size=1, max_size=4), st.integers(1, 4096))
def test_what_is_looked_at_in_several_turns(contents: list[bytes], size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "_ENOUGH_LEN", 2500)
        message = multipart("bound", *(entity(one * 40, "Content-Type: text/plain") for one in contents))
        converted = seven_bit(message, size)
        assert converted.isascii()
        assert leaves(converted) == leaves(message)


def test_a_long_line_that_fills_more_than_one_turn() -> None:
    content = "ö".encode() * 10 + b"x y " * 200_000 + b"\r\n--no\r\n" + b"\xe4"
    for message in (entity(content, "Subject: x"), multipart("b", entity(content), entity(b"\xff" * 600_000))):
        converted = seven_bit(message, limits.BODY_CHUNK_LEN)
        assert converted.isascii() and max(map(len, converted.split(b"\r\n"))) <= 77
        assert leaves(converted) == leaves(message)


def test_seven_bit_parts_stay_as_they_are() -> None:
    """RFC 2045 s6.4: multiparts are never encoded; what needs nothing is not touched but for its label."""
    plain = entity(b"as it is  \r\n=3D\r\n", "X-A: 1", "Content-Type: text/plain", "Content-Transfer-Encoding: 7bit")
    packed = entity(b"R3LDvMOfZQ==\r\n", "Content-Type: image/png", "Content-Transfer-Encoding: base64")
    text = entity(UMLAUTS, "Content-Type: text/plain; charset=utf-8", "content-transfer-encoding: 8bit", "X-B: 2")
    converted = seven_bit(multipart("b", plain, packed, text))
    assert plain in converted and packed in converted
    head = b"Content-Transfer-Encoding: 7bit\r\nMIME-Version: 1.0\r\n\r\npre?mble\r\n"
    assert converted.startswith(b"Content-Type: multipart/mixed; boundary=b\r\n" + head)
    assert b"Content-Transfer-Encoding: quoted-printable\r\nX-B: 2\r\n\r\nGr=C3=BC=C3=9Fe aus" in converted
    assert converted.endswith(b"--b--\r\nepil?gue\r\n")


def test_a_message_without_mime_becomes_one() -> None:
    """RFC 1428: of a character set that nobody said."""
    converted = seven_bit(entity(b"Gr\xfc\xdfe and some more words\r\n", "Subject: x"))
    parsed = email.message_from_bytes(converted)
    assert (parsed["MIME-Version"], parsed["Content-Type"]) == ("1.0", "text/plain; charset=unknown-8bit")
    assert converted.endswith(b"\r\n\r\nGr=FC=DFe and some more words\r\n")


@pytest.mark.parametrize(
    ("content", "encoding"), [(UMLAUTS, "quoted-printable"), (HIGH, "base64"), (b"\xe4 x" * 9 + b"\n" * 99, "base64")]
)
def test_the_shorter_encoding(content: bytes, encoding: str) -> None:
    """And base64 wherever line ends are not CRLF."""
    message = entity(content, "Content-Type: text/plain")
    assert email.message_from_bytes(seven_bit(message))["Content-Transfer-Encoding"] == encoding
    assert leaves(seven_bit(message)) == leaves(message)


@pytest.mark.parametrize("size", [1, 500, 10_000])
def test_longest_line(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 5322 s2.1.1: 998 octets before the line end stay, one more does not, wherever it is cut."""
    monkeypatch.setattr(parts, "_ENOUGH_LEN", 600)
    for length, encoding in ((998, None), (999, "quoted-printable")):
        message = entity(b"a\r\n" + b"x" * length + b"\r\nb\r\n", "Subject: x")
        assert email.message_from_bytes(seven_bit(message, size))["Content-Transfer-Encoding"] == encoding
        assert leaves(seven_bit(message, size)) == leaves(message)


def test_signatures_that_it_breaks_are_named() -> None:
    signed = multipart("b", entity(UMLAUTS), entity(b"sig"), kind="signed")
    assert survey([b"DKIM-Signature: v=1\r\n" + signed]).breaks == ("DKIM", "multipart/signed")
    assert survey([multipart("c", signed)]).breaks == ("multipart/signed",)
    assert survey([entity(UMLAUTS)]).breaks == ()


REFUSED = {
    "header": "Subject: Grüße\r\n\r\nx".encode(),
    "header of a part": multipart("b", entity(b"x", "Content-Type: text/plain; name=ä")),
    "damaged header": b"Subject: x\r\nno field\r\n\r\n\xe4",
    "two types": entity(UMLAUTS, "Content-Type: text/plain", "Content-Type: text/html"),
    "two encodings": entity(UMLAUTS, "Content-Transfer-Encoding: 8bit", "Content-Transfer-Encoding: base64"),
    "no boundary": entity(UMLAUTS, "Content-Type: multipart/mixed"),
    "two boundaries": entity(UMLAUTS, "Content-Type: multipart/mixed; boundary=a; boundary=b"),
    "encoded multipart": multipart("b", entity(UMLAUTS), encoding="base64"),
    "no parts": entity(UMLAUTS, "Content-Type: multipart/mixed; boundary=a"),
    "closed at once": entity(UMLAUTS + b"\r\n--a--\r\n", "Content-Type: multipart/mixed; boundary=a"),
    "same boundary": multipart("b", multipart("b", entity(UMLAUTS))),
    "8-bit in base64": entity(UMLAUTS, "Content-Transfer-Encoding: base64"),
    "8-bit in quoted-printable": entity(UMLAUTS, "Content-Transfer-Encoding: quoted-printable"),
    "unknown encoding": entity(UMLAUTS, "Content-Transfer-Encoding: x-uuencode"),
    "report": multipart("b", entity(UMLAUTS, "Content-Type: message/delivery-status")),
}


@pytest.mark.parametrize("message", REFUSED.values(), ids=list(REFUSED))
def test_what_cannot_be_converted_for_sure_is_refused(message: bytes) -> None:
    with pytest.raises(Unconvertible):
        seven_bit(message)


def test_message_global_is_encoded_and_not_read() -> None:
    """RFC 6532 s3.5."""
    inner = "Subject: Grüße\r\n\r\nsome more words\r\n".encode()
    converted = seven_bit(multipart("b", entity(inner, "Content-Type: message/global")))
    assert converted.isascii() and b"Subject: Gr=C3=BC=C3=9Fe" in converted


def test_digest_has_messages_by_default() -> None:
    """RFC 2046 s5.1.5."""
    inner = entity(UMLAUTS, "Subject: inner")
    converted = seven_bit(multipart("b", entity(inner), kind="digest"))
    assert b"Subject: inner\r\nMIME-Version: 1.0\r\n" in converted
    assert leaves(converted) == leaves(multipart("b", entity(inner), kind="digest"))


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """limits.MIME_PARTS, MIME_DEPTH, HEADER_FIELDS and HEADER_LEN, each crossed by one."""
    monkeypatch.setattr(limits, "MIME_PARTS", 4)
    assert seven_bit(multipart("b", *[entity(UMLAUTS)] * 3)).isascii()
    with pytest.raises(Unconvertible, match="too many parts"):
        seven_bit(multipart("b", *[entity(UMLAUTS)] * 4))
    monkeypatch.setattr(limits, "MIME_DEPTH", 1)
    with pytest.raises(Unconvertible, match="too deep"):
        seven_bit(multipart("b", multipart("c", entity(UMLAUTS))))
    monkeypatch.setattr(limits, "HEADER_FIELDS", 3)
    assert seven_bit(entity(UMLAUTS, *["A: b"] * 3)).isascii()
    with pytest.raises(Unconvertible, match="too many fields"):
        seven_bit(entity(UMLAUTS, *["A: b"] * 4))
    monkeypatch.setattr(limits, "HEADER_LEN", 17)
    assert seven_bit(entity(UMLAUTS, "A: b67890123456")).isascii()
    with pytest.raises(Unconvertible, match="too long"):
        seven_bit(entity(UMLAUTS, "A: b678901234567"))


def test_endless_header_line_is_refused_early() -> None:
    def endless() -> Iterator[bytes]:
        for number in range(100):
            assert number < 10, "it read on"
            yield b"A: b " * 10_000

    with pytest.raises(Unconvertible, match="without an end"):
        survey(endless())
