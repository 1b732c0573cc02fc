"""A message walked as it lies in its file: the same facts, without all of it in memory."""

import base64
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.scan import multiparts
from engine.scan.mapped import Mapped
from tests.engine.scan.material import walker

PIECES = [
    b"--zz\r\n",
    b"--zz\n",
    b"--zz",
    b"--zz--\r\n",
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b"--zzz\r\n",
    b"--z",
    b"x" * 40,
]
HEADER = b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="zz"\r\n\r\n'
PARTS, PART_LEN = 16, 4 << 20
PEAK = """
import sys, time
from engine.config import ContainerLimits
from engine.scan.mapped import Mapped
from engine.scan.service import Nothing
from engine.scan.walk import Walker
with open(sys.argv[1], "rb") as file:
    facts = Walker(Nothing(), ContainerLimits(), clock=time.monotonic).walk_message(Mapped(file.fileno())).facts
with open("/proc/self/status") as status:
    peak = next(line.split()[1] for line in status if line.startswith("VmHWM:"))
print(len(facts.parts), int(peak) * 1024)
"""


def mapped(path: Path, octets: bytes) -> Mapped:
    path.write_bytes(octets)
    with path.open("rb") as file:
        return Mapped(file.fileno())


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mapped") / "message.eml"


@pytest.mark.parametrize("window", [1, 7, 64, 4096])
def test_facts_are_the_same_wherever_the_windows_end(path: Path, window: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multiparts, "WINDOW_LEN", window)

    @given(st.lists(st.sampled_from(PIECES), max_size=30))
    def holds(pieces: list[bytes]) -> None:
        message = HEADER + b"".join(pieces)
        found = walker().walk_message(mapped(path, message))
        assert found.facts == walker().walk_message(message).facts

    holds()


def test_plain_files_and_encodings_are_the_same(path: Path) -> None:
    text = b"begin 644 a.txt\n#86%A\n`\nend\n" + b"some text = here \r\n" * 100
    for encoding in (b"base64", b"quoted-printable", b"x-uuencode", b"8bit"):
        message = b"Content-Transfer-Encoding: " + encoding + b"\r\n\r\n" + text
        assert walker().walk_message(mapped(path, message)).facts == walker().walk_message(message).facts
    assert walker().walk_file(mapped(path, text), "a.txt").facts == walker().walk_file(text, "a.txt").facts


def test_a_large_message_needs_the_memory_of_its_largest_part(path: Path) -> None:
    """Three times that, and what the process needs anyway."""
    part = b"--zz\r\nContent-Transfer-Encoding: base64\r\n\r\n%s\r\n" % base64.encodebytes(
        bytes(range(256)) * (PART_LEN >> 8)
    )

    def peak(message: bytes) -> tuple[int, int]:
        path.write_bytes(message)
        ended = subprocess.run([sys.executable, "-c", PEAK, path], capture_output=True, check=True)
        count, octets = map(int, ended.stdout.split())
        return count, octets

    _, anyway = peak(HEADER + b"--zz\r\n\r\nx\r\n--zz--\r\n")
    count, octets = peak(HEADER + part * PARTS + b"--zz--\r\n")
    assert count == PARTS + 1
    assert octets - anyway < 3 * len(part) < len(part) * PARTS // 4
