"""OpenPGP in armor: any text, and any packets in good armor."""

from tests.engine.scan.formats.test_openpgp import armored, compressed, literal, opened, packet

SEEDS: list[bytes] = [
    armored(packet(4, b"") + literal(b"content")),
    packet(4, b"") + literal(b"content"),
    compressed(2, literal(b"content")),
]


def one_input(data: bytes) -> None:
    opened(data)
    opened(armored(data))
