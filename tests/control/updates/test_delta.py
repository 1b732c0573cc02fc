"""Deltas of definitions: what they make is what was there, in bounded memory, and what is damaged makes nothing."""

import io
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control.updates import delta
from control.updates.delta import MARGIN_LEN, PIECE_LEN, BadDelta

_OCTETS = st.binary(max_size=64)
_CHANGES = st.lists(st.tuples(st.integers(0, 5000), _OCTETS, st.integers(0, 900)), max_size=6)
_BASE = bytes(range(256)) * 20


def made(old: bytes | None, new: bytes) -> bytes:
    with tempfile.TemporaryFile() as before, tempfile.TemporaryFile() as after:
        for file, octets in ((before, old or b""), (after, new)):
            file.write(octets)
            file.flush()
        written = io.BytesIO()
        delta.make(None if old is None else before, after, written)
    return written.getvalue()


def applied(old: bytes | None, octets: bytes, most: int) -> bytes:
    with tempfile.TemporaryFile() as before:
        before.write(old or b"")
        before.flush()
        written = io.BytesIO()
        delta.apply(None if old is None else before, io.BytesIO(octets), written, most)
    return written.getvalue()


def changed(octets: bytes, changes: list[tuple[int, bytes, int]]) -> bytes:
    found = bytearray(octets)
    for where, new, gone in changes:
        found[where : where + gone] = new
    return bytes(found)


@settings(deadline=None, max_examples=60)
@given(_CHANGES, _CHANGES, st.booleans())
def test_there_and_back(
    before: list[tuple[int, bytes, int]], after: list[tuple[int, bytes, int]], nothing: bool
) -> None:
    """DEF-01: with an old file and without one, with anything put in and taken out."""
    old, new = changed(_BASE, before), changed(_BASE, after)
    base = None if nothing else old
    assert applied(base, made(base, new), len(new)) == new


@pytest.mark.parametrize("length", [0, 1, PIECE_LEN - 1, PIECE_LEN, PIECE_LEN + 1])
def test_around_the_length_of_a_piece(length: int) -> None:
    """DEF-01"""
    old = bytes(length)
    new = old[: length // 2] + b"new" + old[length // 2 :]
    octets = made(old, new)
    assert applied(old, octets, len(new)) == new
    assert len(octets) < 1000


def test_what_moved_is_found_again_within_the_margin() -> None:
    """DEF-01: octets put in at the front cost what they are, not all that follows."""
    old = random.Random(3).randbytes(PIECE_LEN + MARGIN_LEN)
    new = old[:100] + old[2000 : 2000 + MARGIN_LEN // 2] + old[100:]
    assert len(made(old, new)) < len(new) // 100


def test_what_is_refused() -> None:
    """DEF-16: each bound crossed by one."""
    old, new = _BASE, _BASE[:2000] + b"new" + _BASE[2000:]
    good = made(old, new)
    assert applied(old, good, len(new)) == new
    frame_at = 24 + 20
    for octets, why in (
        (b"", "too early"),
        (good[:-1], "too early"),
        (good + b"x", "more follows"),
        (b"X" + good[1:], "is no delta"),
        (good[:8] + (len(old) + 1).to_bytes(8, "little") + good[16:], "for another file"),
        (good[:24] + (len(old)).to_bytes(8, "little") + good[32:], "behind the end"),
        (good[:24] + (2**63).to_bytes(8, "little") + good[32:], "behind the end"),
        (good[:32] + (len(old) + 1).to_bytes(4, "little") + good[36:], "behind the end"),
        (good[:36] + (len(new) + 1).to_bytes(4, "little") + good[40:], "impossible length"),
        (good[:36] + (len(new) - 1).to_bytes(4, "little") + good[40:], "another length"),
        (good[:36] + bytes(4) + good[40:], "impossible length"),
        (good[:40] + (PIECE_LEN + 65537).to_bytes(4, "little") + good[44:], "impossible length"),
        (good[:frame_at] + b"X" + good[frame_at + 1 :], "damaged"),
        (good[:-3] + bytes(3), "damaged"),
    ):
        with pytest.raises(BadDelta, match=why):
            applied(old, octets, len(new))
    with pytest.raises(BadDelta, match="octets of"):
        applied(old, good, len(new) - 1)
    with pytest.raises(BadDelta, match="another file"):
        applied(None, good, len(new))


def test_memory_is_that_of_a_piece(tmp_path: Path) -> None:
    """DEF-01: the gateway goes on with mail meanwhile: 32 MiB are made of 32 with less than 32 MiB."""
    old, new, path = (tmp_path / name for name in ("old", "new", "delta"))
    block = bytes(range(256)) * 4096
    old.write_bytes(block * 32)
    new.write_bytes(b"new" + block * 32)
    with old.open("rb") as before, new.open("rb") as after, path.open("wb") as written:
        delta.make(before, after, written)
    program = (
        "import re, sys; from control.updates import delta;"
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]);"
        "base = peak();"
        "delta.apply(open(sys.argv[1], 'rb'), open(sys.argv[2], 'rb'), open(sys.argv[3], 'wb'), 1 << 30);"
        "print(peak() - base)"
    )
    result = tmp_path / "result"
    told = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, old, path, result], check=True, capture_output=True
    )
    assert int(told.stdout) < 32 * 1024
    assert result.read_bytes() == new.read_bytes()
