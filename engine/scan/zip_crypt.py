"""Entries of zip archives that are encrypted: with ZipCrypto (APPNOTE 6.3.10 s6.1), or with AES as WinZip does it.

A password is told to be wrong by 8 or 16 bits of it, which is not enough: of those that pass, the one counts whose
plain octets have the right checksum. Known gaps: the strong encryption of PKWARE (APPNOTE s7).
"""

import hashlib
import hmac
import struct
from collections.abc import Callable
from typing import Final

from cext.zipcrypto import decrypt
from engine.scan import zip_file
from engine.scan.ciphers import little_counter
from engine.scan.decode import span
from engine.scan.inflate import Inflated
from engine.scan.keyring import spellings
from engine.scan.mapped import Octets
from engine.scan.zip_file import CENTRAL_LEN, DESCRIPTOR, ENCRYPTED, LOCAL_LEN, METHODS, Entry

AES_METHOD: Final = 99
_STRONG: Final = 1 << 6  # general purpose bit 6
_HEADER_LEN: Final = 12  # of ZipCrypto
_AES_EXTRA: Final = 0x9901
_EXTRA_FIELDS: Final = 64  # fields of one extra field among which that of AES is looked for
_SALT_LEN: Final = {1: 8, 2: 12, 3: 16}  # by strength
_ROUNDS: Final = 1000
_CHECK_LEN: Final = 2
_SEAL_LEN: Final = 10
_SECOND_FORM: Final = 2  # AE-2: without a CRC

Unpack = Callable[[bytes, Entry], Inflated]


class Locked:
    """One encrypted entry. method: that its plain octets are packed with; -1: nothing can open it."""

    def __init__(self, buf: Octets, entry: Entry) -> None:
        self._entry = entry
        self._aes: tuple[int, int] | None = None  # (form, strength)
        self.method = entry.method
        end = entry.data_off + entry.packed_len
        self._data = memoryview(span(buf, min(entry.data_off, len(buf)), min(end, len(buf))))
        if entry.method == AES_METHOD:
            extra = buf[entry.header_off + LOCAL_LEN + len(entry.name) : entry.data_off]
            self._aes, self.method = said = _aes_extra(extra)
            if entry.central_off >= 0 and _aes_extra(_central_extra(buf, entry.central_off)) != said:
                self.method = -1  # readers go by either of them
        least = _HEADER_LEN
        if self._aes is not None:
            least = _SALT_LEN[self._aes[1]] + _CHECK_LEN + _SEAL_LEN
        if self.method not in METHODS or entry.flags & _STRONG or entry.packed_len < least or end > len(buf):
            self.method = -1
        self._low = buf[entry.header_off + 10 : entry.header_off + 12]  # time, by which some check

    @property
    def plain_len(self) -> int:
        """Octets that are held besides when it is opened."""
        return len(self._data)

    def opened(self, word: str, unpack: Unpack) -> Inflated | None:
        """What the entry holds, unpacked, if this is its password."""
        for octets in spellings(word):
            plain = self._plain(octets) if self._aes is None else self._aes_plain(octets, *self._aes)
            if plain is None:
                continue
            entry = self._entry
            inner = Entry(entry.name, entry.flags & ~ENCRYPTED, self.method, entry.crc, len(plain), entry.size, 0, 0)
            content = unpack(plain, inner)
            if content.over or self._is_right(content.data):
                return content
        return None

    def _is_right(self, data: bytes) -> bool:
        if self._aes is not None and self._aes[0] == _SECOND_FORM:
            return True  # its seal was right
        return zip_file.crc_agrees(self._entry, data)

    def _plain(self, password: bytes) -> bytes | None:
        check = decrypt(password, self._data[:_HEADER_LEN])[-1]
        by_time = self._entry.flags & DESCRIPTOR and check == self._low[1]
        if check != self._entry.crc >> 24 and not by_time:
            return None
        return decrypt(password, self._data)[_HEADER_LEN:]

    def _aes_plain(self, password: bytes, form: int, strength: int) -> bytes | None:
        key_len = 8 * (strength + 1)
        salt_len = _SALT_LEN[strength]
        keys = hashlib.pbkdf2_hmac("sha1", password, self._data[:salt_len], _ROUNDS, 2 * key_len + _CHECK_LEN)
        if keys[-_CHECK_LEN:] != self._data[salt_len : salt_len + _CHECK_LEN]:
            return None
        packed = self._data[salt_len + _CHECK_LEN : -_SEAL_LEN]
        seal = hmac.digest(keys[key_len : 2 * key_len], packed, "sha1")
        if seal[:_SEAL_LEN] != self._data[-_SEAL_LEN:]:
            return None
        return little_counter(keys[:key_len]).decrypt(packed)


def _central_extra(buf: Octets, at: int) -> bytes:
    name_len, extra_len = struct.unpack_from("<2H", buf[at : at + CENTRAL_LEN].ljust(CENTRAL_LEN, b"\0"), 28)
    begin = at + CENTRAL_LEN + name_len
    return bytes(buf[begin : begin + extra_len])


def _aes_extra(extra: bytes) -> tuple[tuple[int, int] | None, int]:
    """((form, strength), method) of the extra field of WinZip; (None, -1) if there is no such field, or two differ."""
    found: tuple[tuple[int, int] | None, int] | None = None
    at = 0
    for _ in range(_EXTRA_FIELDS):
        if len(extra) - at < 4:
            break
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == _AES_EXTRA and length >= 7 and len(extra) - at >= 11:
            form, _, strength, method = struct.unpack_from("<HHBH", extra, at + 4)
            one = ((form, strength), method) if strength in _SALT_LEN else (None, -1)
            if found not in (None, one):
                return None, -1
            found = one
        at += 4 + length
    return found or (None, -1)
