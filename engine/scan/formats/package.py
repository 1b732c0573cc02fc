"""Files that an OLE object carries: Ole10Native streams and OLE 1.0 objects (MS-OLEDS s2.2, s2.3.6; the Packager).

Packager data: label, path of the file, path it is unpacked to, then its octets, and the names once more in UTF-16.
When the object is opened, the file is written under the base name of one of these: all of them count.
"""

import struct
from typing import Final

import msgspec

from engine.scan.mapped import Octets, part

_TEXT_LEN: Final = 1024  # of a name; paths of the systems concerned end at 260
_LINKED: Final = 1
_EMBEDDED: Final = 2  # FormatID of an object that holds its data


class Package(msgspec.Struct, frozen=True):
    """A packed file. names: base names, the one it is unpacked to first. complete: all of its octets are there."""

    names: tuple[str, ...]
    data: Octets
    complete: bool


class Object(msgspec.Struct, frozen=True):
    """An OLE 1.0 object. class_name: as it says, such as `Package` or `Word.Document.8`."""

    class_name: str
    data: Octets
    complete: bool


def read_native(stream: Octets) -> Package | None:
    """The file in an Ole10Native stream, or None if that holds something else than a package."""
    return read_package(stream, 4)


def read_package(octets: Octets, start: int) -> Package | None:
    """The file in Packager data at start, or None. O(size of the file)."""
    if octets[start : start + 2] != b"\x02\0":
        return None
    label, at = _text(octets, start + 2)
    path, at = _text(octets, at)
    if at < 0 or len(octets) - at < 8:
        return None
    kind, temp_len = struct.unpack_from("<xxHL", octets, at)
    if kind == _LINKED:  # there is no file inside
        return None
    at += 8
    if temp_len > _TEXT_LEN or len(octets) - at - temp_len < 4:
        return None
    temp = _ansi(octets[at : at + temp_len])
    at += temp_len
    (size,) = struct.unpack_from("<L", octets, at)
    at += 4
    data = part(octets, min(at, len(octets)), min(len(octets), at + size))
    wide = _wide_names(octets, at + size)
    # Of temp, label and path, each in both alphabets: what is unpacked, what is shown, what it was.
    names = dict.fromkeys(_base(one) for one in (*wide, temp, label, path) if _base(one))
    return Package(tuple(names) or ("package",), data, len(data) == size)


def read_object(octets: Octets) -> Object | None:
    """The embedded object that an OLE 1.0 stream begins with (MS-OLEDS s2.2.5), or None."""
    if len(octets) < 12:
        return None
    (kind,) = struct.unpack_from("<L", octets, 4)
    if kind != _EMBEDDED:
        return None
    at = 8
    texts = []
    for _ in range(3):  # class, topic, item
        if len(octets) - at < 4:
            return None
        (length,) = struct.unpack_from("<L", octets, at)
        if length > len(octets) - at - 4:
            return None
        texts.append(_ansi(octets[at + 4 : at + 4 + min(length, _TEXT_LEN)]))
        at += 4 + length
    if len(octets) - at < 4:
        return None
    (size,) = struct.unpack_from("<L", octets, at)
    data = part(octets, at + 4, min(len(octets), at + 4 + size))
    return Object(texts[0], data, len(data) == size)


def _text(octets: Octets, at: int) -> tuple[str, int]:
    """A text that a NUL ends, and the offset behind it, or ("", -1)."""
    if at < 0:
        return "", -1
    end = octets.find(b"\0", at, at + _TEXT_LEN)
    return (_ansi(octets[at:end]), end + 1) if end >= 0 else ("", -1)


def _ansi(octets: bytes) -> str:
    text = octets.split(b"\0", 1)[0]
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("cp1252", "replace")


def _wide_names(octets: Octets, at: int) -> list[str]:
    names = []
    for _ in range(3):
        if len(octets) - at < 4:
            break
        (count,) = struct.unpack_from("<L", octets, at)
        if not 0 < count <= _TEXT_LEN or len(octets) - at - 4 < 2 * count:
            break
        names.append(octets[at + 4 : at + 4 + 2 * count].decode("utf-16-le", "replace").split("\0", 1)[0])
        at += 4 + 2 * count
    return names


def _base(path: str) -> str:
    return path.replace("\\", "/").rsplit("/", 1)[-1].strip()
