"""UDF volumes, written block by block, so that tests know every field, and those of another program."""

import struct
import subprocess
from pathlib import Path
from typing import Final

SECTOR: Final = 2048
DELETED: Final = 4


def tag(kind: int, at: int, body: bytes) -> bytes:
    """A descriptor: its tag, for the place that it is put at, and the rest. No reader asks for the CRC."""
    head = bytearray(struct.pack("<HHBBHHHL", kind, 3, 0, 0, 1, 0, 0, at))
    head[4] = (sum(head) - head[4]) & 0xFF
    return bytes(head) + body


def _long(length: int, block: int, partition: int) -> bytes:
    return struct.pack("<LLH6x", length, block, partition)


class Udf:
    """files: path -> content. form: how a file's place is told: short, long, embedded. pieces: extents of a file.

    metadata: descriptors lie in a metadata partition. extended: of the form of UDF 2. streams: path -> named streams.
    chained: allocation descriptors go on in a descriptor of their own.
    """

    def __init__(
        self,
        files: dict[str, bytes],
        *,
        block: int = SECTOR,
        form: str = "short",
        pieces: int = 1,
        metadata: bool = False,
        extended: bool = False,
        chained: bool = False,
        streams: dict[str, dict[str, bytes]] | None = None,
        deleted: frozenset[str] = frozenset(),
    ) -> None:
        self.block = block
        self.form = form
        self.pieces = pieces
        self.extended = extended
        self.chained = chained
        self.deleted = deleted
        self.streams = streams or {}
        self._data: list[bytes] = []  # blocks of the partition
        self._described = [] if metadata else self._data  # where descriptors lie: in the metadata partition, if any
        self._metadata = metadata
        self.number = 1 if metadata else 0
        tree: dict[str, object] = {}
        for path, content in files.items():
            *folders, name = path.split("/")
            at = tree
            for folder in folders:
                at = at.setdefault(folder, {})  # type: ignore[assignment]
            at[name] = content
        self._describe(b"")  # of the file set
        root = self._directory(tree, "")
        body = bytes(384) + _long(block, root, self.number)
        self._described[0] = tag(256, 0, body).ljust(self.block, b"\0")
        self.image = self._image()

    # --- in the partition -------------------------------------------------------------------------

    def _put(self, content: bytes) -> int:
        at = len(self._data)
        for begin in range(0, max(1, len(content)), self.block):
            self._data.append(content[begin : begin + self.block].ljust(self.block, b"\0"))
        return at

    def _describe(self, descriptor: bytes) -> int:
        self._described.append(descriptor.ljust(self.block, b"\0"))
        return len(self._described) - 1

    def _entry(self, kind: int, content: bytes, streams: int = -1) -> int:
        """Write the content and its file entry; returns the block of that."""
        form = {"short": 0, "long": 1, "embedded": 3}[self.form]
        where = b""
        if form == 3:
            where = content
        elif content:
            step = -(-len(content) // self.pieces // self.block) * self.block or self.block
            for begin in range(0, len(content), step):
                piece = content[begin : begin + step]
                at = self._put(piece)
                self._put(b"between")
                if form == 1 or self._metadata:
                    form = 1
                    where += _long(len(piece), at, 0)
                else:
                    where += struct.pack("<LL", len(piece), at)
            if self.chained:
                more = self._describe(tag(258, 0, struct.pack("<LL", 0, len(where)) + where))
                length = 3 << 30 | self.block
                where = _long(length, more, self.number) if form == 1 else struct.pack("<LL", length, more)
        icb = struct.pack("<LHHHBBLHH", 0, 4, 0, 1, 0, kind, 0, 0, form)
        if self.extended:
            body = icb + bytes(20) + struct.pack("<QQQ", len(content), len(content), 0) + bytes(56 + 16)
            body += _long(self.block, streams, self.number) if streams >= 0 else bytes(16)
            body += bytes(32) + bytes(8) + struct.pack("<LL", 0, len(where))
            assert len(body) == 200
            return self._describe(tag(266, 0, body + where))
        body = icb + bytes(20) + struct.pack("<Q", len(content))
        body = body.ljust(152, b"\0") + struct.pack("<LL", 0, len(where))
        return self._describe(tag(261, 0, body + where))

    def _directory(self, tree: dict[str, object], path: str, kind: int = 4) -> int:
        entries = self._named("", 8 | 2, 0)
        for name, content in tree.items():
            whole = f"{path}{name}"
            marks = DELETED if whole in self.deleted else 0
            if isinstance(content, dict):
                entries += self._named(name, marks | 2, self._directory(content, f"{whole}/"))
                continue
            assert isinstance(content, bytes)
            streams = -1
            if whole in self.streams:
                named: dict[str, object] = dict(self.streams[whole])
                streams = self._directory(named, f"{whole}:", 13)
            entries += self._named(name, marks, self._entry(5, content, streams))
        return self._entry(kind, entries)

    def _named(self, name: str, marks: int, block: int) -> bytes:
        text = b""
        if name:
            text = b"\x08" + name.encode("latin-1") if name.isascii() else b"\x10" + name.encode("utf-16-be")
        body = struct.pack("<HBB", 1, marks, len(text)) + _long(self.block, block, self.number) + bytes(2) + text
        whole = tag(257, 0, body)
        return whole + bytes(-len(whole) % 4)

    # --- around it --------------------------------------------------------------------------------

    def _image(self) -> bytes:
        first = 300  # of the partition
        entry_at = 0
        if self._metadata:
            described = b"".join(self._described)
            at = self._put(described)
            where = struct.pack("<LL", len(described), at)
            body = (
                struct.pack("<LHHHBBLHH", 0, 4, 0, 1, 0, 250, 0, 0, 0) + bytes(20) + struct.pack("<Q", len(described))
            )
            body = body.ljust(152, b"\0") + struct.pack("<LL", 0, len(where)) + where
            entry_at = self._put(tag(261, 0, body))
        maps = struct.pack("<BBHH", 1, 6, 1, 0)
        if self._metadata:
            maps += struct.pack("<BB2xB23s8xHHLLL", 2, 64, 0, b"*UDF Metadata Partition", 1, 0, entry_at, entry_at, 0)
            maps = maps.ljust(70, b"\0")
        logical = bytes(4 + 64 + 128) + struct.pack("<L", self.block) + bytes(32)
        logical += _long(self.block, 0, self.number) + struct.pack("<LL", len(maps), 2 if self._metadata else 1)
        logical = logical.ljust(424, b"\0") + maps
        partition = struct.pack("<LHH", 1, 1, 0) + bytes(32 + 128) + struct.pack("<LLL", 1, first, 9999)
        sequence = (tag(1, 32, bytes(496)), tag(5, 33, partition), tag(6, 34, logical), tag(8, 35, bytes(496)))
        image = bytearray(first * self.block)
        for number, mark in enumerate((b"BEA01", b"NSR03", b"TEA01")):
            image[32768 + 2048 * number : 32768 + 2048 * number + 7] = b"\0" + mark + b"\1"
        for sector, descriptor in enumerate(sequence, 80):
            image[sector * self.block : sector * self.block + len(descriptor)] = descriptor
        anchor = tag(2, 256, struct.pack("<LLLL", 16 * self.block, 80, 16 * self.block, 80))
        image[256 * self.block : 256 * self.block + len(anchor)] = anchor
        return bytes(image) + b"".join(self._data)


def by_genisoimage(folder: Path, members: dict[str, bytes]) -> bytes:
    """A volume of ISO 9660, Joliet and UDF."""
    for name, content in members.items():
        path = folder / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    command = ["genisoimage", "-quiet", "-udf", "-J", "-o", str(folder / "out.iso"), str(folder / "in")]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return (folder / "out.iso").read_bytes()


def without_iso(image: bytes) -> bytes:
    """The same with UDF alone: the marks of the other are gone, those of UDF in their place."""
    made = bytearray(image)
    marks = [sector for sector in range(16, 64) if image[sector * SECTOR + 1 : sector * SECTOR + 6] != bytes(5)]
    own = next(sector for sector in marks if image[sector * SECTOR + 1 : sector * SECTOR + 6] == b"BEA01")
    made[16 * SECTOR : own * SECTOR] = bytes((own - 16) * SECTOR)
    made[16 * SECTOR : 19 * SECTOR] = image[own * SECTOR : (own + 3) * SECTOR]
    return bytes(made)
