"""The few fields of a PE file that recipes of repair read and write, in place. Raises NoProgram and nothing else."""

import struct
from typing import Final

import msgspec

SECTIONS: Final = 96  # as the loader of Windows takes at most
_HEADER_LEN: Final = 40  # of a section
_WORD: Final = 0xFFFFFFFF


class NoProgram(Exception):
    """No PE file, or not one with that."""


class Section(msgspec.Struct, frozen=True):
    """start, end: of its octets in the file. header: offset of its entry in the table."""

    header: int
    rva: int
    virtual_len: int
    start: int
    end: int


class Program:
    def __init__(self, octets: bytearray) -> None:
        self._octets = octets
        at = self._u32(0x3C) if octets[:2] == b"MZ" else -1
        if at < 0 or octets[at : at + 4] != b"PE\0\0":
            raise NoProgram
        self._count_off = at + 6
        self._optional = at + 24
        count = self._u16(self._count_off)
        table = self._optional + self._u16(at + 20)
        if not 0 < count <= SECTIONS or table + count * _HEADER_LEN > len(octets):
            raise NoProgram
        self._sections = [self._section(table + number * _HEADER_LEN) for number in range(count)]

    def _u16(self, at: int) -> int:
        return self._unpack("<H", at)

    def _u32(self, at: int) -> int:
        return self._unpack("<L", at)

    def _unpack(self, form: str, at: int) -> int:
        try:
            found: int = struct.unpack_from(form, self._octets, at)[0]
        except struct.error:
            raise NoProgram from None
        return found

    def _section(self, at: int) -> Section:
        virtual_len, rva, length, start = struct.unpack_from("<4L", self._octets, at + 8)
        return Section(at, rva, virtual_len, start, min(start + length, len(self._octets)))

    @property
    def entry(self) -> int:
        """Offset of the entry point."""
        return self.offset(self._u32(self._optional + 16))

    def section(self, number: int) -> Section:
        """number: from 0; -1 is the last one."""
        if not -1 <= number < len(self._sections):
            raise NoProgram
        return self._sections[number]

    def offset(self, rva: int) -> int:
        for one in self._sections:
            if one.rva <= rva < one.rva + one.end - one.start:
                return one.start + rva - one.rva
        raise NoProgram

    def rva(self, offset: int) -> int:
        for one in self._sections:
            if one.start <= offset < one.end:
                return one.rva + offset - one.start
        raise NoProgram

    def set_entry(self, rva: int) -> None:
        self.offset(rva)
        struct.pack_into("<L", self._octets, self._optional + 16, rva)

    def remove_last_section(self) -> None:
        """Its entry, its octets, and what the size of the image had of it."""
        if len(self._sections) < 2:
            raise NoProgram
        gone, last = self._sections[-1], self._sections[-2]
        if any(one.end > gone.start and one.end > one.start for one in self._sections[:-1]):
            raise NoProgram  # what lies behind it would move
        alignment = self._u32(self._optional + 32)
        if not 0 < alignment <= 1 << 30:
            raise NoProgram
        size = last.rva + max(last.virtual_len, last.end - last.start)
        size += -size % alignment
        if size > _WORD or self._optional + 60 > gone.header:
            raise NoProgram
        struct.pack_into("<L", self._octets, self._optional + 56, size)
        struct.pack_into("<H", self._octets, self._count_off, len(self._sections) - 1)
        self._octets[gone.header : gone.header + _HEADER_LEN] = bytes(_HEADER_LEN)
        if gone.end > gone.start:
            del self._octets[gone.start : gone.end]
