"""Where clients disagree there is more than one reading, and the first is the common one (PROC-22)."""

from engine import limits
from engine.scan import readings as spellings
from engine.scan.header import Fields, parse
from engine.scan.node import LEAF, MESSAGE, MULTIPART
from engine.scan.readings import Reading, guess_boundary, readings


def read(*content_types: bytes, encodings: tuple[bytes, ...] = (), digest: bool = False) -> tuple[Reading, ...]:
    fields = Fields(list(content_types), list(encodings))
    return readings(fields, [parse(one) for one in content_types], digest)


def shapes(found: tuple[Reading, ...]) -> list[tuple[str, str, bytes]]:
    return [(one.kind, one.encoding, one.boundary) for one in found]


def test_ordinary_entities_have_one_reading() -> None:
    assert shapes(read()) == [(LEAF, "", b"")]
    assert shapes(read(digest=True)) == [(MESSAGE, "", b"")]
    assert shapes(read(b"text/html", encodings=(b"Base64",))) == [(LEAF, "base64", b"")]
    assert shapes(read(b"multipart/mixed; boundary=b", encodings=(b"7bit",))) == [(MULTIPART, "", b"b")]
    assert shapes(read(b"message/rfc822", encodings=(b"8bit",))) == [(MESSAGE, "", b"")]
    assert shapes(read(b"nonsense")) == [(LEAF, "", b"")]


def test_types_that_yield_the_same_octets_are_one_reading() -> None:
    assert shapes(read(b"text/plain", b"image/png", encodings=(b"base64",))) == [(LEAF, "base64", b"")]


def test_different_fields_are_read_in_all_ways() -> None:
    found = read(b"text/plain", b"multipart/mixed; boundary=b")
    assert shapes(found) == [(LEAF, "", b""), (MULTIPART, "", b"b")]
    assert not found[0].why and found[1].why
    assert shapes(read(encodings=(b"7bit", b"base64"))) == [(LEAF, "", b""), (LEAF, "base64", b"")]
    assert shapes(read(b"multipart/x; boundary=a; boundary=b")) == [(MULTIPART, "", b"a"), (MULTIPART, "", b"b")]


def test_an_unknown_encoding_is_tried_as_each_known_one() -> None:
    assert [one.encoding for one in read(encodings=(b"base-64",))] == ["", "base64", "quoted-printable"]


def test_an_encoded_multipart_is_also_decoded() -> None:
    found = read(b"multipart/mixed; boundary=b", encodings=(b"base64",))
    assert shapes(found) == [(MULTIPART, "", b"b"), (MULTIPART, "base64", b"b")]


def test_a_boundary_may_hide_in_an_extended_parameter() -> None:
    assert shapes(read(b"multipart/mixed; boundary*0=a; boundary*1=b")) == [(MULTIPART, "", b"ab")]


def test_a_multipart_without_a_boundary_is_a_leaf_and_its_boundary_can_be_guessed() -> None:
    assert shapes(read(b"multipart/mixed")) == [(LEAF, "", b"")]
    text = b"preamble\r\n--not one, but text\r\n--real one \r\nContent-Type: text/plain\r\n\r\nx"
    assert guess_boundary(text, 0, len(text)) == b"real one"
    assert guess_boundary(b"nothing", 0, 7) == b""


def test_readings_are_few() -> None:
    types = [b"multipart/m; boundary=%d" % number for number in range(50)]
    assert len(read(*types, encodings=(b"x", b"y", b"uuencode"))) == limits.READINGS + 1  # one more: there were more


def test_a_long_encoding_is_tried_as_each_known_one() -> None:
    """PROC-23: readings._ENCODING_LEN, crossed by one: what stands behind it hides nothing."""
    for longer in (0, 1):
        blanks = b" " * (spellings._ENCODING_LEN - len(b"8bitbase64") + longer)
        found = read(b"application/x", encodings=(b"8bit" + blanks + b"base64",))
        assert [one.encoding for one in found] == ["", "base64", "quoted-printable"][: 2 + longer]
