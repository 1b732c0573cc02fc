"""Increments of ClamAV's databases: NAME-VERSION.cdiff makes a version from the one before.

A header, `ClamAV-Diff:VERSION:LENGTH:`, a script of LENGTH octets in gzip, a colon, and an RSA signature (PSS) of what
is before that colon. The script has a command a line, for files of the database; numbers of lines count from 1 in the
file as it was when it was opened:

    OPEN FILE
    ADD LINE                       at the end
    DEL NUMBER BEGINNING           of the line, as a check
    XCHG NUMBER BEGINNING LINE     LINE in place of it
    CLOSE                          does all of these
    MOVE FROM TO FIRST BEGINNING LAST BEGINNING    these lines, to the end of another file
    UNLINK FILE
"""

import hashlib
import hmac
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from signatures.clamav.container import digits

SCRIPT_LEN: Final = 512 << 20  # octets, unpacked
SIGNATURE_LEN: Final = 350  # octets at the end, among which the last colon is
HEADER_LEN: Final = 64
FILE_LEN: Final = 1 << 30  # of one file of a database
FILES: Final = 1000
_KEY_LEN, _HASH_LEN, _TRAILER = 256, 32, 0xBC
_NAME: Final = re.compile(rb"[A-Za-z0-9][A-Za-z0-9.]{0,63}")
_NUMBER: Final = re.compile(rb"[0-9]{1,10}")
_HEADER: Final = re.compile(rb"ClamAV-Diff:([0-9]{1,9}):([0-9]{1,10}):")
# The public key that increments and lists of files are signed with: facts of the format, not ours to choose.
EXPONENT: Final = 100002053
MODULUS: Final = int(
    "14783905874077467090262228516557917570254599638376203532031989214105552847269687489771975792123442185817287694"
    "95194980090879152754201711560050130339477861853586484523570004159005631823010244961221745854901608931330659138"
    "85907907965158196541023207257123008223563487240112326548375032417361779077841987008344406811247270605400357546"
    "99658105895050096576226753008596881698828185652424901921668758326578462003247906470982092298106789657211905488"
    "98628107834636146952448482955956088622719809199549844067663963983046359321138605506536028842239405399813445862"
    "3712540683294034953818412458362198117811990006021989844180721010947"
)


class BadDiff(ValueError):
    """It is not applied at all, and why."""


def is_signed(octets: bytes, signature: bytes, modulus: int = MODULUS, exponent: int = EXPONENT) -> bool:
    """Whether the signature, in the digits of ClamAV, is one of these octets.

    RSASSA-PSS (RFC 8017 s8.1.2) with SHA-256 and 32 octets of salt, but for one thing: ClamAV counts the key as one of
    2048 bits, though it has 2047, and so masks one bit less. Libraries refuse every other signature for that.
    """
    value = digits(signature.decode("latin-1"))
    if value is None or value >= modulus:
        return False
    block = pow(value, exponent, modulus).to_bytes(_KEY_LEN, "big")
    masked, found, end = block[: -_HASH_LEN - 1], block[-_HASH_LEN - 1 : -1], block[-1]
    mask = b"".join(
        hashlib.sha256(found + counter.to_bytes(4, "big")).digest() for counter in range(_KEY_LEN // _HASH_LEN)
    )
    salt = bytes(one ^ other for one, other in zip(masked, mask, strict=False))[-_HASH_LEN:]
    wanted = hashlib.sha256(bytes(8) + hashlib.sha256(octets).digest() + salt).digest()
    return end == _TRAILER and hmac.compare_digest(found, wanted)


def script_of(octets: bytes, version: int, modulus: int = MODULUS, exponent: int = EXPONENT) -> bytes:
    """The script of an increment to this version, after every check. Raises BadDiff."""
    colon = octets.rfind(b":", max(0, len(octets) - SIGNATURE_LEN))
    if colon < 0:
        raise BadDiff("it has no digital signature")
    if not is_signed(octets[:colon], octets[colon + 1 :].strip(), modulus, exponent):
        raise BadDiff("its digital signature is wrong")
    header = _HEADER.match(octets, 0, HEADER_LEN)
    if header is None:
        raise BadDiff("it has no header of an increment")
    if int(header[1]) != version:
        raise BadDiff(f"it is for version {int(header[1])}, not {version}")
    length = int(header[2])
    if length > SCRIPT_LEN:
        raise BadDiff("its script is too long")
    unpacker = zlib.decompressobj(31)
    try:
        script = unpacker.decompress(memoryview(octets)[header.end() : colon], length + 1)
    except zlib.error as error:
        raise BadDiff(f"its script cannot be unpacked: {error}") from None
    if len(script) != length:
        raise BadDiff("its script has another length than it says")
    return script


@dataclass(slots=True)
class _Opened:
    """added: to the end. removed: numbers and what their lines begin with. changed: and what comes in their place."""

    name: bytes
    added: list[bytes] = field(default_factory=list)
    removed: dict[int, bytes] = field(default_factory=dict)
    changed: dict[int, tuple[bytes, bytes]] = field(default_factory=dict)


def run(script: bytes, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files of a database after a script. Raises BadDiff: nothing is to be used then."""
    machine = _Machine(dict(files))
    for number, line in enumerate(script.split(b"\n"), 1):
        line = line.rstrip(b"\r")
        if not line or line.startswith(b"#"):
            continue
        try:
            machine.do(line)
        except BadDiff as error:
            raise BadDiff(f"line {number} of its script: {error}") from None
    if machine.opened is not None:
        raise BadDiff("its script leaves a file open")
    return machine.files


class _Machine:
    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.opened: _Opened | None = None

    def do(self, line: bytes) -> None:
        command, _, rest = line.partition(b" ")
        match command:
            case b"OPEN":
                self._open(_name(rest))
            case b"ADD":
                self._in_file().added.append(rest)
            case b"DEL":
                number, beginning = _split(rest, 2)
                self._once(number).removed[_number(number)] = beginning
            case b"XCHG":
                number, beginning, new = _split(rest, 3)
                self._once(number).changed[_number(number)] = (beginning, new)
            case b"CLOSE":
                self._close()
            case b"MOVE":
                self._move(_split(rest, 6))
            case b"UNLINK":
                self._not_in_file()
                if self.files.pop(_name(rest).decode(), None) is None:
                    raise BadDiff("there is no file to be removed")
            case _:
                raise BadDiff("a command that is not known")

    def _in_file(self) -> _Opened:
        if self.opened is None:
            raise BadDiff("no file is open")
        return self.opened

    def _not_in_file(self) -> None:
        if self.opened is not None:
            raise BadDiff("a file is open already")

    def _once(self, number: bytes) -> _Opened:
        opened = self._in_file()
        if _number(number) in opened.removed or _number(number) in opened.changed:
            raise BadDiff("a line is changed twice")
        return opened

    def _open(self, name: bytes) -> None:
        self._not_in_file()
        if name.decode() not in self.files and len(self.files) >= FILES:
            raise BadDiff("there are too many files")
        self.opened = _Opened(name)

    def _close(self) -> None:
        opened = self._in_file()
        name = opened.name.decode()
        lines = _lines(self.files.get(name, b""))
        for number, beginning in opened.removed.items():
            _check(lines, number, beginning)
        for number, (beginning, new) in opened.changed.items():
            _check(lines, number, beginning)
            lines[number - 1] = new
        if opened.removed:
            lines = [line for number, line in enumerate(lines, 1) if number not in opened.removed]
        self._put(name, lines + opened.added)
        self.opened = None

    def _move(self, given: list[bytes]) -> None:
        self._not_in_file()
        source, target = _name(given[0]).decode(), _name(given[1]).decode()
        first, last = _number(given[2]), _number(given[4])
        if source not in self.files or source == target:
            raise BadDiff("there is no file to move from")
        if target not in self.files and len(self.files) >= FILES:
            raise BadDiff("there are too many files")
        lines = _lines(self.files[source])
        _check(lines, first, given[3])
        _check(lines, last, given[5])
        if first > last:
            raise BadDiff("the last line to be moved is before the first")
        self._put(target, _lines(self.files.get(target, b"")) + lines[first - 1 : last])
        self._put(source, lines[: first - 1] + lines[last:])

    def _put(self, name: str, lines: list[bytes]) -> None:
        if sum(map(len, lines)) + len(lines) > FILE_LEN:
            raise BadDiff("a file becomes too long")
        self.files[name] = b"".join([line + b"\n" for line in lines])


def _lines(content: bytes) -> list[bytes]:
    lines = content.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return lines


def _check(lines: list[bytes], number: int, beginning: bytes) -> None:
    if not 1 <= number <= len(lines) or not lines[number - 1].startswith(beginning):
        raise BadDiff(f"line {number} of the file is not the one that is meant")


def _name(text: bytes) -> bytes:
    if not _NAME.fullmatch(text):
        raise BadDiff("a name that no file of a database has")
    return text


def _number(text: bytes) -> int:
    if not _NUMBER.fullmatch(text):
        raise BadDiff("a number that is none")
    return int(text)


def _split(text: bytes, count: int) -> list[bytes]:
    """Arguments; the last one has all that is left."""
    found = text.split(b" ", count - 1)
    if len(found) != count or not all(found):
        raise BadDiff("too few arguments")
    return found
