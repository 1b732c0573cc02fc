"""Anatomy of PE files: what packers and file infectors leave, and compilers do not (PE/COFF specification).

Read by structure, a few hundred octets of it; entropy of a sample of the code. Constant work but for that.
"""

import struct
from typing import Final

from cext.texture import entropy

SECTIONS: Final = 96
IMPORTS: Final = 32  # functions and modules that are counted; what is few is less
SAMPLE_LEN: Final = 64 * 1024
HEAD_LEN: Final = 2048  # holds the table of sections
NAMES_LEN: Final = 32 * 1024  # of the names of functions that are imported; they lie behind their table
_EXECUTE, _WRITE, _CODE, _UNINITIALISED = 0x20000000, 0x80000000, 0x20, 0x80
_DLL: Final = 0x2000
_NATIVE: Final = 1  # subsystem of drivers
_SECTION: Final = struct.Struct("<8s6L2HL")
_USUAL: Final = frozenset(b"._$@/-abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ")
_RESOURCES, _SECURITY, _DOTNET, _IMPORT = 2, 4, 14, 1
_EARLIEST: Final = 0x2B000000  # November 1992; programs for Windows NT are not older
_LATEST: Final = 1 << 31  # reproducible builds write a hash there, half of them above that: it weighs little
_TEXT: Final = "utf-16-le"


class _Section:
    __slots__ = ("address", "flags", "length", "name", "offset", "virtual")

    def __init__(self, raw: tuple[bytes, int, int, int, int, int, int, int, int, int], n: int) -> None:
        self.name = raw[0].rstrip(b"\0")
        self.virtual, self.address, length, self.offset = raw[1:5]
        self.flags = raw[9]
        self.offset = min(self.offset, n)
        self.length = min(length, n - self.offset)

    def holds(self, address: int) -> bool:
        return self.address <= address < self.address + max(self.virtual, self.length)


def features(buf: bytes, found: dict[str, int]) -> bytes:
    """Put the features of a PE file into found; none if it is no such file. Returns what is looked at for marks."""
    n = len(buf)
    if n < 0x40:
        return b""
    (at,) = struct.unpack_from("<L", buf, 0x3C)
    if at > n - 24 - 96 or buf[at : at + 4] != b"PE\0\0":
        return b""
    _, count, time, _, _, optional_len, characteristics = struct.unpack_from("<2H3L2H", buf, at + 4)
    optional = at + 24
    (magic,) = struct.unpack_from("<H", buf, optional)
    plus = magic == 0x20B
    (entry,) = struct.unpack_from("<L", buf, optional + 16)
    (subsystem,) = struct.unpack_from("<H", buf, optional + 68)
    directories = _directories(buf, optional + (108 if plus else 92), optional + optional_len)
    sections = []
    for number in range(min(count, SECTIONS)):
        place = optional + optional_len + number * _SECTION.size
        if n - place < _SECTION.size:
            break
        sections.append(_Section(_SECTION.unpack_from(buf, place), n))
    found["pe.size"] = n
    if characteristics & _DLL:
        found["pe.dll"] = 1
    if subsystem == _NATIVE:
        found["pe.driver"] = 1
    if directories.get(_DOTNET):
        found["pe.dotnet"] = 1
    security = directories.get(_SECURITY, (0, 0))
    if security[0] and security[0] + security[1] <= n and security[1] > 1024:
        found["pe.signed"] = 1
    if time and not _EARLIEST <= time < _LATEST:
        found["pe.time-impossible"] = 1
    if not sections:
        found["pe.no-sections"] = 1
        return buf[:HEAD_LEN]
    _sections(sections, entry, buf, found)
    table = _imports(buf, sections, directories, plus, found)
    _overlay(buf, sections, security, found)
    resources = next((one for one in sections if one.holds(directories.get(_RESOURCES, (1 << 32, 0))[0])), None)
    if resources is not None:
        end = resources.offset + min(resources.length, SAMPLE_LEN)
        if buf.find("VS_VERSION_INFO".encode(_TEXT), resources.offset, end) >= 0:
            found["pe.version"] = 1
    names = buf[table : table + NAMES_LEN] if table >= 0 else b""
    return buf[:HEAD_LEN] + bytes(HEAD_LEN - min(n, HEAD_LEN)) + names


def _directories(buf: bytes, at: int, end: int) -> dict[int, tuple[int, int]]:
    """Number -> (address, length) of those data directories that are there."""
    if len(buf) - at < 4 or end - at < 4:
        return {}
    (count,) = struct.unpack_from("<L", buf, at)
    found = {}
    for number in range(min(count, 16)):
        place = at + 4 + 8 * number
        if len(buf) - place < 8 or place + 8 > end:
            break
        address, length = struct.unpack_from("<2L", buf, place)
        if address and length:
            found[number] = (address, length)
    return found


def _sections(sections: list[_Section], entry: int, buf: bytes, found: dict[str, int]) -> None:
    odd = empty_code = 0
    for one in sections:
        if one.flags & _EXECUTE and one.flags & _WRITE:
            found["pe.writable-executable"] = found.get("pe.writable-executable", 0) + 1
        if not one.name or not _USUAL.issuperset(one.name):
            odd += 1
        if one.flags & _EXECUTE and not one.length and one.virtual:
            empty_code += 1
    if odd:
        found["pe.section-names-odd"] = odd
    if empty_code:
        found["pe.code-not-in-file"] = empty_code
    if not entry:  # libraries need none
        return
    home = next((one for one in sections if one.holds(entry)), None)
    if home is None:
        found["pe.entry-nowhere"] = 1
        return
    if len(sections) > 1 and home is sections[-1]:
        found["pe.entry-in-last-section"] = 1
    if home.flags & _WRITE:
        found["pe.entry-writable"] = 1
    sample = min(home.length, SAMPLE_LEN)
    if sample >= 4096:
        found["pe.code-entropy"] = entropy(buf, home.offset, home.offset + sample)


def _offset(sections: list[_Section], address: int) -> int:
    for one in sections:
        if one.address <= address < one.address + one.length:
            return one.offset + address - one.address
    return -1


def _imports(
    buf: bytes, sections: list[_Section], directories: dict[int, tuple[int, int]], plus: bool, found: dict[str, int]
) -> int:
    """Returns where the table of imports is in the file, -1 if there is none."""
    if _IMPORT not in directories:
        if not directories.get(_DOTNET):
            found["pe.no-imports"] = 1
        return -1
    table = at = _offset(sections, directories[_IMPORT][0])
    count = modules = 0
    size, ordinal = (8, "<Q") if plus else (4, "<L")
    while 0 <= at <= len(buf) - 20 and count < IMPORTS and modules < IMPORTS:
        lookup, _, _, name, address = struct.unpack_from("<5L", buf, at)
        if not name:
            break
        modules += 1
        entry = _offset(sections, lookup or address)
        while 0 <= entry <= len(buf) - size and count < IMPORTS:
            (value,) = struct.unpack_from(ordinal, buf, entry)
            if not value:
                break
            count += 1
            entry += size
        at += 20
    found["pe.imports"] = count
    if modules and count <= 6 and not directories.get(_DOTNET):
        found["pe.few-imports"] = 1
    return table


def _overlay(buf: bytes, sections: list[_Section], security: tuple[int, int], found: dict[str, int]) -> None:
    """What lies behind the last section, but for a signature, which is no part of the image either."""
    end = max(one.offset + one.length for one in sections)
    stop = security[0] if end <= security[0] <= len(buf) else len(buf)
    if stop - end > 512:
        found["pe.overlay"] = stop - end
        found["pe.overlay-entropy"] = entropy(buf, end, min(stop, end + SAMPLE_LEN))
