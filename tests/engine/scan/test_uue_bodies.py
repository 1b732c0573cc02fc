"""Several files in one body: each is found, whether the body is text or says that it is in UUE."""

import binascii

import pytest

from tests.engine.scan.material import EICAR, VIRUS, walk


def _file(name: bytes, data: bytes) -> bytes:
    return (
        b"begin 644 "
        + name
        + b"\r\n"
        + binascii.b2a_uu(data[:45])[:-1]
        + b"\r\n"
        + binascii.b2a_uu(data[45:])
        + b"`\r\nend\r\n"
    )


@pytest.mark.parametrize("field", [b"X-Field: none", b"Content-Transfer-Encoding: x-uuencode"])
def test_every_file_of_a_body_is_examined(field: bytes) -> None:
    for body in (
        _file(b"a", b"one") + _file(b"b", EICAR),
        _file(b"a", EICAR) + b"\r\nprose\r\n" + _file(b"b", b"two"),
        b"begin-base64 644 a\r\n" + binascii.b2a_base64(EICAR) + b"====\r\n" + _file(b"b", b"two"),
        EICAR + b"\r\n" + _file(b"b", b"two"),
        _file(b"b", b"two") + EICAR,
    ):
        facts = walk(b"Subject: x\r\n" + field + b"\r\n\r\n" + body).facts
        assert VIRUS in {one.name for one in facts.matches}


def test_one_file_is_read_in_one_way() -> None:
    facts = walk(b"Content-Transfer-Encoding: x-uuencode\r\n\r\n" + _file(b"a", EICAR) + b"\r\n").facts
    assert len(facts.parts) == 1
