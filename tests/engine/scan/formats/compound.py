"""Compound files, VBA projects and packed files, made for the tests: written by MS-CFB, MS-OVBA and MS-OLEDS."""

import struct
from typing import TypeAlias

from tests.oracles.vba import compress

Tree: TypeAlias = "dict[str, bytes | Tree]"
END, FREE, FAT, DIFAT = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD, 0xFFFFFFFC
CUTOFF, MINI_LEN = 4096, 64


def compound(tree: Tree, version: int = 3, class_id: bytes = bytes(16)) -> bytes:
    """A compound file with these storages and streams; siblings hang right of each other."""
    return _Writer(version, class_id).write(tree)


class _Writer:
    def __init__(self, version: int, class_id: bytes) -> None:
        self.sector_len = 4096 if version == 4 else 512
        self.version = version
        self.class_id = class_id
        self.sectors: list[bytes] = []
        self.fat: list[int] = []
        self.mini = bytearray()
        self.mini_fat: list[int] = []
        self.entries: list[bytearray] = []

    def write(self, tree: Tree) -> bytes:
        self._entry("Root Entry", 5)
        self._link(0, self._siblings(tree))
        first, size = self._chain(bytes(self.mini)), len(self.mini)
        struct.pack_into("<LQ", self.entries[0], 116, first, size)
        self.entries[0][80:96] = self.class_id
        directory = self._chain(b"".join(self.entries))
        mini_fat = self._chain(struct.pack(f"<{len(self.mini_fat)}L", *self.mini_fat), b"\xff")
        return self._finish(directory, mini_fat)

    def _entry(self, name: str, kind: int) -> int:
        entry = bytearray(128)
        coded = name.encode("utf-16-le")
        entry[: len(coded)] = coded
        struct.pack_into("<HBB3L", entry, 64, len(coded) + 2, kind, 1, FREE, FREE, FREE)
        self.entries.append(entry)
        return len(self.entries) - 1

    def _link(self, parent: int, child: int) -> None:
        struct.pack_into("<L", self.entries[parent], 76, child)

    def _siblings(self, tree: Tree) -> int:
        before = first = FREE
        for name, content in tree.items():
            number = self._entry(name, 1 if isinstance(content, dict) else 2)
            if before == FREE:
                first = number
            else:
                struct.pack_into("<L", self.entries[before], 72, number)
            before = number
            if isinstance(content, dict):
                self._link(number, self._siblings(content))
            else:
                struct.pack_into("<LQ", self.entries[number], 116, self._stream(content), len(content))
        return first

    def _stream(self, content: bytes) -> int:
        if len(content) >= CUTOFF:
            return self._chain(content)
        if not content:
            return END
        first = len(self.mini) // MINI_LEN
        self.mini += content + bytes(-len(content) % MINI_LEN)
        last = len(self.mini) // MINI_LEN - 1
        self.mini_fat += [*range(first + 1, last + 1), END]
        return first

    def _chain(self, content: bytes, fill: bytes = b"\0") -> int:
        if not content:
            return END
        first = len(self.sectors)
        for at in range(0, len(content), self.sector_len):
            self.sectors.append(content[at : at + self.sector_len].ljust(self.sector_len, fill))
        self.fat += [*range(first + 1, len(self.sectors)), END]
        return first

    def _finish(self, directory: int, mini_fat: int) -> bytes:
        per = self.sector_len // 4
        fat_count = difat_count = 0
        while True:  # the table has to describe its own sectors too
            total = len(self.sectors) + fat_count + difat_count
            wanted = -(-total // per)
            difat_wanted = -(-max(0, wanted - 109) // (per - 1))
            if (wanted, difat_wanted) == (fat_count, difat_count):
                break
            fat_count, difat_count = wanted, difat_wanted
        difat_first, fat_first = len(self.sectors), len(self.sectors) + difat_count
        numbers = list(range(fat_first, fat_first + fat_count))
        table = self.fat + [DIFAT] * difat_count + [FAT] * fat_count
        table += [FREE] * (fat_count * per - len(table))
        rest = numbers[109:]
        for turn in range(difat_count):
            part = rest[turn * (per - 1) : (turn + 1) * (per - 1)]
            part += [FREE] * (per - 1 - len(part))
            part.append(difat_first + turn + 1 if turn + 1 < difat_count else END)
            self.sectors.append(struct.pack(f"<{per}L", *part))
        for at in range(0, len(table), per):
            self.sectors.append(struct.pack(f"<{per}L", *table[at : at + per]))
        head = numbers[:109] + [FREE] * (109 - len(numbers[:109]))
        header = struct.pack(
            "<8s16s5H6x9L109L", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", bytes(16), 0x3E, self.version, 0xFFFE,
            12 if self.version == 4 else 9, 6, 0 if self.version == 3 else 1, fat_count, directory, 0, CUTOFF,
            mini_fat, len(self.mini_fat) and 1, difat_first if difat_count else END, difat_count, *head,
        )  # fmt: skip
        return header.ljust(self.sector_len, b"\0") + b"".join(self.sectors)


def project(modules: dict[str, str], compiled: bytes = b"\x01\x16" + bytes(98)) -> Tree:
    """The storage of a VBA project whose modules have this source; compiled stands for the p-code before it."""
    records = [_record(0x01, b"\x01\0\0\0"), _record(0x03, b"\xe4\x04"), b"\x09\0\x04\0\0\0" + bytes(6)]
    streams: Tree = {"_VBA_PROJECT": b"\xcc\x61" + bytes(5)}
    for name, text in modules.items():
        records += [
            _record(0x19, name.encode()),
            _record(0x1A, name.encode()),
            _record(0x32, name.encode("utf-16-le")),
            _record(0x31, struct.pack("<L", len(compiled))),
            _record(0x2B, b""),
        ]
        streams[name] = compiled + compress(text.encode())
    streams["dir"] = compress(b"".join(records))
    return {"VBA": streams, "PROJECT": b"ID={}"}


def _record(kind: int, value: bytes) -> bytes:
    return struct.pack("<HL", kind, len(value)) + value


def packed(label: str, path: str, temp: str, content: bytes, wide: tuple[str, ...] = ()) -> bytes:
    """Packager data: what a `Package` object and, behind its length, an Ole10Native stream hold."""
    octets = b"\x02\0" + label.encode() + b"\0" + path.encode() + b"\0" + b"\0\0\x03\0"
    octets += struct.pack("<L", len(temp) + 1) + temp.encode() + b"\0" + struct.pack("<L", len(content)) + content
    for text in wide:
        octets += struct.pack("<L", len(text)) + text.encode("utf-16-le")
    return octets


def native(octets: bytes) -> bytes:
    return struct.pack("<L", len(octets)) + octets


def ole1(class_name: str, data: bytes) -> bytes:
    """An embedded object of OLE 1.0."""
    texts = b"".join(struct.pack("<L", len(one)) + one for one in (class_name.encode() + b"\0", b"", b""))
    return struct.pack("<LL", 0x501, 2) + texts + struct.pack("<L", len(data)) + data
