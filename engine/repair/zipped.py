"""The parts of a document that is a zip: read, changed, taken out."""

from engine.repair.allowance import Allowance, Irregular
from engine.rewrite.zip_file import Unusable, exchange
from engine.scan import zip_file
from engine.scan.zip_file import ENCRYPTED, METHODS, Entry


class Zipped:
    """A document's parts by their names in small letters, as packages compare them. Raises Irregular.

    Two parts of one name, and archives that readers disagree about, are refused.
    """

    def __init__(self, content: bytes, allowance: Allowance) -> None:
        directory = zip_file.read(content, local_only=False)
        if directory is None or any(directory.problems.values()):
            raise Irregular
        self._content = content
        self._allowance = allowance
        self._entries: dict[str, Entry] = {}
        for entry in directory.entries:
            allowance.step()
            name = entry.text_name.replace("\\", "/").lstrip("/").lower()
            if name in self._entries:
                raise Irregular
            if not entry.directory:
                self._entries[name] = entry
        self._changes: dict[int, tuple[str, bytes]] = {}
        self._without: set[int] = set()

    @property
    def names(self) -> list[str]:
        """Of all parts that are still there."""
        return [name for name, entry in self._entries.items() if entry.header_off not in self._without]

    def __contains__(self, name: str) -> bool:
        entry = self._entries.get(name.lower())
        return entry is not None and entry.header_off not in self._without

    def read(self, name: str) -> bytes:
        """Content of a part, with what was put there."""
        entry = self._entries[name.lower()]
        if entry.header_off in self._changes:
            return self._changes[entry.header_off][1]
        if entry.flags & ENCRYPTED or entry.method not in METHODS:
            raise Irregular
        got = zip_file.unpack(self._content, entry, self._allowance.room(), self._allowance.check_time)
        self._allowance.unpacked(len(got.data))
        if got.over or not got.complete or not zip_file.crc_agrees(entry, got.data):
            raise Irregular
        return got.data

    def change(self, name: str, content: bytes, new_name: str = "") -> None:
        self._changes[self._entries[name.lower()].header_off] = (new_name, content)

    def drop(self, name: str) -> None:
        if name.lower() in self:
            entry = self._entries[name.lower()]
            self._without.add(entry.header_off)
            self._changes.pop(entry.header_off, None)

    @property
    def changed(self) -> bool:
        return bool(self._changes or self._without)

    def finish(self) -> bytes:
        try:
            return exchange(self._content, self._changes, self._without)
        except Unusable as failure:
            raise Irregular from failure
