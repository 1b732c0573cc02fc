"""PDFs that are encrypted here, object by object, so that they can lie about it: as no honest program writes them."""

import hashlib

from engine.scan.ciphers import cbc, rc4

PAD = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")
ID = b"0123456789abcdef"
OWNER = bytes(range(32))
PERMISSIONS = (-4 & 0xFFFFFFFF).to_bytes(4, "little")
IV = bytes(range(100, 116))


class Lock:
    """Version 2 (RC4) or, with filters, 4 (AES or RC4), that opens without a password. filters: the rest of its
    dictionary."""

    def __init__(self, filters: bytes = b"", revision: int = 0) -> None:
        revision = revision or (4 if filters else 3)
        in_clear = b"\xff" * 4 * (b"/EncryptMetadata false" in filters)
        key = hashlib.md5(PAD + OWNER + PERMISSIONS + ID + in_clear).digest()
        if revision == 2:
            self.key = key[:5]
            check = rc4(self.key).encrypt(PAD)
        else:
            for _ in range(50):
                key = hashlib.md5(key).digest()
            self.key = key
            check = hashlib.md5(PAD + ID).digest()
            for turn in range(20):
                check = rc4(bytes(octet ^ turn for octet in key)).encrypt(check)
            check += bytes(16)
        head = b"/Filter /Standard /V %d /R %d /Length 128 " % (4 if filters else 2, revision)
        said = b"/O <%s> /U <%s> /P -4 " % (OWNER.hex().encode(), check.hex().encode())
        self.dictionary = b"<< " + head + said + filters + b" >>"

    @property
    def trailer(self) -> bytes:
        return b"/Encrypt %s /ID [<%s> <00>]" % (self.dictionary, ID.hex().encode())

    def rc4(self, number: int, octets: bytes, generation: int = 0) -> bytes:
        return rc4(self._key(number, generation, b"")).encrypt(octets)

    def aes(self, number: int, octets: bytes, generation: int = 0, padded: bool = True) -> bytes:
        if padded:
            octets += bytes([16 - len(octets) % 16]) * (16 - len(octets) % 16)
        return IV + cbc(self._key(number, generation, b"sAlT"), IV).encrypt(octets)

    def _key(self, number: int, generation: int, salt: bytes) -> bytes:
        said = self.key + number.to_bytes(3, "little") + generation.to_bytes(2, "little") + salt
        return hashlib.md5(said).digest()


def hexed(octets: bytes) -> bytes:
    return b"<" + octets.hex().encode() + b">"
