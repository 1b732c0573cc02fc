"""S/MIME objects: any octets, and any behind a good beginning."""

from tests.engine.scan.formats.test_pkcs7 import SIGNED, element, info, inner, opened

SEEDS: list[bytes] = [
    info(SIGNED, inner(element(4, b"content"))),
    info(SIGNED, inner(b"\x24\x80" + element(4, b"con") + element(0x24, element(4, b"tent")) + b"\0\0")),
]


def one_input(data: bytes) -> None:
    opened(data)
    opened(SEEDS[1][:40] + data)
