"""ZipCrypto: what zip itself encrypted, and a cipher written down as the specification has it."""

import io
import zipfile
import zlib

from hypothesis import given
from hypothesis import strategies as st

from cext.zipcrypto import decrypt
from tests.oracles.zipcrypto import encrypt


@given(st.binary(max_size=80), st.binary(max_size=300))
def test_what_was_encrypted_comes_back(password: bytes, plain: bytes) -> None:
    """ENC-01: the kernel against the words of APPNOTE s6.1."""
    assert decrypt(password, encrypt(password, plain)) == plain
    assert decrypt(password, memoryview(encrypt(password, plain))) == plain


def test_pythons_zipfile_reads_what_the_oracle_writes() -> None:
    """So the oracle is right, and with it the kernel."""
    plain = b"octets of a file " * 40
    packed = encrypt(b"Geheim", bytes(11) + bytes([zlib.crc32(plain) >> 24]) + plain)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.txt", packed)
    octets = bytearray(out.getvalue())
    central = octets.index(b"PK\x01\x02")
    for at in (6, central + 8):
        octets[at] |= 1
    for at in (14, central + 16):
        octets[at : at + 4] = zlib.crc32(plain).to_bytes(4, "little")
    for at in (22, central + 24):
        octets[at : at + 4] = len(plain).to_bytes(4, "little")
    with zipfile.ZipFile(io.BytesIO(bytes(octets))) as archive:
        assert archive.read("a.txt", pwd=b"Geheim") == plain


def test_large_and_empty() -> None:
    plain = bytes(range(256)) * 1025
    assert decrypt(b"x", encrypt(b"x", plain)) == plain
    assert decrypt(b"", b"") == b""
