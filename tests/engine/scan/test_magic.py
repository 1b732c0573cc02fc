"""Types by content."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.scan.magic import OPENED, UNOPENED, identify, is_tar_header
from tests.engine.scan.material import gzipped, message, tarred, zipped


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "empty"),
        (b"Hello, world\n", "text"),
        (b"MZ is how this text begins", "text"),
        (b"BM, too", "text"),
        (b"MZ\x90\0\x03\0\0\0", "pe"),
        (b"\0\1\2", "data"),
        ("text".encode("utf-16"), "text"),
        (b"  <html><body>", "html"),
        (b"a <b>word</b> <script>", "html"),
        (b"7z\xbc\xaf\x27\x1c\0\4", "7z"),
        (b"Rar!\x1a\x07\x01\0", "rar"),
        (b"MSCF\0\0\0\0", "cab"),
        (b"BZh91AY&SY", "bzip2"),
        (b"\xfd7zXZ\0\0", "xz"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0", "ole"),
        (b"\x78\x9f\x3e\x22\0", "tnef"),
        (b"%PDF-1.7", "pdf"),
        (b"junk\n%PDF-1.7\n", "pdf"),
        (b"\x21\x04-lh5-\x00\x01", "lha"),
        (b"\x5d\0\0\x80\0" + b"\xff" * 8 + b"\0", "lzma"),
        (b"\x5d" + b"\xff" * 4 + b"\xff" * 8 + b"\0", "lzma"),
        (bytes(8) + b"\x19\x04\0\x10\x24", "sis"),
        (b"\x7a\x1a\x20\x10\0", "sis"),
        (b"\x1a\x04TECT.TXT\0".ljust(15, b"\0") + b"\x46\1\0\0" + bytes(10), "arc"),
        (b"\x1a\1\x3a\0\x10\0\2\0\x8a\0\x2d\0diablo1740-lm|630-lm", "data"),  # terminfo
        (bytes(32769) + b"CD001" + bytes(9), "iso"),
        (b"From: a@b\r\nSubject: c\r\n\r\nd", "mail"),
        (b"Received: x\r\n\ty\r\nDate: z\r\n\r\n", "mail"),
        (b"From: the beginning of a letter\nthat goes on", "text"),
    ],
)
def test_identify(content: bytes, expected: str) -> None:
    assert identify(content, 0, len(content)) == expected
    assert identify(b"--" + content + b"--", 2, 2 + len(content)) == expected


def test_containers_that_are_made_here() -> None:
    for content, expected in (
        (zipped({"a": b"b"}), "zip"),
        (zipped({}), "zip"),
        (gzipped(b"a"), "gzip"),
        (tarred({"a": b"b"}), "tar"),
        (message(), "mail"),
    ):
        assert identify(content, 0, len(content)) == expected


def test_what_is_declared_chooses_only_between_texts() -> None:
    assert identify(b"plain words", 0, 11, "text/html") == "html"
    assert identify(b"MZ\0\0", 0, 4, "text/html") == "pe"


def test_a_tar_is_known_by_its_checksum() -> None:
    block = tarred({"a": b"b"})[:512]
    assert is_tar_header(block)
    assert not is_tar_header(block.replace(b"a", b"c", 1))
    assert not is_tar_header(bytes(512))
    assert not is_tar_header(block[:511])


def test_no_type_is_both_opened_and_not() -> None:
    assert not OPENED & UNOPENED


@given(st.binary(max_size=700))
def test_nothing_raises(octets: bytes) -> None:
    assert identify(octets, 0, len(octets))


@pytest.mark.parametrize("name", [b"X-" + b"a" * 60, b"ARC-" + b"a" * 40, b"To"])
def test_first_field_of_a_message_whatever_its_length(name: bytes) -> None:
    """AV-02: a message that was saved as a file is told by its first field, also by the longest one."""
    for before in (b"", b"From a@example.com Mon Nov 23\n", b">From " + b"a" * 200 + b"\n"):
        text = before + name + b": x\nSubject: y\n\nbody"
        assert identify(text, 0, len(text)) == "mail"
