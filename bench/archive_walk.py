"""Archives of many small and few large members: our walk beside another reader of the same octets.

zip beside Python's zipfile, tar.gz beside tarfile, 7z and cpio beside bsdtar (the same libarchive, in a process of
its own: its start is in the figure). Inflate beside zlib. Every run checks how many octets came out.
"""

import gzip
import io
import random
import subprocess
import tarfile
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from bench.mime_walk import NoMatcher
from engine.config import ContainerLimits
from engine.scan.inflate import inflate
from engine.scan.walk import Walker

_LINE = b"the quick brown fox jumps over the lazy dog, and so on and so on\r\n"
_SHAPES: dict[str, tuple[int, int]] = {"500 of 4 KB": (500, 4096), "4 of 4 MB": (4, 4 << 20)}
_BSDTAR = {"7z": ["--format=7zip"], "cpio": ["--format=cpio"], "iso": ["--format=iso9660"]}


def _content(size: int, seed: int) -> bytes:
    """Half noise, half text."""
    noise = random.Random(seed).randbytes(size // 2)
    return noise + (_LINE * (size // len(_LINE) + 1))[: size - len(noise)]


def _zip(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def _tar(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return gzip.compress(out.getvalue(), 6)


def _bsdtar(members: dict[str, bytes], kind: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in members.items():
            (Path(folder) / name).write_bytes(content)
        target = Path(folder) / "archive"
        subprocess.run(["bsdtar", "-c", *_BSDTAR[kind], "-f", target, "-C", folder, *members], check=True)
        return target.read_bytes()


def _other(kind: str, data: bytes) -> int:
    if kind == "zip":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return sum(len(archive.read(one)) for one in archive.infolist())
    if kind == "tar.gz":
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            return sum(len(file.read()) for one in archive if (file := archive.extractfile(one)))
    with tempfile.NamedTemporaryFile() as file:  # 7z is read from its end
        file.write(data)
        file.flush()
        return len(subprocess.run(["bsdtar", "-xOf", file.name], capture_output=True, check=True).stdout)


class Archives:
    params = [["zip", "tar.gz", "7z", "cpio", "iso"], list(_SHAPES)]
    param_names = ["kind", "members"]

    def setup(self, kind: str, shape: str) -> None:
        count, size = _SHAPES[shape]
        members = {f"m{one}.txt": _content(size, one) for one in range(count)}
        make: Callable[[dict[str, bytes]], bytes] = {"zip": _zip, "tar.gz": _tar}.get(kind) or (
            lambda files: _bsdtar(files, kind)
        )
        self.data = make(members)
        self.octets = count * size
        self.count = count
        self.walker = Walker(NoMatcher(), ContainerLimits(), clock=time.monotonic)

    def time_walk(self, kind: str, shape: str) -> None:
        facts = self.walker.walk_file(self.data, f"a.{kind}").facts
        if facts.unscanned or sum(not part.container for part in facts.parts) != self.count:
            raise AssertionError(facts.unscanned)

    def time_other(self, kind: str, shape: str) -> None:
        if _other(kind, self.data) != self.octets:
            raise AssertionError(kind)

    def peakmem_walk(self, kind: str, shape: str) -> None:
        self.walker.walk_file(self.data, f"a.{kind}")


class Inflate:
    params = ["text", "half noise"]
    param_names = ["content"]

    def setup(self, content: str) -> None:
        octets = _LINE * 250_000 if content == "text" else _content(16 << 20, 1)
        packer = zlib.compressobj(6, zlib.DEFLATED, -15)
        self.packed = packer.compress(octets) + packer.flush()
        self.size = len(octets)

    def time_ours(self, content: str) -> None:
        if len(inflate(memoryview(self.packed), 1 << 30).data) != self.size:
            raise AssertionError(content)

    def time_zlib(self, content: str) -> None:
        if len(zlib.decompressobj(-15).decompress(self.packed, 1 << 30)) != self.size:
            raise AssertionError(content)
