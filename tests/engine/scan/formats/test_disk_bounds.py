"""Bounds of file systems on disks, each crossed by one, and what is said to lie in one place again and again."""

from collections.abc import Callable
from types import ModuleType

import pytest

from bench import growth_disks as made
from engine.scan.formats import OPENERS, fat, ntfs, udf
from engine.scan.formats.extents import HOLE
from engine.scan.magic import identify
from tests.engine.scan.formats.disk_made import SECTOR
from tests.engine.scan.formats.rooms import Found

FILES = 20


def found(image: bytes) -> Found:
    return Found(OPENERS[identify(image, 0, len(image))], image)


def whole(image: bytes) -> Callable[[], bool]:
    """Whether nothing of it was left out."""
    return lambda: not found(image).gaps and not found(image).unread


def deepest(image: bytes, depth: int) -> Callable[[], bool]:
    """Whether a path has so many names."""
    return lambda: max(name.count("/") for name in found(image).files) == depth - 1


CASES: dict[str, tuple[ModuleType, str, int, Callable[[], bool]]] = {
    "fat._TABLE_LEN": (fat, "_TABLE_LEN", SECTOR, whole(made.fat_files(FILES))),
    "fat._DIRECTORIES_LEN": (fat, "_DIRECTORIES_LEN", (FILES + 1) * SECTOR + 1, whole(made.fat_deep(FILES))),
    "ntfs._KEPT_LEN": (ntfs, "_KEPT_LEN", (17 + FILES) << 10, whole(made.ntfs_files(FILES))),
    "ntfs._ALL": (ntfs, "_ALL", 16 + FILES, whole(made.ntfs_files(FILES))),
    "ntfs._DEPTH": (ntfs, "_DEPTH", FILES, deepest(made.ntfs_deep(FILES), FILES)),
    "udf._DIRECTORIES_LEN": (udf, "_DIRECTORIES_LEN", 21 * 48 + 2, whole(made.udf_deep(FILES))),
}


@pytest.mark.parametrize("key", CASES)
def test_crossed_by_one(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """CONT-07, PROC-23: what the bound allows is had, what is one more is not."""
    module, name, number, had = CASES[key]
    monkeypatch.setattr(module, name, number)
    assert had()
    monkeypatch.setattr(module, name, number - 1)
    assert not had()


@pytest.mark.parametrize(
    ("make", "few", "told"),
    [
        (made.fat_folders, 3, "fat: a directory that is too long"),
        (made.ntfs_records_in_one_place, 0, "ntfs: records that lie in the same place"),
        (made.udf_one_node, 3, "udf: pieces that are told of again and again"),
        (made.udf_folders, 3, "udf: a directory that is cut"),
    ],
)
def test_what_lies_in_one_place_again_and_again(make: Callable[[int], bytes], few: int, told: str) -> None:
    """PROC-23: fat._AGAIN, ntfs._AGAIN, udf._AGAIN, udf._FOLLOWED: all together is so many times the image at most."""
    for count, limit in ((few, set()), (700, {told})):
        items = found(make(count))
        causes = {words for cause, words in items.gaps if cause == "limit"}
        causes |= {one.detail for one in items.unread if one.cause.value == "limit"}
        assert limit <= causes and bool(causes) == bool(limit)


def test_metadata_in_pieces() -> None:
    """AV-02: whichever piece of it a descriptor lies in."""
    assert list(found(made.udf_metadata(FILES)).files) == [f"{number:08x}" for number in range(FILES)]
    volume = udf._Volume(512, udf._Place(0, 0), 1 << 20, None, [])  # type: ignore[arg-type]
    volume.partitions.append(
        udf._Partition("metadata", 0, [(5000, 512), (HOLE, 1024), (9000, 512)], (0, 512, 1536, 2048))
    )
    for block, length, where in (
        (0, 512, [(5000, 512)]),
        (0, 700, [(5000, 512), (HOLE, 188)]),
        (2, 600, [(HOLE, 512), (9000, 88)]),
        (3, 512, [(9000, 512)]),
    ):
        assert udf._where(volume, udf._Place(block, 0), length) == where
    for block, length in ((3, 513), (4, 1)):
        with pytest.raises(udf._Damaged):
            udf._where(volume, udf._Place(block, 0), length)
