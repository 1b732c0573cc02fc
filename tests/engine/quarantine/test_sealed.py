"""One quarantined file on disk."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.quarantine import sealed
from engine.quarantine.item import Item, ids_of
from engine.quarantine.sealed import PIECE_LEN, Unreadable, Writer, key_of, read_content, read_item, sealed_len

KEY = bytes(range(32))
SECRET = b"MZ a harmless marker of our own"


def written(path: Path, content: bytes, cuts: int = 1, key: bytes = KEY, **more: Any) -> Item:
    writer = Writer(path, key)
    for at in range(0, len(content), max(1, -(-len(content) // cuts))):
        writer.write(content[at : at + max(1, -(-len(content) // cuts))])
    item = Item(id="0" * 32, smtp_id="0" * 13, sha256=writer.sha256, size=len(content), **more)
    assert writer.finish(item) == path.stat().st_size
    return item


@given(size=st.sampled_from([0, 1, PIECE_LEN - 1, PIECE_LEN, PIECE_LEN + 1, 2 * PIECE_LEN]), cuts=st.integers(1, 5))
@settings(max_examples=20, deadline=None)
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, size: int, cuts: int) -> None:
    """QRN-12: octet for octet, however it came in; its length on disk is known before."""
    path = tmp_path_factory.mktemp("q") / "x"
    content = (SECRET * (size // len(SECRET) + 1))[:size]
    item = written(path, content, cuts, name="näme\udcff".encode("utf-8", "replace").decode())
    found, pieces = read_content(path, KEY)
    assert found == item == read_item(path, KEY)
    assert b"".join(pieces) == content
    assert 0 < path.stat().st_size - sealed_len(size) < 500


def test_nothing_of_it_can_be_read_on_disk(tmp_path: Path) -> None:
    """QRN-03, QRN-06: neither content nor name, sender or virus; two of the same differ."""
    one, two = tmp_path / "one", tmp_path / "two"
    for path in (one, two):
        written(path, SECRET * 100, name="invoice.exe", sender="mallory@example.net", subject="your order")
    octets = one.read_bytes()
    for word in (b"marker", b"MZ a", b"invoice", b"mallory", b"order"):
        assert word not in octets
    assert one.stat().st_mode & 0o777 == 0o600
    assert octets[20:] != two.read_bytes()[20:]


@pytest.mark.parametrize("size", [10, PIECE_LEN + 5])
def test_what_was_changed_is_refused(tmp_path: Path, size: int) -> None:
    """QRN-12: a copy that is not the original is none; every octet counts, and every length."""
    path = tmp_path / "x"
    written(path, b"x" * size)
    octets = path.read_bytes()
    places = [*range(60), len(octets) // 2, *range(len(octets) - 60, len(octets))]
    for at in places:
        path.write_bytes(octets[:at] + bytes([octets[at] ^ 1]) + octets[at + 1 :])
        with pytest.raises(Unreadable):
            b"".join(read_content(path, KEY)[1])
    for length in (0, 3, 24, len(octets) - 1, len(octets) // 2):
        path.write_bytes(octets[:length])
        with pytest.raises(Unreadable):
            b"".join(read_content(path, KEY)[1])
    path.write_bytes(octets[:21] + octets[22:])
    with pytest.raises(Unreadable, match="was cut"):
        read_item(path, KEY)
    path.write_bytes(octets)
    with pytest.raises(Unreadable, match="another key"):
        read_item(path, KEY[::-1])


@given(st.binary(max_size=200))
@settings(max_examples=60, deadline=None)
def test_any_octets_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, octets: bytes) -> None:
    """QRN-06: what lies there may be of anybody's make."""
    path = tmp_path_factory.getbasetemp() / "fuzzed"
    path.write_bytes(b"MWQ2" + octets)
    with pytest.raises(Unreadable):
        b"".join(read_content(path, KEY)[1])


def test_a_broken_off_file_leaves_nothing(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "x", KEY)
    writer.write(b"some")
    writer.abort()
    writer.abort()
    assert list(tmp_path.iterdir()) == []


def test_the_key_is_made_once(tmp_path: Path) -> None:
    """QRN-06: readable for the service alone; a wrong one is said, not replaced."""
    key = key_of(tmp_path)
    assert key == key_of(tmp_path) and len(key) == sealed.KEY_LEN
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
    (tmp_path / "key").write_bytes(b"short")
    with pytest.raises(Unreadable, match="no key"):
        key_of(tmp_path)


def test_names_on_disk() -> None:
    """QRN-06: inert, and of no other grammar."""
    item = Item(id="ab" * 16, smtp_id="0123456789ABC", sha256="", size=0, name="../../etc/x.exe")
    assert ids_of(item.stem + ".item") == ("0123456789ABC", "ab" * 16)
    for other in ("key", "../x.item", item.stem.lower() + ".item", "x" + item.stem + ".item", item.stem + ".exe"):
        assert ids_of(other) is None
