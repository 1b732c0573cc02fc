"""Small programs: headers that say what a test wants, and nothing that could run."""

import struct
from collections.abc import Callable, Mapping, Sequence

Maker = Callable[..., tuple[bytes, int, int, str]]

_BASE = 0x1000  # address and place of the only section of a PE file


def _padded(octets: bytes, to: int) -> bytes:
    return octets + bytes(-len(octets) % to)


def _string(name: str, value: str) -> bytes:
    key = _padded(bytes(6) + name.encode("utf-16-le") + b"\0\0", 4)[6:]
    octets = key + value.encode("utf-16-le") + b"\0\0"
    return struct.pack("<3H", len(octets) + 6, len(value) + 1, 1) + octets


def version(strings: Mapping[str, str]) -> bytes:
    """VS_VERSIONINFO with one table of strings."""
    inside = b"".join(_padded(_string(name, value), 4) for name, value in strings.items())
    table = struct.pack("<3H", len(inside) + 24, 0, 1) + "040904b0\0".encode("utf-16-le") + inside
    block = struct.pack("<3H", len(table) + 36, 0, 1) + "StringFileInfo\0".encode("utf-16-le") + table
    fixed = struct.pack("<2I", 0xFEEF04BD, 0x10000) + bytes(44)
    name = "VS_VERSION_INFO\0".encode("utf-16-le")
    return struct.pack("<3H", len(block) + 92, 52, 0) + name + b"\0\0" + fixed + block


def _resources(strings: Mapping[str, str], address: int) -> bytes:
    """A tree with one leaf: version information."""
    content = version(strings)
    directories = b""
    for number, below in ((16, 24 | 1 << 31), (1, 48 | 1 << 31), (0x409, 72)):
        directories += struct.pack("<IIHHHHII", 0, 0, 0, 0, 0, 1, number, below)
    return directories + struct.pack("<4I", address + 88, len(content), 0, 0) + content


def _imports(libraries: Mapping[str, Sequence[str | int]], address: int, wide: bool) -> bytes:
    width, top = (8, 1 << 63) if wide else (4, 1 << 31)
    head = bytearray(20 * (len(libraries) + 1))
    rest = b""
    for number, (library, functions) in enumerate(libraries.items()):
        thunks = []
        for function in functions:
            if isinstance(function, int):
                thunks.append(top | function)
            else:
                thunks.append(address + len(head) + len(rest))
                rest += b"\0\0" + function.encode() + b"\0"
        name_at = address + len(head) + len(rest)
        rest += library.encode() + b"\0"
        struct.pack_into("<5I", head, 20 * number, address + len(head) + len(rest), 0, 0, name_at, 0)
        rest += b"".join(thunk.to_bytes(width, "little") for thunk in [*thunks, 0])
    return bytes(head) + rest


def pe(
    versions: Mapping[str, str] | None = None,
    imports: Mapping[str, Sequence[str | int]] | None = None,
    wide: bool = False,
    text: bytes = b"",
) -> bytes:
    """A PE file with one section: resources, imports, text."""
    resources = _resources(versions, _BASE) if versions else b""
    at = _BASE + len(resources)
    inside = resources + (_imports(imports, at, wide) if imports else b"") + text
    inside = _padded(inside, 512) + bytes(512)
    directories = [(0, 0)] * 16
    directories[1] = (at, 20 * len(imports) + 20) if imports else (0, 0)
    directories[2] = (_BASE, len(resources)) if versions else (0, 0)
    table = b"".join(struct.pack("<2I", *one) for one in directories)
    head = struct.pack("<HBBIIIII", 0x20B if wide else 0x10B, 1, 0, len(inside), 0, 0, _BASE, _BASE)
    head += struct.pack("<Q", 0x400000) if wide else struct.pack("<II", _BASE, 0x400000)
    head += struct.pack("<IIHHHHHHIIIIHH", 0x1000, 512, 4, 0, 0, 0, 4, 0, 0, 0x1000 + _BASE, 512, 0, 3, 0)
    head += bytes(32 if wide else 16) + struct.pack("<II", 0, 16) + table
    machine = 0x8664 if wide else 0x14C
    coff = struct.pack("<HHIIIHH", machine, 1, 0, 0, 0, len(head), 0x102)
    section = struct.pack("<8s6IHHI", b".data", len(inside), _BASE, len(inside), 512, 0, 0, 0, 0, 0x60000020)
    dos = b"MZ" + bytes(58) + struct.pack("<I", 64)
    return _padded(dos + b"PE\0\0" + coff + head + section, 512) + inside


def elf(
    entry: bytes = b"entry", last: bytes = b"last", *, wide: bool = True, big: bool = False
) -> tuple[bytes, int, int, str]:
    """(file, offset of its entry point, number of the section with `last`, kind)."""
    order = ">" if big else "<"
    word = "Q" if wide else "I"
    head_len, segment_len, section_len = (64, 56, 64) if wide else (52, 32, 40)
    at = head_len + segment_len
    behind = at + len(entry)
    table = behind + len(last)
    address = 0x400000
    ident = b"\x7fELF" + bytes((1 + wide, 1 + big, 1)) + bytes(9)
    head = ident + struct.pack(
        f"{order}HHI3{word}I6H", 2, 62, 1, address + at, head_len, table, 0, head_len, segment_len, 1, section_len, 3, 0
    )
    if wide:
        segment = struct.pack(f"{order}II6Q", 1, 5, 0, address, address, table, table, 4096)
    else:
        segment = struct.pack(f"{order}8I", 1, 0, address, address, table, table, 5, 4096)
    sections = bytes(section_len)
    for offset, octets in ((at, entry), (behind, last)):
        sections += struct.pack(
            f"{order}II4{word}II2{word}", 0, 1, 2, address + offset, offset, len(octets), 0, 0, 1, 0
        )
    return head + segment + entry + last + sections, at, 2, "elf"


def macho(
    entry: bytes = b"entry", last: bytes = b"last", *, wide: bool = True, big: bool = False
) -> tuple[bytes, int, int, str]:
    """The same; the entry point is told by a thread's registers, i386 or x86_64."""
    order = ">" if big else "<"
    word = "Q" if wide else "I"
    head_len, segment_len, section_len = (32, 72, 80) if wide else (28, 56, 68)
    thread = struct.pack(f"{order}2I", 4, 42) if wide else struct.pack(f"{order}2I", 1, 16)
    registers = (21 if wide else 16) * (8 if wide else 4)
    commands_len = segment_len + 2 * section_len + 8 + len(thread) + registers
    at = head_len + commands_len
    behind = at + len(entry)
    address = 0x1000
    magic = 0xFEEDFACF if wide else 0xFEEDFACE
    head = struct.pack(f"{order}7I", magic, 0x01000007 if wide else 7, 3, 2, 2, commands_len, 0) + bytes(4 * wide)
    segment = struct.pack(
        f"{order}II16s4{word}4I", 0x19 if wide else 1, segment_len + 2 * section_len, b"__TEXT",
        address, 0x1000, 0, behind + len(last), 7, 5, 2, 0,
    )  # fmt: skip
    for name, offset, octets in ((b"__text", at, entry), (b"__data", behind, last)):
        fields = struct.pack(f"{order}2{word}I", address + offset, len(octets), offset)
        segment += name.ljust(16, b"\0") + b"__TEXT".ljust(16, b"\0") + fields
        segment += bytes(section_len - 32 - len(fields))
    counter = struct.pack(f"{order}{word}", address + at)
    place = (16 if wide else 10) * (8 if wide else 4)
    state = bytes(place) + counter + bytes(registers - place - len(counter))
    command = struct.pack(f"{order}2I", 5, 8 + len(thread) + registers) + thread + state
    return head + segment + command + entry + last, at, 1, "macho"
