"""Encrypted 7z archives: the same archive without its encryption, in memory, if a password is known.

The key is a hash of salt, password and a counter, again and again; each packed stream is encrypted by itself (AES-256
in CBC mode). Nothing but the checksum of what it unpacks to tells a wrong password: what has none is not opened.

    header    decrypted and unpacked
    streams   decrypted; their coder is taken out of the header
    members   left to libarchive, which checks their sums

Known gaps: files that have another password than the first one of their archive stay unread, as encrypted or damaged.
"""

import hashlib
import lzma
import struct
import zlib
from typing import Final

import msgspec

from cext.archive import END, OK, WARN, Reader
from engine import limits
from engine.scan.ciphers import BLOCK_LEN, cbc
from engine.scan.formats import seven_zip
from engine.scan.formats.item import Room
from engine.scan.formats.seven_zip import Header
from engine.scan.formats.seven_zip_folder import AES, Coder, Folder, Streams, unpack
from engine.scan.mapped import Octets

_START_LEN: Final = 32
_NO_ROUNDS: Final = 0x3F  # the password is the key
_KEY_LEN: Final = 32
_CHUNK: Final = 4096  # rounds that are hashed at once
_SALTS: Final = 4  # of keys of one archive: writers use one, and each costs as much as a password
_PIECE_LEN: Final = 1 << 20  # read between two looks at the clock
_SIGNATURE: Final = seven_zip.SIGNATURE + b"\0\4"
_COPY: Final = Coder(b"\0")


class Seal(msgspec.Struct, frozen=True):
    """Properties of the coder."""

    power: int
    salt: bytes
    iv: bytes


def seal(data: bytes) -> Seal | None:
    """None: the octets are too few for what they announce."""
    if len(data) < 2:
        return Seal(data[0] & 0x3F, b"", bytes(BLOCK_LEN)) if data and not data[0] & 0xC0 else None
    salt_len = (data[0] >> 7) + (data[1] >> 4)
    iv_len = (data[0] >> 6 & 1) + (data[1] & 15)
    if len(data) < 2 + salt_len + iv_len:
        return None
    iv = data[2 + salt_len : 2 + salt_len + iv_len]
    return Seal(data[0] & 0x3F, data[2 : 2 + salt_len], iv.ljust(BLOCK_LEN, b"\0"))


def key(word: str, of: Seal, room: Room) -> bytes:
    """Cost: O(2 ** power), which the caller bounds."""
    start = of.salt + word.encode("utf-16-le", "replace")
    if of.power == _NO_ROUNDS:
        return start[:_KEY_LEN].ljust(_KEY_LEN, b"\0")
    rounds = 1 << of.power
    step = len(start) + 8
    buf = bytearray((start + bytes(8)) * min(rounds, _CHUNK))
    for at in range(2):
        buf[len(start) + at :: step] = bytes([number >> 8 * at & 0xFF for number in range(min(rounds, _CHUNK))])
    hashed = hashlib.sha256()
    for first in range(0, rounds, _CHUNK):
        room.check_time()
        for at in range(1, -(-of.power // 8)) if first else ():  # the lowest octets are as they were
            high = (number >> 8 * at & 0xFF for number in range(first, first + _CHUNK, 256))
            buf[len(start) + at :: step] = b"".join(bytes([octet]) * 256 for octet in high)
        hashed.update(buf)
    return hashed.digest()


class Lock:
    """Opens one archive. cause: why no password was tried, if there is a reason in its header."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._keys: dict[tuple[str, Seal], bytes] = {}
        self.cause = ""

    def header(self, packed: bytes, folder: Folder) -> bytes | None:
        """A header that is encrypted, as seven_zip.read asks for it."""
        if folder.crc is None or len(folder.packed) != 1 or not self._fits([folder]):
            return None

        most = min(self._room.room(), seven_zip.HEADER_LEN)

        def opened(word: str) -> bytes | None:
            found = self._without(folder, [memoryview(packed)], word)
            try:
                data = unpack(found[1][0], found[0], most) if found is not None else None
            except lzma.LZMAError:
                return None
            return data if data is not None and zlib.crc32(data) == folder.crc else None

        return self._room.keyring.find(opened)

    def archive(self, buf: Octets, at: int, header: Header) -> bytes | None:
        """The archive at offset at as it would be without encryption."""
        streams = header.streams
        if streams is None or not self._fits(streams.folders):
            return None
        begin = at + _START_LEN + streams.pack_off
        if begin + sum(streams.packed) > len(buf) or 2 * sum(streams.packed) > self._room.room():
            return None
        taken = sum(len(folder.packed) for folder in streams.folders)
        if taken != len(streams.packed) or not all(one.checked for one in streams.folders if one.encrypted):
            return None
        packed = []
        for length in streams.packed:
            packed.append(memoryview(buf)[begin : begin + length])
            begin += length
        files = 0
        for folder in streams.folders:
            if folder.encrypted and folder.files:
                break
            files += folder.files
        else:
            return self._built(streams, packed, header.rest, "")

        def opened(word: str) -> bytes | None:
            plain = self._built(streams, packed, header.rest, word)
            return plain if plain is not None and self._right(plain, files) else None

        return self._room.keyring.find(opened)

    def _fits(self, folders: list[Folder]) -> bool:
        salts: set[tuple[int, bytes]] = set()
        for folder in folders:
            for coder in folder.coders:
                of = seal(coder.data) if coder.method == AES else None
                if of is None:
                    continue
                salts.add((of.power, of.salt))
                if of.power != _NO_ROUNDS and 1 << of.power > limits.PASSWORD_ROUNDS:
                    self.cause = f"7z: 2^{of.power} rounds for a key"
                elif len(salts) > _SALTS:
                    self.cause = f"7z: more than {_SALTS} salts"
        return not self.cause

    def _right(self, plain: bytes, number: int) -> bool:
        """Whether the file of this number, of those that hold anything, agrees with its checksum."""
        reader = Reader(plain, "7z")
        most = self._room.room()
        while reader.next() in (OK, WARN):
            self._room.check_time()
            if not reader.file or reader.size <= 0:
                continue
            if number:
                number -= 1
                continue
            while most >= 0:
                most -= len(reader.read(_PIECE_LEN))
                if reader.status != OK:
                    return bool(reader.status == END and not reader.error)
                self._room.check_time()
            return False
        return False

    def _built(self, streams: Streams, packed: list[memoryview], rest: bytes, word: str) -> bytes | None:
        folders: list[Folder] = []
        pieces: list[bytes | memoryview] = []
        for folder in streams.folders:
            self._room.check_time()
            own = packed[len(pieces) : len(pieces) + len(folder.packed)]
            found = self._without(folder, own, word) if folder.encrypted else (folder, own)
            if found is None:
                return None
            folders.append(found[0])
            pieces += found[1]
        header = _written(folders, [len(one) for one in pieces], streams.details, rest)
        start = struct.pack("<2QL", sum(map(len, pieces)), len(header), zlib.crc32(header))
        return b"".join([_SIGNATURE, struct.pack("<L", zlib.crc32(start)), start, *pieces, header])

    def _without(self, folder: Folder, packed: list[memoryview], word: str) -> tuple[Folder, list[bytes]] | None:
        """(the folder without the coder that decrypts, its packed streams decrypted); None if it is of a form that no
        writer makes."""
        inputs: dict[int, int] = {}  # of coders that stay: old number -> new one
        outputs: dict[int, int] = {}
        opened: dict[int, tuple[int, Seal]] = {}  # input of a coder that goes -> its output, and how
        into = {output: one for one, output in folder.binds}
        kept: list[Coder] = []
        first_in = first_out = 0
        for coder in folder.coders:
            ins, outs = range(first_in, first_in + coder.inputs), range(first_out, first_out + coder.outputs)
            first_in, first_out = ins.stop, outs.stop
            if coder.method == AES:
                of = seal(coder.data)
                if of is None or len(ins) != 1 or len(outs) != 1:
                    return None
                opened[ins.start] = outs.start, of
                continue
            kept.append(coder)
            inputs.update((one, len(inputs)) for one in ins)
            outputs.update((one, len(outputs)) for one in outs)
        if not kept and len(opened) == 1:
            kept, inputs, outputs = [_COPY], {-1: 0}, {0: 0}
            into = {0: -1}
        pieces: list[bytes] = []
        new: list[int] = []
        for number, octets in zip(folder.packed, packed, strict=True):
            feeds = number
            if number in opened:
                output, of = opened.pop(number)
                size = folder.sizes[output]
                if len(octets) % BLOCK_LEN or size > len(octets):
                    return None
                pieces.append(cbc(self._key(word, of), of.iv).decrypt(octets)[:size])
                feeds = into.get(output, number)
            else:
                pieces.append(bytes(octets))
            if feeds not in inputs:
                return None
            new.append(inputs[feeds])
        binds = tuple([(inputs[one], outputs[out]) for one, out in folder.binds if one in inputs and out in outputs])
        sizes = tuple([folder.sizes[one] for one in outputs])
        if opened or len(binds) != len(outputs) - 1:
            return None
        return Folder(tuple(kept), binds, tuple(new), sizes, folder.crc, folder.files, folder.checked), pieces

    def _key(self, word: str, of: Seal) -> bytes:
        known = (word, Seal(of.power, of.salt, b""))
        if known not in self._keys:
            self._keys[known] = key(word, of, self._room)
        return self._keys[known]


def _number(value: int) -> bytes:
    return bytes([value]) if value < 0x80 else b"\xff" + value.to_bytes(8, "little")


def _written(folders: list[Folder], packed: list[int], details: bytes, rest: bytes) -> bytes:
    """A header that says of the files what the old one did."""
    out = [b"\1"]
    if folders:
        out += [
            b"\4\6\0",
            _number(len(packed)),
            b"\x09",
            *map(_number, packed),
            b"\0\7\x0b",
            _number(len(folders)),
            b"\0",
        ]
        for folder in folders:
            out.append(_number(len(folder.coders)))
            for coder in folder.coders:
                complex_ = (coder.inputs, coder.outputs) != (1, 1)
                out.append(bytes([len(coder.method) | complex_ << 4 | bool(coder.data) << 5]) + coder.method)
                if complex_:
                    out += [_number(coder.inputs), _number(coder.outputs)]
                if coder.data:
                    out += [_number(len(coder.data)), coder.data]
            out += [_number(number) for bind in folder.binds for number in bind]
            if len(folder.packed) > 1:
                out += map(_number, folder.packed)
        out.append(b"\x0c")
        out += [_number(size) for folder in folders for size in folder.sizes]
        if any(folder.crc is not None for folder in folders):
            bits = "".join("1" if folder.crc is not None else "0" for folder in folders)
            bits += "0" * (-len(bits) % 8)
            out += [b"\x0a\0", int(bits, 2).to_bytes(len(bits) // 8, "big")]
            out += [struct.pack("<L", folder.crc) for folder in folders if folder.crc is not None]
        out += [b"\0", details, b"\0"]
    return b"".join([*out, rest, b"\0"])
