"""One walk over a message, from small text to a large archive: what a message costs before policy.

Each run checks its answer: the parts that were found and that all of their octets were examined.

`python -m bench.mime_walk` compares with GMime (gmime_walk.c, compiled for the run; needs libgmime-3.0-dev) on whole
messages in memory: parse, visit every part, decode every leaf. Medians of the processor time of rounds that take
turns, one core.
"""

import base64
import io
import os
import quopri
import random
import shlex
import statistics
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from engine.config import ContainerLimits, Settings
from engine.scan.service import examine
from engine.scan.walk import Walker

_HEADER = (
    b"Received: from mx.example.com (mx.example.com [192.0.2.1])\r\n\tby gw.example.net with ESMTP id 1\r\n"
    b"From: alice@example.com\r\nTo: bob@example.net\r\nSubject: minutes of the meeting\r\nMIME-Version: 1.0\r\n"
)
_LINE = b"the quick brown fox jumps over the lazy dog, and so on and so on\r\n"


class NoMatcher:
    """Matches nothing, so that only the walk is measured; matching has benches of its own."""

    revision = ""

    def scan(self, data: object, target: str = "any", *, container: str = "") -> tuple[str, ...]:
        return ()

    def match_name(self, filename: str) -> tuple[str, ...]:
        return ()

    def annex(self, name: str) -> memoryview | None:
        return None


def text(size: int) -> bytes:
    header = _HEADER + b"Content-Type: text/plain; charset=utf-8\r\n\r\n"
    return header + (_LINE * (size // len(_LINE) + 1))[: size - len(header)]


def archive(size: int) -> bytes:
    """A message of about this many octets with one zip, half random and half text."""
    noise = random.Random(1).randbytes(size * 2 // 3)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("noise.bin", noise)
        file.writestr("text.txt", _LINE * 20_000)
    body = base64.encodebytes(out.getvalue()).replace(b"\n", b"\r\n")
    return (
        _HEADER + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nsee the archive\r\n--b\r\n"
        b"Content-Type: application/zip; name=a.zip\r\nContent-Transfer-Encoding: base64\r\n\r\n" + body + b"--b--\r\n"
    )


def parts(count: int) -> bytes:
    part = b"--b\r\nContent-Type: text/plain; name=a.txt\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n"
    return _HEADER + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + part * count + b"--b--\r\n"


MESSAGES: dict[str, tuple[Callable[[], bytes], int]] = {
    "text, 4 KB": (lambda: text(4096), 1),
    "text, 1 MB": (lambda: text(1 << 20), 1),
    "zip, 2.7 MB": (lambda: archive(2_700_000), 5),
    "1000 parts": (lambda: parts(1000), 1001),
}


class Walk:
    params = list(MESSAGES)
    param_names = ["message"]

    def setup(self, name: str) -> None:
        make, self.count = MESSAGES[name]
        self.data = make()
        self.walker = Walker(NoMatcher(), ContainerLimits(), clock=time.monotonic)

    def time_walk(self, name: str) -> None:
        facts = self.walker.walk_message(self.data).facts
        if len(facts.parts) != self.count or any(part.size != part.examined for part in facts.parts):
            raise AssertionError(f"{name}: {len(facts.parts)} parts")

    def time_examine(self, name: str) -> None:
        if examine(self.data, NoMatcher(), Settings()).reason:
            raise AssertionError(name)

    def peakmem_walk(self, name: str) -> None:
        self.walker.walk_message(self.data)


# --- beside GMime ----------------------------------------------------------------------------------------------

ROUNDS = 9
OCTETS = 60_000_000  # that one run decodes, at least


class _Mix:
    """Messages as they come: text and HTML, attachments of 0.1 to 2 MB, forwarded messages. The same at every run."""

    def __init__(self) -> None:
        self._random = random.Random(7)
        letters = b"abcdefghijklmnopqrstuvwxyz"
        self._words = [bytes(self._random.choices(letters, k=self._random.randint(2, 9))) for _ in range(2000)]
        self._number = 0

    def text(self, size: int) -> bytes:
        lines = []
        while size > 0:
            lines.append(b" ".join(self._random.choices(self._words, k=10)))
            size -= len(lines[-1]) + 2
        return b"\r\n".join(lines) + b"\r\n"

    def plain(self, size: int) -> bytes:
        head = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
        return head + self.text(size)

    def html(self, size: int) -> bytes:
        rows = b"".join(b'<p style="margin:0">' + line + b"</p>\n" for line in self.text(size).splitlines())
        body = quopri.encodestring(b"<html><body>\n" + rows + b"</body></html>\n").replace(b"\n", b"\r\n")
        head = b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        return head + body

    def file(self, size: int, name: bytes) -> bytes:
        body = base64.encodebytes(self._random.randbytes(size)).replace(b"\n", b"\r\n")
        return (
            b'Content-Type: application/octet-stream; name="' + name + b'"\r\nContent-Transfer-Encoding: base64\r\n'
            b'Content-Disposition: attachment; filename="' + name + b'"\r\n\r\n' + body
        )

    def multipart(self, subtype: bytes, *parts: bytes) -> bytes:
        self._number += 1
        boundary = b"----=_Part_%d_%d" % (self._number, self._random.randrange(10**12))
        head = b"Content-Type: multipart/" + subtype + b'; boundary="' + boundary + b'"\r\n\r\n'
        body = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
        return head + b"This is a multi-part message in MIME format.\r\n" + body + b"--" + boundary + b"--\r\n"

    def both(self, size: int) -> bytes:
        return self.multipart(b"alternative", self.plain(size), self.html(size))

    def forwarded(self, whole: bytes) -> bytes:
        note = self.plain(1500)
        return _HEADER + self.multipart(b"mixed", note, b"Content-Type: message/rfc822\r\n\r\n" + whole)

    def messages(self) -> dict[str, bytes]:
        small = _HEADER + self.multipart(b"mixed", self.both(4000), self.file(100_000, b"report.bin"))
        middle = _HEADER + self.multipart(b"mixed", self.both(4000), self.file(500_000, b"slides.bin"))
        pictures = [self.file(300_000, b"picture%d.bin" % number) for number in range(3)]
        return {
            "text, 4 KB": _HEADER + self.plain(4000),
            "text and HTML, 20 KB": _HEADER + self.both(8000),
            "text and HTML, 100 KB": _HEADER + self.both(40_000),
            "attachment, 0.1 MB": small,
            "attachment, 0.5 MB": middle,
            "attachment, 2 MB": _HEADER + self.multipart(b"mixed", self.plain(2000), self.file(2_000_000, b"a.bin")),
            "3 attachments, 0.3 MB": _HEADER + self.multipart(b"mixed", self.both(3000), *pictures),
            "forwarded, 0.1 MB": self.forwarded(small),
            "forwarded twice, 0.5 MB": self.forwarded(self.forwarded(middle)),
        }


def _ours(data: list[bytes], rounds: int) -> float:
    walker = Walker(NoMatcher(), ContainerLimits(), clock=time.monotonic)
    begun = time.process_time()
    for _ in range(rounds):
        for one in data:
            walker.walk_message(one)
    return time.process_time() - begun


def _gmime(folder: Path) -> Path:
    """Compile the other side. Raises CalledProcessError without a compiler or the library."""
    flags = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "gmime-3.0"], check=True, capture_output=True, text=True
    )
    program = folder / "gmime_walk"
    source = Path(__file__).with_name("gmime_walk.c")
    subprocess.run(["cc", "-O2", "-o", program, source, *shlex.split(flags.stdout)], check=True)
    return program


def compare() -> None:
    """Print MB/s of both for each message and for all of them together, and the ratio."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    mix = _Mix().messages()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program = _gmime(folder)
        files = {}
        for number, (title, data) in enumerate(mix.items()):
            files[title] = folder / f"{number}.eml"
            files[title].write_bytes(data)
        for title, chosen in [*((title, [title]) for title in mix), ("all of them", list(mix))]:
            octets = sum(len(mix[one]) for one in chosen)
            rounds = OCTETS // octets + 1
            ours, gmime = [], []
            for _ in range(ROUNDS):
                ours.append(_ours([mix[one] for one in chosen], rounds))
                command = [str(program), str(rounds), *(str(files[one]) for one in chosen)]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                gmime.append(float(done.stdout.split()[0]))
            speeds = [octets * rounds / statistics.median(times) / 1e6 for times in (ours, gmime)]
            here, there = speeds
            print(f"{title:24} {octets:9} octets  {here:6.0f} MB/s  GMime {there:6.0f} MB/s  x {here / there:.2f}")


if __name__ == "__main__":
    compare()
