"""Bombs of one stream: the same zeros in every packing, and a gzip file that holds itself. All made here."""

import bz2
import lzma
import struct
import zlib
from typing import Final

MIB: Final = 1 << 20
_ZEROS: Final = bytes(MIB)
_ZSTD_BLOCK_LEN: Final = 128 * 1024
_LZMA: Final = ({"id": lzma.FILTER_LZMA1, "dict_size": 1 << 16, "lc": 3, "lp": 0, "pb": 2},)


def bzip2_of_zeros(size: int) -> bytes:
    """Streams behind one another, which belong together."""
    return bz2.compress(_ZEROS) * (size // MIB)


def xz_of_zeros(size: int) -> bytes:
    return lzma.compress(_ZEROS) * (size // MIB)


def nested_xz(size: int) -> bytes:
    return lzma.compress(lzma.compress(xz_of_zeros(size)))


def _one_lzma(size: int, packer: lzma.LZMACompressor) -> bytes:
    return b"".join(packer.compress(_ZEROS) for _ in range(size // MIB)) + packer.flush()


def lzma_of_zeros(size: int) -> bytes:
    return _one_lzma(size, lzma.LZMACompressor(lzma.FORMAT_ALONE, preset=0))


def large_dictionary(size: int) -> bytes:
    """Thirteen octets that ask for four gigabytes before anything is unpacked."""
    return b"\x5d" + b"\xff" * 4 + b"\xff" * 8 + lzma_of_zeros(MIB)[13:]


def zstd_of_zeros(size: int) -> bytes:
    """Blocks of one octet that is repeated (RFC 8878 s3.1.1.2.2)."""
    blocks = size // _ZSTD_BLOCK_LEN
    repeated = (_ZSTD_BLOCK_LEN << 3 | 2).to_bytes(3, "little") + b"\0"
    last = (_ZSTD_BLOCK_LEN << 3 | 3).to_bytes(3, "little") + b"\0"
    return b"\x28\xb5\x2f\xfd\0\x38" + repeated * (blocks - 1) + last


def _number(value: int) -> bytes:
    """A number of a 7z header, in its longest form."""
    return b"\xff" + struct.pack("<Q", value)


def seven_zip_of_zeros(size: int, files: int = 1) -> bytes:
    """One solid folder."""
    data = _one_lzma(size, lzma.LZMACompressor(lzma.FORMAT_RAW, filters=list(_LZMA)))
    coder = b"\x23\x03\x01\x01" + _number(5) + b"\x5d" + struct.pack("<L", 1 << 16)
    header = b"\x01\x04\x06" + _number(0) + b"\x01\x09" + _number(len(data)) + b"\0"
    header += b"\x07\x0b\x01\0\x01" + coder + b"\x0c" + _number(size // MIB * MIB) + b"\0"
    header += b"\x08\x0d" + _number(files) + b"\x09" + _number(size // MIB * MIB // files) * (files - 1) + b"\0\0"
    names = b"\0" + b"".join(f"{number}.dll\0".encode("utf-16-le") for number in range(files))
    header += b"\x05" + _number(files) + b"\x11" + _number(len(names)) + names + b"\0\0"
    start = struct.pack("<QQL", len(data), len(header), zlib.crc32(header))
    return b"7z\xbc\xaf\x27\x1c\0\x04" + struct.pack("<L", zlib.crc32(start)) + start + data + header


# --- A gzip file whose content is itself --------------------------------------------------------------


def _literal(length: int) -> bytes:
    """The header of a stored block."""
    return b"\0" + struct.pack("<HH", length, length ^ 0xFFFF)


def _bits(*fields: tuple[str, bool]) -> bytes:
    """Bits of deflate: Huffman codes as written, numbers (True) from their lowest bit."""
    stream = "".join(bits[::-1] if number else bits for bits, number in fields)
    return bytes(int(stream[at : at + 8].ljust(8, "0")[::-1], 2) for at in range(0, len(stream), 8))


def gzip_quine(size: int) -> bytes:
    """gzip whose content is the very same file.

    The last 20 octets again are one instruction of five octets, like the header of a stored block; so a program of
    these two can print itself. What ends the file is printed once, and repeated by its own first four octets.
    """
    # ten octets from twenty back, twice; codes of RFC 1951 s3.2.6
    ten = (("0001000", False), ("01000", False), ("011", True))
    again = _bits(("0", True), ("01", True), *ten, *ten, ("0000000", False))
    # twelve octets from twelve back, in the last block
    tail = _bits(
        ("1", True),
        ("01", True),
        ("0001001", False),
        ("1", True),
        ("00110", False),
        ("11", True),
        ("0000000", False),
    )
    four, none, end = _literal(20), _literal(0), _literal(12)
    for modified in range(64):  # the checksum is in what is summed: not every time has a solution
        head = b"\x1f\x8b\x08\0" + struct.pack("<L", modified) + b"\0\xff" + none
        front = head + four + head + four + again + four + again + four + again + four + again + four
        front += again + none + none + end + again + none + none + end
        length = len(front) + 24

        def whole(crc: int, front: bytes = front, length: int = length) -> bytes:
            return front + (tail + struct.pack("<2L", crc, length)) * 2

        crc = _fixed_point([zlib.crc32(whole(crc)) ^ crc for crc in (0, *(1 << bit for bit in range(32)))])
        if crc is not None:
            return whole(crc)
    raise AssertionError("no checksum fits")


def _fixed_point(values: list[int]) -> int | None:
    """x for which an affine function over GF(2) is 0, given its values at 0 and at every single bit."""
    wanted = values[0]
    rows: list[tuple[int, int]] = []  # (image, bits that make it), each image with a highest bit of its own
    for bit, value in enumerate(values[1:]):
        image, made = value ^ values[0], 1 << bit
        for other, by in rows:
            if image ^ other < image:
                image, made = image ^ other, made ^ by
        if image:
            rows.append((image, made))
            rows.sort(reverse=True)
    found = 0
    for image, made in rows:
        if wanted ^ image < wanted:
            wanted, found = wanted ^ image, found ^ made
    return None if wanted else found
