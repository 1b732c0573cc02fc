"""AV-02: definitions are mapped, not copied, so that every further scanner costs next to nothing for them."""

import hashlib
import re
from pathlib import Path

from engine.definitions import from_file
from signatures import image
from signatures.model import Digest, Literal, Signature

DIGESTS = 40_000


def mapping(path: Path) -> str:
    """What the kernel says of the pages of a mapped file."""
    told = re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", Path("/proc/self/smaps").read_text(), flags=re.MULTILINE)
    return "".join(block for block in told if str(path) in block)


def own_kb() -> int:
    """Memory that is no file's: what a copy would be in."""
    told = Path("/proc/self/smaps_rollup").read_text()
    return int(re.findall(r"^Anonymous: +(\d+)", told, re.MULTILINE)[0])


def test_nothing_of_a_mapped_image_is_copied(tmp_path: Path) -> None:
    signatures = [Signature(f"d{n}", Digest("md5", hashlib.md5(b"%d" % n).digest(), n + 1)) for n in range(DIGESTS)]
    path = tmp_path / "large.mwd"
    path.write_bytes(image.build([*signatures, Signature("literal", Literal(b"find this text"))]))
    before = own_kb()
    loaded = [from_file(path) for _ in range(3)]
    for one in loaded:
        assert one.scan(b"please find this text") == ("literal",)
    shown = mapping(path)
    assert shown.count("Rss:") == 3, "each has a mapping of the file"
    size = path.stat().st_size // 1024
    assert int(re.findall(r"^Rss: +(\d+)", shown, re.MULTILINE)[0]) > size // 2, "it was read in full"
    assert own_kb() - before < size // 4
