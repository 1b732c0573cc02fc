"""From a compiled file to the first scan: time, and the memory that a process pays on top of the shared map."""

import hashlib
import re
import tempfile
from pathlib import Path

from engine.definitions import from_file
from signatures import image
from signatures.model import Digest, Signature


def _own_kb() -> int:
    """Memory that is no file's."""
    told = Path("/proc/self/smaps_rollup").read_text()
    return int(re.findall(r"^Anonymous: +(\d+)", told, re.MULTILINE)[0])


class Loading:
    """Digests only: the largest files that there are consist of them."""

    params = (10_000, 1_000_000)
    param_names = ("digests",)
    timeout = 600

    def setup_cache(self) -> dict[int, str]:
        folder = Path(tempfile.mkdtemp(prefix="mailward-bench-"))
        made = {}
        for count in self.params:
            signatures = [
                Signature(
                    f"d{number}", Digest("md5", hashlib.md5(b"%d" % number).digest(), number * 7919 % 3_000_000 + 1)
                )
                for number in range(count)
            ]
            path = folder / f"{count}.mwd"
            path.write_bytes(image.build(signatures))
            made[count] = str(path)
        return made

    def time_first_scan(self, files: dict[int, str], digests: int) -> None:
        from_file(Path(files[digests])).scan(b"content")

    def track_own_kb(self, files: dict[int, str], digests: int) -> int:
        before = _own_kb()
        loaded = from_file(Path(files[digests]))
        loaded.scan(b"content")
        return _own_kb() - before
