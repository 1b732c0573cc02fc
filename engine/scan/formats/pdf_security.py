"""The standard security handler of PDF (ISO 32000-1 s7.6.3; revisions 5 and 6: ISO 32000-2 s7.6.4): from a password to
the octets of streams and strings.

Most encrypted documents open without a password: they only ask readers not to print or change them. Readers differ in
what they decrypt how, and an author may see to it that they do: so every stream has several readings, and a dictionary
that can be taken in two ways is not used. Known gaps: public-key handlers.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Final

from engine.scan.ciphers import BLOCK_LEN, cbc, rc4
from engine.scan.formats.pdf_syntax import Dict, Name, Value

_PAD: Final = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")
_RC4, _AES, _AES_WHOLE, IN_CLEAR, _UNKNOWN = range(5)  # ciphers; _AES_WHOLE: with the file's key, not one of the object
_METHODS: Final = {b"V2": _RC4, b"AESV2": _AES, b"AESV3": _AES_WHOLE}  # no method, or None, is one to some
_PASSWORD_LEN: Final = 127
_LEAST_ROUNDS: Final = 64  # of the hash of revision 6; it ends by chance, on average 10 rounds later
_MOST_ROUNDS: Final = 1024
_REPEATED: Final = 64

Resolved = Callable[[Value], Value]


class Sealed(bytes):
    """A string, decrypted. raw: as it stands in the file: whether it is encrypted, readers may see otherwise."""

    raw: bytes


class Security:
    """What a password opened: decrypts streams and strings of one document."""

    def __init__(
        self, key: bytes, methods: dict[bytes, int], names: tuple[bytes, bytes, bytes], metadata: bool
    ) -> None:
        """methods: of crypt filters. names: of those for streams, strings and embedded files. metadata: encrypted."""
        self._key = key
        self._methods = methods
        self._streams, self._strings, self._files = names
        self._in_clear = (b"XRef",) if metadata else (b"XRef", b"Metadata")
        self._keys: tuple[int, int, int, bytes] = (-1, -1, 0, b"")  # the one of an object that was made last

    def string(self, number: int, generation: int, octets: bytes) -> Sealed:
        made = Sealed(self.plain(self._methods[self._strings], number, generation, octets))
        made.raw = octets
        return made

    def readings(self, head: Dict, crypt: bytes | None) -> list[int]:
        """How a stream may be encrypted, as the specification has it first. crypt: name of the crypt filter that its
        own dictionary names. Others leave that name aside, or the document's encryption, or take a file for none.
        """
        name = crypt if crypt is not None else self._files if head.get(b"Type") == b"EmbeddedFile" else self._streams
        first = IN_CLEAR if head.get(b"Type") in self._in_clear else self._methods.get(name, IN_CLEAR)
        return list(dict.fromkeys((first, *self._methods.values())))

    def plain(self, method: int, number: int, generation: int, octets: bytes | memoryview) -> bytes | memoryview:
        """octets: as they lie in the file, of an object. method: one of readings()."""
        if method == IN_CLEAR or not octets:
            return octets
        key = self._key if method == _AES_WHOLE else self._key_of(method, number, generation)
        if method == _RC4:
            return rc4(key).decrypt(octets)
        end = len(octets) - len(octets) % BLOCK_LEN
        if end < 2 * BLOCK_LEN:
            return b""
        plain = cbc(key, bytes(octets[:BLOCK_LEN])).decrypt(octets[BLOCK_LEN:end])
        padding = plain[-1]
        if 1 <= padding <= BLOCK_LEN and plain.endswith(bytes([padding]) * padding):
            return memoryview(plain)[:-padding]
        return plain

    def _key_of(self, method: int, number: int, generation: int) -> bytes:
        """Of an object: algorithm 1 of s7.6.2."""
        *known, key = self._keys
        if known != [method, number, generation]:
            said = self._key + max(0, number).to_bytes(8, "little")[:3] + generation.to_bytes(4, "little")[:2]
            said += b"sAlT" if method == _AES else b""
            key = hashlib.md5(said, usedforsecurity=False).digest()[: min(len(self._key) + 5, BLOCK_LEN)]
            self._keys = method, number, generation, key
        return key


class Handler:
    """An encryption dictionary of the standard handler. opens() tries a password; None: it cannot be used here."""

    def __init__(self, encrypt: Dict, ids: Sequence[bytes], resolved: Resolved) -> None:
        def get(key: bytes) -> Value:
            return resolved(encrypt.get(key))

        def number(key: bytes, default: int) -> int:
            value = get(key)
            return value if type(value) is int else default

        def octets(key: bytes) -> bytes:
            value = get(key)
            return bytes(value) if isinstance(value, bytes) else b""

        self._said_twice = bool(encrypt.doubles)  # readers take the first or the last
        self._ids = ids or (b"",)
        self._version, self._revision = number(b"V", 0), number(b"R", 0)
        self._owner, self._user = octets(b"O"), octets(b"U")
        self._owner_key, self._user_key = octets(b"OE")[:32], octets(b"UE")[:32]
        self._permissions = (number(b"P", 0) & 0xFFFFFFFF).to_bytes(4, "little")
        self._metadata = get(b"EncryptMetadata") is not False
        bits = number(b"Length", 40)
        self._key_len = 5 if self._version == 1 else 16 if self._version == 4 else min(max(bits // 8, 5), 16)
        self._methods = {b"Identity": IN_CLEAR}
        self._names = (b"Std", b"Std", b"Std")
        if self._version in (1, 2):
            self._methods[b"Std"] = _RC4
        elif self._version in (4, 5):
            self._filters(get, resolved)
        self.usable = (
            get(b"Filter") == b"Standard"
            and self._revision in (2, 3, 4, 5, 6)
            and (self._revision >= 5) is (self._version == 5)
            and all(name in self._methods for name in self._names)
            and _UNKNOWN not in self._methods.values()
            and (_AES_WHOLE not in self._methods.values() or self._version == 5)
            and not self._said_twice
        )

    def _filters(self, get: Callable[[bytes], Value], resolved: Resolved) -> None:
        filters = get(b"CF")
        filters = filters if isinstance(filters, Dict) else Dict()
        self._said_twice |= bool(filters.doubles)
        for name, given in filters.items():
            one = resolved(given)
            one = one if isinstance(one, Dict) else Dict()
            self._said_twice |= bool(one.doubles)
            method = resolved(one.get(b"CFM"))
            self._methods[name] = _METHODS.get(method, _UNKNOWN) if isinstance(method, Name) else _UNKNOWN
        self._methods[b"Identity"] = IN_CLEAR

        def named(key: bytes, default: bytes) -> bytes:
            name = get(key)
            return bytes(name) if isinstance(name, Name) else default

        streams = named(b"StmF", b"Identity")
        self._names = (streams, named(b"StrF", b"Identity"), named(b"EFF", streams))

    def opens(self, word: str) -> Security | None:
        """If it is the user's password or the owner's."""
        if not self.usable:
            return None
        if self._revision >= 5:
            key = self._new_key(word.encode("utf-8", "replace")[:_PASSWORD_LEN])
        else:
            password = word.encode("latin-1", "replace")
            key = self._old_key(password) or self._old_key(self._of_owner(password))
        return None if key is None else Security(key, self._methods, self._names, self._metadata)

    def _of_owner(self, password: bytes) -> bytes:
        """The user's password, if this is the owner's: algorithm 7 of s7.6.3."""
        key = hashlib.md5((password + _PAD)[:32], usedforsecurity=False).digest()
        if self._revision == 2:
            return rc4(key[:5]).decrypt(self._owner[:32])
        for _ in range(50):
            key = hashlib.md5(key, usedforsecurity=False).digest()
        user = self._owner[:32]
        for turn in range(19, -1, -1):
            user = rc4(bytes(octet ^ turn for octet in key[: self._key_len])).decrypt(user)
        return user

    def _old_key(self, password: bytes) -> bytes | None:
        """Algorithms 2, 4 and 5 of s7.6.3."""
        for one in self._ids:
            said = (password + _PAD)[:32] + self._owner[:32] + self._permissions + one
            if self._revision >= 4 and not self._metadata:
                said += b"\xff" * 4
            key = hashlib.md5(said, usedforsecurity=False).digest()
            size = 5 if self._revision == 2 else self._key_len
            for _ in range(50 if self._revision >= 3 else 0):
                key = hashlib.md5(key[:size], usedforsecurity=False).digest()
            key = key[:size]
            if self._revision == 2:
                if rc4(key).encrypt(_PAD) == self._user[:32]:
                    return key
                continue
            check = hashlib.md5(_PAD + one, usedforsecurity=False).digest()
            for turn in range(20):
                check = rc4(bytes(octet ^ turn for octet in key)).encrypt(check)
            if check == self._user[:16]:
                return key
        return None

    def _new_key(self, password: bytes) -> bytes | None:
        """Algorithm 2.A of ISO 32000-2. None too if it opens by both entries and they differ: readers try either one
        first."""
        keys = set()
        user = self._user[:48]
        make = hashed if self._revision == 6 else _plain_hash
        for entry, sealed, more in ((user, self._user_key, b""), (self._owner[:48], self._owner_key, user)):
            if len(entry) == 48 and len(sealed) == 32 and make(password, entry[32:40], more) == entry[:32]:
                keys.add(cbc(make(password, entry[40:48], more), bytes(BLOCK_LEN)).decrypt(sealed))
        return keys.pop() if len(keys) == 1 else None


def _plain_hash(password: bytes, salt: bytes, more: bytes) -> bytes:
    return hashlib.sha256(password + salt + more).digest()


def hashed(password: bytes, salt: bytes, more: bytes) -> bytes:
    """Algorithm 2.B of ISO 32000-2. more: the user's entry, for the owner's password."""
    key = hashlib.sha256(password + salt + more).digest()
    for number in range(_MOST_ROUNDS):
        mixed = cbc(key[:16], key[16:32]).encrypt((password + key + more) * _REPEATED)
        kind = (hashlib.sha256, hashlib.sha384, hashlib.sha512)[sum(mixed[:16]) % 3]
        key = kind(mixed).digest()
        if number >= _LEAST_ROUNDS - 1 and mixed[-1] <= number - 31:
            break
    return key[:32]


def decrypted(value: Value, plain: Callable[[bytes], bytes]) -> Value:
    """An object with all strings in it made plain; O(values in it)."""
    if isinstance(value, bytes):
        return value if isinstance(value, Name) else plain(value)
    if isinstance(value, list):
        return [decrypted(one, plain) for one in value]
    if isinstance(value, Dict):
        made = Dict()
        made.update((key, decrypted(one, plain)) for key, one in value.items())
        made.doubles = {key: [decrypted(one, plain) for one in more] for key, more in value.doubles.items()}
        return made
    return value
