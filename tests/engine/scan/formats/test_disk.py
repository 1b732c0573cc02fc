"""Images of disks: each kind of image, of partitions and of file system, found in mail; what is not read is told."""

import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.scan.facts import Verdict
from engine.scan.formats import OPENERS, disk, fat, ntfs
from engine.scan.magic import identify
from tests.engine.scan.formats import archives_made as made
from tests.engine.scan.formats import disk_made
from tests.engine.scan.formats.disk_made import SECTOR, gpt, logical, mbr, vhd, vhd_dynamic, vhdx
from tests.engine.scan.formats.rooms import Found, Room
from tests.engine.scan.material import EICAR, message, walk, walk_file

FILES = {"letter.txt": made.TEXT, "a name that is long.com": EICAR, "BINARY.BIN": bytes(range(256)) * 300}
IMAGES: dict[str, Callable[[bytes], bytes]] = {
    "fixed": lambda volume: vhd(mbr([(7, volume)])),
    "without partitions": vhd,
    "dynamic": lambda volume: vhd_dynamic(mbr([(6, volume)])),
    "vhdx": lambda volume: vhdx(gpt([volume, bytes(1 << 16)])),
    "logical": lambda volume: vhd(logical([bytes(4096), volume])),
}


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("volumes")
    below = {**FILES, "SUB/DEEP/RUN.EXE": b"MZ" * 99}
    return {
        "ntfs": disk_made.ntfs(folder, {**FILES, "letter.txt:hidden.exe": EICAR}),
        **{f"fat{bits}": disk_made.fat(folder, below, bits) for bits in (12, 16)},
    }


def contents(image: bytes, room: Room | None = None) -> dict[str, bytes]:
    opener = OPENERS[identify(image, 0, len(image))]
    return {name.lower(): bytes(one.data) for name, one in Found(opener, image, room).files.items()}


@pytest.mark.parametrize("system", ["ntfs", "fat12", "fat16"])
@pytest.mark.parametrize("kind", ["fixed", "dynamic"])
def test_members(volumes: dict[str, bytes], system: str, kind: str) -> None:
    """CONT-01: every file, and named streams of it."""
    image = IMAGES[kind](volumes[system])
    have = contents(image)
    assert have.items() >= {name.lower(): content for name, content in FILES.items()}.items()
    if system == "ntfs":
        assert have["letter.txt:hidden.exe"] == EICAR and len(have) == len(FILES) + 1
    else:
        assert have["sub/deep/run.exe"] == b"MZ" * 99 and len(have) == len(FILES) + 1
    found = Found(OPENERS["vhd"], image)
    assert not found.gaps and not found.odd and not found.unread and all(one.complete for one in found.files.values())


@pytest.mark.parametrize("kind", IMAGES)
def test_found_in_mail(volumes: dict[str, bytes], kind: str) -> None:
    """CONT-01, AV-02: whatever lies around the volume."""
    image = IMAGES[kind](volumes["fat12"])
    assert identify(image, 0, len(image)) == ("vhdx" if kind == "vhdx" else "vhd")
    facts = walk(message("see", [("a.vhd", image)])).facts
    assert facts.verdict is Verdict.INFECTED and not facts.unscanned


def test_fat32(tmp_path: Path) -> None:
    volume = disk_made.fat(tmp_path, {"VIRUS.COM": EICAR}, 32)
    assert contents(vhd_dynamic(volume)) == {"virus.com": EICAR}


def test_a_member_over_the_room_by_one(volumes: dict[str, bytes]) -> None:
    """CONT-04."""
    size = len(FILES["BINARY.BIN"])
    for volume in volumes.values():
        for room, over in ((size, False), (size - 1, True)):
            found = Found(OPENERS["vhd"], vhd(volume), Room(room)).files
            assert any(one.over for one in found.values()) == over
            assert max(len(one.data) for one in found.values()) == room


@pytest.mark.parametrize("system", ["ntfs", "fat12"])
def test_cut_is_never_clean(volumes: dict[str, bytes], system: str) -> None:
    image = vhd_dynamic(volumes[system])
    for part in range(1, 12):
        assert walk_file(image[: len(image) * part // 12], "a.vhd").facts.unscanned, part


def test_what_is_not_read_is_told(volumes: dict[str, bytes]) -> None:
    """SCAN-07: other kinds of images, logs, partitions and file systems that nobody here knows, damage."""
    volume = volumes["fat12"]
    strange = b"EXT" + bytes(1 << 12)
    for image, gap in (
        (vhd(volume, 4), ("unsupported", "vhd: differencing disk")),
        (vhd(volume, 9), ("unsupported", "vhd: type 9")),
        (vhdx(volume, flags=2), ("unsupported", "vhdx: differencing disk")),
        (vhdx(volume, log=b"l" * 16), ("unsupported", "vhdx: a log that was not applied")),
        (vhd(strange), ("unsupported", "disk without partitions that are known")),
        (vhd(mbr([(7, strange[:4096])])), ("unsupported", "file system of a partition")),
        (vhd(mbr([(0xEE, bytes(4096))])), ("damaged", "disk: no GPT")),
        (vhd(volume)[512:], ("damaged", "vhd: cut")),
    ):
        assert gap in Found(OPENERS[identify(image, 0, len(image))], image).gaps
    assert Found(OPENERS["vhdx"], vhdx(volume).replace(b"regi", b"none")).refused
    assert Found(OPENERS["vhdx"], vhdx(volume).replace(b"metadata", b"atademet")).gaps == [
        ("damaged", "vhdx: metadata")
    ]
    assert "disk-partitions-overlap" in Found(OPENERS["vhd"], vhd(_twice(volume))).odd


def _twice(volume: bytes) -> bytes:
    image = bytearray(mbr([(6, volume)]))
    image[462:478] = image[446:462]
    return bytes(image)


@pytest.mark.parametrize(("flags", "cause"), [(0x4000, "encrypted"), (1, "unsupported")])
def test_what_ntfs_packed_or_encrypted(volumes: dict[str, bytes], flags: int, cause: str) -> None:
    """ENC-01, SCAN-07."""
    image = bytearray(vhd(volumes["ntfs"]))
    name = "BINARY.BIN".encode("utf-16-le")
    at = image.rfind(b"FILE", 0, image.find(name))
    for _ in range(8):  # to the attribute of its data
        at = image.find(b"\x80\0\0\0", at + 1)
        if image[at + 8] == 1:
            break
    struct.pack_into("<H", image, at + 12, flags)
    (one,) = Found(OPENERS["vhd"], bytes(image)).unread
    assert (one.name, one.cause.value) == ("BINARY.BIN", cause)


def test_records_that_were_not_written_whole(volumes: dict[str, bytes]) -> None:
    image = bytearray(vhd(volumes["ntfs"]))
    at = image.rfind(b"FILE", 0, image.find("BINARY.BIN".encode("utf-16-le")))
    image[at + 510] ^= 1
    found = Found(OPENERS["vhd"], bytes(image))
    assert "ntfs-record" in found.odd and "BINARY.BIN" not in found.files


def test_bounds(volumes: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CONT-07, PROC-23: disk._BLOCKS, disk._PARTITIONS, fat._ENTRIES, fat._DEPTH, fat._DIRECTORY_LEN, ntfs._ATTRIBUTES
    and ntfs._RUNS, crossed by one."""
    volume = volumes["fat12"]

    def gaps(image: bytes) -> int:
        return len(Found(OPENERS[identify(image, 0, len(image))], image).gaps)

    blocks = len(volume) >> 16
    for most, told in ((blocks, False), (blocks - 1, True)):
        monkeypatch.setattr(disk, "_BLOCKS", most)
        assert ("limit", f"vhd: {most} blocks") in Found(OPENERS["vhd"], vhd_dynamic(volume)).gaps or not told
    monkeypatch.setattr(disk, "_BLOCKS", 1 << 20)
    for parts in (mbr([(6, volume), (6, volume), (6, volume)]), gpt([volume] * 3)):
        for most, count in ((3, 0), (2, 1)):
            monkeypatch.setattr(disk, "_PARTITIONS", most)
            assert gaps(vhd(parts)) == count
    monkeypatch.setattr(disk, "_PARTITIONS", 128)
    counts = [_with(monkeypatch, fat, "_ENTRIES", number, gaps, vhd(volume)) for number in range(1, 40)]
    assert counts[:10] == [1] * 10 and counts[-1] == 0
    monkeypatch.setattr(fat, "_DEPTH", 1)
    assert "deep/run.exe" in contents(vhd(volume))
    monkeypatch.setattr(fat, "_DEPTH", 2)
    assert "sub/deep/run.exe" in contents(vhd(volume))
    image = vhd(volumes["ntfs"])

    def odd(image: bytes) -> int:
        return len(Found(OPENERS["vhd"], image).odd)

    assert [_with(monkeypatch, ntfs, "_RUNS", most, odd, image) for most in (1, 0)] == [0, 1]
    counts = [_with(monkeypatch, ntfs, "_ATTRIBUTES", most, odd, image) for most in range(3, 12)]
    assert counts[0] == 1 and counts[-1] == 0 and counts == sorted(counts, reverse=True)
    longest = 512 * 32  # of the root
    for more, count in ((1, 0), (0, 1)):
        assert _with(monkeypatch, fat, "_DIRECTORY_LEN", longest + more, gaps, vhd(volume)) == count


def _with(
    monkeypatch: pytest.MonkeyPatch, module: object, name: str, value: int, gaps: Callable[[bytes], int], image: bytes
) -> int:
    with monkeypatch.context() as changed:
        changed.setattr(module, name, value)
        return gaps(image)


@settings(max_examples=10)
@given(
    st.sampled_from(["ntfs", "fat12"]),
    st.lists(st.tuples(st.integers(0, 1 << 22), st.binary(min_size=1, max_size=4)), max_size=20),
)
def test_changed_octets_never_escape(volumes: dict[str, bytes], system: str, changes: list[tuple[int, bytes]]) -> None:
    image = bytearray(vhd_dynamic(volumes[system]))
    for at, new in changes:
        at %= len(image) - len(new)
        image[at : at + len(new)] = new
    for member in Found(OPENERS["vhd"], bytes(image), Room(1 << 16)).files.values():
        assert len(member.data) <= 1 << 16


def test_each_table_that_readers_may_follow(volumes: dict[str, bytes], tmp_path: Path) -> None:
    """AV-02, SCAN-07: a footer in front and one at the end, two tables of regions, those of GPT, and a volume that has
    partitions as well."""
    good = disk_made.fat(tmp_path, {"GOOD.TXT": made.TEXT}, 12)
    bad = volumes["fat12"]
    name = "a name that is long.com"
    front = vhd_dynamic(good)[:-512]
    disk = bytearray(bad).ljust(4 << 20, b"\0")
    disk[: len(front)] = front
    footers = vhd(bytes(disk))
    assert "vhd-footers-differ" in Found(OPENERS["vhd"], footers).odd and contents(footers).keys() >= {"good.txt"}
    hidden = bytearray(mbr([(6, bad)]))
    hidden[:80] = vhd(b"", 3)[:80]
    found = Found(OPENERS["vhd"], vhd(bytes(hidden)))
    assert name in found.files and found.gaps
    regions = bytearray(vhdx(mbr([(6, bad)])))
    first = bytes(regions[3 << 16 : 4 << 16])
    regions[3 << 16 : 4 << 16] = first.replace(
        struct.pack("<QLL", 2 << 20, 1 << 20, 1), struct.pack("<QLL", 1, 1 << 20, 1)
    )
    found = Found(OPENERS["vhdx"], bytes(regions))
    assert name in found.files and "vhdx-regions-differ" in found.odd
    tables = bytearray(gpt([bad]))
    copy = tables[512:1024]
    tables += bytes(512) + copy
    tables[512 + 80 : 512 + 84] = bytes(4)
    assert name in contents(vhd(bytes(tables)))
    hybrid = bytearray(gpt([good]))
    at = len(hybrid) // 512
    hybrid[462:478] = struct.pack("<B3xB3xLL", 0, 6, at, len(bad) // 512)
    assert contents(vhd(bytes(hybrid + bad))).keys() >= {"good.txt", name}
    outer = bytearray(good)
    outer[446:462] = struct.pack("<B3xB3xLL", 0, 6, len(good) // 512, len(bad) // 512)
    assert contents(vhd(bytes(outer + bad))).keys() >= {"good.txt", name}


def test_blocks_outside_of_the_image(volumes: dict[str, bytes]) -> None:
    """SCAN-07: they are not zeros."""
    image = bytearray(vhd_dynamic(mbr([(6, volumes["fat12"])])))
    image[1536:1540] = (1 << 24).to_bytes(4, "big")
    assert ("damaged", "vhd: blocks outside of the image") in Found(OPENERS["vhd"], bytes(image)).gaps


def test_the_table_of_fat_that_is_in_use(tmp_path: Path) -> None:
    """AV-02: the table that is in use, which need not be the first."""
    volume = bytearray(disk_made.fat(tmp_path, {"VIRUS.COM": EICAR * 40}, 32))
    reserved, length = int.from_bytes(volume[14:16], "little") * 512, int.from_bytes(volume[36:40], "little") * 512
    volume[40] = 0x81
    table = bytes(volume[reserved : reserved + length])
    volume[reserved + 8 : reserved + length] = bytes(length - 8)
    assert volume[reserved + length : reserved + 2 * length] == table
    assert contents(vhd_dynamic(bytes(volume))) == {"virus.com": EICAR * 40}


def test_a_stream_of_ntfs_that_is_told_twice(volumes: dict[str, bytes]) -> None:
    """SCAN-07: readers take the first, or the last."""
    image = bytearray(vhd(volumes["ntfs"]))
    name = "letter.txt".encode("utf-16-le")
    at = image.index(b"FILE", image.rindex(b"FILE", 0, image.index(name)))
    begin = at + int.from_bytes(image[at + 20 : at + 22], "little")
    while image[begin : begin + 4] != b"\x80\0\0\0":
        begin += int.from_bytes(image[begin + 4 : begin + 8], "little")
    length = int.from_bytes(image[begin + 4 : begin + 8], "little")
    second = begin + length  # the named stream that has another content: without its name
    assert image[second : second + 4] == b"\x80\0\0\0"
    image[second + 9] = 0
    assert "ntfs-record" in Found(OPENERS["vhd"], bytes(image)).odd


def test_a_chain_of_fat_in_circles_costs_what_there_is_room_for(volumes: dict[str, bytes]) -> None:
    """PROC-23: not what the size tells."""
    volume = bytearray(volumes["fat16"])
    (reserved,), (length,) = struct.unpack_from("<H", volume, 14), struct.unpack_from("<H", volume, 22)
    struct.pack_into("<HHH", volume, reserved * SECTOR + 4, 4, 0xFFFF, 2)
    at = volume.index(b"BINARY  BIN", (reserved + volume[16] * length) * SECTOR)
    struct.pack_into("<HL", volume, at + 26, 2, 0xFFFFFFFF)
    tracemalloc.start()
    try:
        found = Found(OPENERS["vhd"], vhd(bytes(volume)), Room(1 << 16)).files["BINARY.BIN"]
        assert found.over and len(found.data) == 1 << 16
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
