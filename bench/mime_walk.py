"""One walk over a message, from small text to a large archive: what a message costs before policy.

Each run checks its answer: the parts that were found and that all of their octets were examined.
"""

import base64
import io
import random
import time
import zipfile
from collections.abc import Callable

from engine.config import ScanLimits, Settings
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

    def scan(self, data: object, target: str = "any", first: bool = False) -> tuple[str, ...]:
        return ()

    def match_name(self, filename: str) -> tuple[str, ...]:
        return ()


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
        self.walker = Walker(NoMatcher(), ScanLimits(), clock=time.monotonic)

    def time_walk(self, name: str) -> None:
        facts = self.walker.walk_message(self.data).facts
        if len(facts.parts) != self.count or any(part.size != part.examined for part in facts.parts):
            raise AssertionError(f"{name}: {len(facts.parts)} parts")

    def time_examine(self, name: str) -> None:
        if examine(self.data, NoMatcher(), Settings()).reason:
            raise AssertionError(name)

    def peakmem_walk(self, name: str) -> None:
        self.walker.walk_message(self.data)
