"""Images of disks as programs other than Windows open them; what one program sees on a disk and another does not."""

import struct
import subprocess
from pathlib import Path

import pytest

from engine.scan import magic
from engine.scan.facts import Cause
from engine.scan.formats import disk
from tests.engine.scan.formats import disk_made
from tests.engine.scan.formats.disk_made import SECTOR, gpt, mbr, vhd
from tests.engine.scan.formats.rooms import Found
from tests.engine.scan.material import EICAR, gzipped, walk_file

PACKED = gzipped(EICAR)  # compressed, so that it is found only by who opens the image


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("disks")


@pytest.fixture(scope="module")
def fat(folder: Path) -> bytes:
    return disk_made.fat(folder, {"EICAR.GZ": PACKED}, 12)


@pytest.fixture(scope="module")
def ntfs(folder: Path) -> bytes:
    return disk_made.ntfs(folder, {"eicar.gz": PACKED})


def test_images_as_they_are(fat: bytes, ntfs: bytes) -> None:
    """AV-02, SCAN-07: what 7-Zip opens by its content, whatever it is called, is read."""
    hybrid = gpt([fat])
    for image in (fat, ntfs, mbr([(6, fat)]), mbr([(7, ntfs)]), hybrid, bytes(SECTOR) + hybrid[SECTOR:]):
        walk = walk_file(image, "a.img")
        assert walk.facts.parts[0].type == "disk"
        assert walk.facts.matches and not walk.facts.unscanned


def test_a_boot_sector_of_two_file_systems(fat: bytes) -> None:
    """AV-02: Windows tells FAT by its fields, whatever name stands beside them."""
    boot = bytearray(fat[:SECTOR])
    boot[3:11] = b"NTFS    "
    image = vhd(bytes(boot) + fat[SECTOR:])
    assert walk_file(image, "a.vhd").facts.matches


def image_of(mark: bytes, at: int) -> bytes:
    return (bytes(at) + mark).ljust(8192, b"\0")


EXT = (
    struct.pack("<L", 2).rjust(28, b"\0").ljust(56, b"\0") + b"\x53\xef\1\0\1\0" + bytes(10) + struct.pack("<LL", 0, 1)
)
OTHERS = {
    "vdi": image_of(b"\x7f\x10\xda\xbe", 64),
    "apfs": image_of(b"NXSB", 32),
    "exfat": image_of(b"\xebv\x90EXFAT   ", 0),
    "bitlocker": image_of(b"\xebX\x90-FVE-FS-", 0),
    "cramfs": image_of(b"Compressed ROMFS", 16),
    "lvm": image_of(b"LABELONE", 512),
    "hfs": image_of(b"H+\0\4", 1024),
    "ext": image_of(EXT, 1024),
    "apm": image_of(b"ER\2\0".ljust(512, b"\0") + b"PM\0\0", 0),
    "qcow": image_of(b"QFI\xfb\0\0\0\3", 0),
    "squashfs": image_of(b"qshs", 0),
    "hxs": image_of(b"ITOLITLS\1\0\0\0", 0),
    "ppmd": image_of(b"\x8f\xaf\xac\x84", 0),
    "android-disk": image_of(b"\x3a\xff\x26\xed\1\0", 0),
    "vmdk": image_of(b"COWD\1\0\0\0", 0),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_not_read_is_told(kind: str) -> None:
    """SCAN-07: of further images and file systems that programs open."""
    walk = walk_file(OTHERS[kind], "a.bin")
    assert [(one.cause, one.detail) for one in walk.facts.unscanned] == [(Cause.UNSUPPORTED, kind)]


def test_what_is_no_image() -> None:
    """FILE-08: marks of few octets need more around them; what has not is other data."""
    old = image_of(b"BD".ljust(20, b"\0") + struct.pack(">L", 4096).ljust(16, b"\0") + b"\4name", 1024)
    assert magic.identify(old, 0, len(old)) == "hfs"
    for data in (
        image_of(b"\x55\xaa", 510),
        image_of(b"\x53\xef\xff\xff", 1080),
        image_of(b"BD", 1024),
        image_of(b"\x55\xaa", 510)[:510],
        b"\1" * 446 + (b"\1" * 64) + b"\x55\xaa" + bytes(512),
    ):
        assert magic.identify(data, 0, len(data)) == "data"
    for data in (OTHERS["hfs"][:1027], OTHERS["ext"][:1100], OTHERS["lvm"][:519]):
        assert magic.identify(data, 0, len(data)) == "data"
    longer = OTHERS["hfs"]
    assert magic.identify(longer, 0, 1027) == "data"


# --- NTFS ---------------------------------------------------------------------------------------------


def with_attribute(folder: Path, image: bytes, name: str, kind: int, content: bytes) -> bytes:
    path, source = folder / "changed.img", folder / "attribute"
    path.write_bytes(image)
    source.write_bytes(content)
    command = ["ntfscp", "-q", "-f", "-a", str(kind), str(path), str(source), name]
    subprocess.run(command, check=True, capture_output=True)
    return path.read_bytes()


@pytest.mark.parametrize(("tag", "told"), [(0x80000017, True), (0x80000013, True), (0xA000000C, False)])
def test_content_that_a_filter_makes(folder: Path, ntfs: bytes, tag: int, told: bool) -> None:
    """AV-02: of a file that Windows compressed by itself (compact /exe), the unnamed stream is all zeros."""
    point = struct.pack("<LHH", tag, 8, 0) + bytes(8)
    found = Found(disk.raw, with_attribute(folder, ntfs, "eicar.gz", 0xC0, point))
    assert [one.name for one in found.unread] == ["eicar.gz"] * told
    assert found.files["eicar.gz"].data == PACKED


def changed(image: bytes, name: str, at: int, old: bytes, new: bytes) -> bytes:
    """An image with octets changed behind the record's mark of the file with this name."""
    begin = image.rindex(b"FILE", 0, image.index(name.encode("utf-16-le")))
    place = image.index(old, begin + at)
    assert place < begin + 1024
    return image[:place] + new + image[place + len(old) :]


def test_what_was_never_written(folder: Path) -> None:
    """AV-02: readers see zeros behind what was, so that is what is examined."""
    content = EICAR + b"x" * 9000
    image = disk_made.ntfs(folder, {"long.com": content})
    sizes = struct.pack("<QQ", len(content), len(content))
    cut = changed(image, "long.com", 56, sizes, struct.pack("<QQ", len(content), 5000))
    data = bytes(Found(disk.raw, cut).files["long.com"].data)
    assert data == content[:5000] + bytes(len(content) - 5000)


def test_names_of_one_file(ntfs: bytes) -> None:
    """FILE-06: rules on names see all that a record has."""
    found = Found(disk.raw, ntfs).files["eicar.gz"]
    assert found.also == ()
    walk = walk_file(ntfs, "a.img")
    assert "eicar.gz" in {name for node in walk.root.everything() for name in node.names}


# --- FAT ----------------------------------------------------------------------------------------------


def test_how_many_bits_it_has(folder: Path) -> None:
    """AV-02: Windows and 7-Zip take FAT32 by the length of its tables, others by the number of clusters; what one of
    them reads on another place of the disk is not examined."""
    small = disk_made.fat(folder, {"EICAR.GZ": PACKED}, 16)
    inflated = small[:19] + b"\0\0" + small[21:32] + struct.pack("<L", 70_000) + small[36:]
    walk = walk_file(inflated, "a.img")
    assert walk.facts.matches and [one.detail for one in walk.facts.unscanned] == ["fat-bits"]
    large = disk_made.fat(folder, {"EICAR.GZ": PACKED}, 32)
    assert walk_file(large, "a.img").facts.matches and not walk_file(large, "a.img").facts.unscanned
    rooted = large[:17] + b"\x10\0" + large[19:]
    assert "fat-bits" in [one.detail for one in walk_file(rooted, "a.img").facts.unscanned]
