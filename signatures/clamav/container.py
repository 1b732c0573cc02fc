"""Containers: .cvd and .cld (signed), .cud (not signed).

512 octets of header, fields apart by colons: ClamAV-VDB, time, version, signatures, level, MD5 of what follows,
signature, builder, seconds. Then a tar archive, gzipped or not. An .info member lists the others with their SHA-256.
"""

import gzip
import hashlib
import io
import re
import tarfile
import zlib
from collections.abc import Iterator
from typing import Final, NamedTuple

HEADER_LEN = 512
LONGEST = 2 << 30  # octets of an unpacked archive
# The public key that ClamAV's databases are signed with: facts of the format, not ours to choose.
KEY_EXPONENT = 100001027
KEY_MODULUS = int(
    "118640995551645342603070001658453189751527774412027743746599405743243142607464144767361060640655844749760788890022"
    "283424922762488917565551002467771109669598189410434699034532232228621591089508178591428456220796841621637175567590"
    "476666928698770143328137383952820383197532047771780196576957695822641224262693037"
)
_NUMBER: Final = re.compile(r"[0-9]{1,12}")
_DIGITS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/"


class BadContainer(ValueError):
    """Not taken as a whole, and why."""


def digits(text: str) -> int | None:
    """The number that ClamAV writes so: 64 digits, the least one in front. None: it is none."""
    value = 0
    for place, digit in enumerate(text):
        at = _DIGITS.find(digit)
        if at < 0:
            return None
        value |= at << 6 * place
    return value


def signed_digest(signature: str, exponent: int, modulus: int) -> str:
    """The MD5 that an RSA signature of a header is of, in hexadecimal; empty if it is none."""
    value = digits(signature)
    if value is None:
        return ""
    plain = pow(value, exponent, modulus)
    return plain.to_bytes((modulus.bit_length() + 7) // 8, "big")[-16:].hex()


class Header(NamedTuple):
    """Of a container, or of its list of files. time: seconds since 1970, 0 if it is not told."""

    version: int
    signatures: int
    time: int


def _fields(octets: bytes) -> list[str]:
    fields = octets[:HEADER_LEN].decode("latin-1").split(":")
    if len(octets) < HEADER_LEN or fields[0] != "ClamAV-VDB" or len(fields) < 8:
        raise BadContainer("no header of a ClamAV container")
    return fields


def header(octets: bytes) -> Header:
    """Raises BadContainer."""
    fields = _fields(octets)
    numbers = [int(text) if _NUMBER.fullmatch(text) else -1 for text in (fields[2], fields[3])]
    if min(numbers) < 0:
        raise BadContainer("no version in the header of a ClamAV container")
    built = fields[8].strip() if len(fields) > 8 else ""
    return Header(numbers[0], numbers[1], int(built) if _NUMBER.fullmatch(built) else 0)


def _archive(octets: bytes) -> bytes:
    if not octets.startswith(b"\x1f\x8b"):
        return octets
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(octets)) as stream:
            unpacked = stream.read(LONGEST + 1)
    except (OSError, EOFError, zlib.error) as e:
        raise BadContainer(f"archive cannot be unpacked: {e}") from None
    if len(unpacked) > LONGEST:
        raise BadContainer("archive is too long")
    return unpacked


def infos(octets: bytes) -> dict[str, str]:
    """Name to SHA-256, of an .info member."""
    found = {}
    for line in octets.decode("latin-1").splitlines():
        fields = line.split(":")
        if len(fields) == 3 and len(fields[2]) == 64:
            found[fields[0]] = fields[2].lower()
    return found


def members(octets: bytes, suffix: str) -> Iterator[tuple[str, bytes]]:
    """(name, octets) of the databases inside, after every check. Raises BadContainer before the first one."""
    fields = _fields(octets)
    body = octets[HEADER_LEN:]
    if suffix == ".cvd":
        digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
        if digest != fields[5].lower():
            raise BadContainer("digest of the content is wrong")
        if signed_digest(fields[6], KEY_EXPONENT, KEY_MODULUS) != digest:
            raise BadContainer("digital signature is wrong")
    try:
        with tarfile.open(fileobj=io.BytesIO(_archive(body)), mode="r:") as archive:
            files = [(m.name, f.read()) for m in archive if m.isfile() and (f := archive.extractfile(m)) is not None]
    except (tarfile.TarError, OSError, EOFError, ValueError) as e:
        raise BadContainer(f"archive cannot be read: {e}") from None
    sums: dict[str, str] = {}
    for name, content in files:
        if name.endswith(".info"):
            sums |= infos(content)
    for name, content in files:
        if name in sums and hashlib.sha256(content).hexdigest() != sums[name]:
            raise BadContainer(f'digest of "{name}" is wrong')
    yield from files
