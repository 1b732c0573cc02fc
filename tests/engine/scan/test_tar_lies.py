"""tar archives of which readers extract what others take for something else: none of them passes as examined."""

import gzip
from typing import Final

import pytest

from tests.engine.scan.material import EICAR, walk_file

PACKED: Final = gzip.compress(EICAR, mtime=0)
END: Final = bytes(1024)
JUNK: Final = b"junk".ljust(512)


def head(name: bytes, size: bytes, kind: bytes = b"0", **more: bytes) -> bytes:
    """size: its field. more: octets at an offset, which is the name behind a letter."""
    block = bytearray(512)
    block[: len(name)] = name
    block[100:108] = b"0000644\0"
    block[124:136] = size.ljust(12, b"\0")
    block[156:157] = kind
    block[257:265] = b"ustar\x0000"
    for at, octets in more.items():
        block[int(at[1:]) : int(at[1:]) + len(octets)] = octets
    block[148:156] = b"%06o\0 " % (sum(block) + 8 * 32)
    return bytes(block)


def octal(number: int) -> bytes:
    return b"%011o" % number


def blocks(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def member(name: bytes, data: bytes, kind: bytes = b"0", **more: bytes) -> bytes:
    return head(name, octal(len(data)), kind, **more) + blocks(data)


def record(key: bytes, value: bytes) -> bytes:
    length = len(key) + len(value) + 3
    while len(b"%d %s=%s\n" % (length, key, value)) != length:
        length += 1
    return b"%d %s=%s\n" % (length, key, value)


def extended(*records: bytes) -> bytes:
    return member(b"pax", b"".join(records), b"x")


def sparse(version: bytes, size: int, *more: bytes) -> bytes:
    return extended(
        record(b"GNU.sparse.major", version), record(b"GNU.sparse.realsize", b"%d" % size), *more
    )  # fmt: skip


EVIL: Final = member(b"evil.gz", PACKED)
HIDDEN: Final = JUNK + EVIL  # what a reader finds that looks for a header, or skips a block
MAP: Final = blocks(b"1\n0\n%d\n" % len(PACKED))
STRETCH: Final = octal(0) + b"\0" + octal(len(PACKED)) + b"\0"
CASES: Final = {
    "a size behind a NUL (GNU)": head(b"a", b"\0%010o" % (len(PACKED) + 512)) + bytes(512) + blocks(PACKED),
    "a size with a low line": head(b"a", b"0_%09o" % (len(HIDDEN) * 8)) + HIDDEN,
    "a size that is a literal of a language": head(b"a", b"0o%o" % len(HIDDEN)) + HIDDEN,
    "a size of another base": head(b"a", b"\xc0" + (len(HIDDEN)).to_bytes(11, "big")) + HIDDEN,
    "a record with a long name in front": extended(record(b"k" * 1025, b""), record(b"size", b"0"))
    + head(b"a", octal(len(HIDDEN))) + HIDDEN,
    "a record behind a space": extended(b" " + record(b"size", b"0")) + head(b"a", octal(len(HIDDEN))) + HIDDEN,
    "a record without its end": extended(record(b"c", b"c")[:-1] + b"x", record(b"c", b"")) + member(b"a", HIDDEN),
    "a record behind what is read": extended(record(b"c", bytes(1 << 20)), record(b"size", b"0"))
    + head(b"a", octal(len(HIDDEN))) + HIDDEN,
    "a hard link with data": member(b"f", b"x") + member(b"l", HIDDEN, b"1", a157=b"f"),
    "a folder with data": head(b"d/", octal(1024), b"5") + head(b"x", octal(512 + len(EVIL))) + JUNK + EVIL,
    "a symbolic link with data": head(b"s", octal(1024), b"2", a157=b"f") + head(b"x", octal(512 + len(EVIL))) + HIDDEN,
    "two maps": sparse(b"1", len(PACKED) + 512, record(b"GNU.sparse.map", b"0,%d" % (512 + len(PACKED))))
    + member(b"e", MAP + PACKED),
    "two sizes": sparse(b"0", 0, record(b"GNU.sparse.size", b"9999"), record(b"GNU.sparse.map", b""))
    + member(b"e", b""),
    "a map of another version": sparse(b"2", len(PACKED), record(b"GNU.sparse.map", b"0,%d" % len(PACKED)))
    + member(b"e", PACKED),
    "fewer stretches than listed": sparse(
        b"0", 9999, record(b"GNU.sparse.numblocks", b"1"),
        record(b"GNU.sparse.map", b"0,512,600,%d" % len(PACKED)),
    ) + member(b"e", JUNK + PACKED),
    "numbers the wrong way round": sparse(
        b"0", 9999, record(b"GNU.sparse.numbytes", b"512"), record(b"GNU.sparse.offset", b"%d" % len(PACKED)),
    ) + member(b"e", JUNK),
    "a map that lies over itself": sparse(b"0", 9999, record(b"GNU.sparse.map", b"0,%d,0,512" % len(PACKED)))
    + member(b"e", PACKED + JUNK),
    "a map that goes backwards": sparse(b"0", 9999, record(b"GNU.sparse.map", b"512,512,0,%d" % len(PACKED)))
    + member(b"e", JUNK + PACKED),
    "a stretch that ends the list for some": head(
        b"e", octal(len(PACKED) + 512), b"S", a257=b"ustar  \0", a386=STRETCH + octal(600) + b"\0\0" + b"%010o" % 512,
        a483=octal(9999),
    ) + blocks(PACKED + JUNK),
    "a stretch behind the end of the list": head(
        b"e", octal(len(PACKED)), b"S", a257=b"ustar  \0", a386=STRETCH + bytes(24) + STRETCH, a483=octal(9999),
    ) + blocks(PACKED),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_readers_differ_about(case: str) -> None:
    """AV-02, SCAN-07: the archive is damaged, whatever else is found in it."""
    assert walk_file(CASES[case] + END, "a.tar").facts.unscanned


@pytest.mark.parametrize(
    "honest",
    [
        EVIL,
        head(b"a", b"   " + octal(0)[3:] + b" ") + EVIL,
        head(b"a", b"\x80" + (512).to_bytes(11, "big")) + JUNK + EVIL,
        extended(record(b"SCHILY.xattr.user." + b"k" * 255, b"\n=\0"), record(b"size", b"512"))
        + head(b"a", octal(0)) + JUNK + EVIL,
        member(b"f", b"x") + member(b"l", JUNK, b"1", a157=b"f") + EVIL,
        sparse(b"0", 9999, record(b"GNU.sparse.numblocks", b"2"),
               record(b"GNU.sparse.map", b"0,%d,9999,0" % len(PACKED))) + member(b"e", PACKED),
        sparse(b"1", len(PACKED)) + member(b"e", MAP + PACKED),
    ],
)  # fmt: skip
def test_what_they_agree_about(honest: bytes) -> None:
    walk = walk_file(honest + END, "a.tar")
    assert walk.facts.matches and not walk.facts.unscanned
