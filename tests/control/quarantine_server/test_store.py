"""Vault, index and their bounds, without a network."""

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control.operation import Conflict, Invalid
from control.quarantine_server import desk, index, store, vault
from control.quarantine_server import settings as server_settings
from control.quarantine_server.desk import ORDER_US
from control.quarantine_server.index import Filter
from control.quarantine_server.layout import ServerLayout
from control.quarantine_server.protocol import Item, OrderResult, OrderState
from control.quarantine_server.store import DAY_US, Differs, Full, TooLarge
from control.quarantine_server.vault import PIECE_LEN, Damaged, Mismatch, Vault
from tests.control.quarantine_server.house import item_of
from tests.control.quarantine_server.shelf import ACTOR, Shelf


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    one = Shelf(tmp_path / "root")
    yield one
    one.store.close()


@pytest.fixture(scope="module")
def safe(tmp_path_factory: pytest.TempPathFactory) -> Vault:
    layout = ServerLayout(tmp_path_factory.mktemp("vault"))
    layout.make()
    vault.make_key(layout)
    return Vault(layout)


@settings(max_examples=12)
@given(st.integers(-2, 2), st.sampled_from([0, 1, 2]), st.integers(PIECE_LEN // 50, 3 * PIECE_LEN))
def test_what_is_kept_is_read_back(safe: Vault, off: int, pieces: int, step: int) -> None:
    """QRN-06: at the borders of pieces, written in pieces of any length."""
    content = os.urandom(max(0, pieces * PIECE_LEN + off))
    sha256 = hashlib.sha256(content).hexdigest()
    coming = safe.begin(sha256)
    for at in range(0, len(content), step):
        coming.write(content[at : at + step])
    coming.seal()
    coming.place()
    coming.drop()
    assert safe.content(sha256) == content
    assert safe.path_of(sha256).stat().st_size == coming.stored
    safe.delete(sha256)


@pytest.mark.parametrize("place", [0, 5, 20, -1])
def test_a_change_on_disk_is_noticed(shelf: Shelf, place: int) -> None:
    """QRN-06: of any octet, and a piece that is missing or repeated."""
    content = os.urandom(PIECE_LEN + 10)
    item = shelf.put(content)
    (path,) = shelf.files()
    octets = bytearray(path.read_bytes())
    octets[place] ^= 1
    path.write_bytes(octets)
    with pytest.raises(Damaged):
        shelf.store.vault.content(item.sha256)
    octets[place] ^= 1
    for cut in (octets[: 12 + PIECE_LEN + 16], octets[:12], octets[:3], b""):
        path.write_bytes(cut)
        with pytest.raises(Damaged):
            shelf.store.vault.content(item.sha256)
    path.write_bytes(octets)
    assert shelf.store.vault.content(item.sha256) == content


def test_contents_do_not_change_places(shelf: Shelf) -> None:
    """QRN-06: each is bound to its digest."""
    one, two = shelf.put(b"one", 1), shelf.put(b"two", 2)
    path = shelf.store.vault.path_of
    path(one.sha256).rename(path(two.sha256))
    with pytest.raises(Damaged):
        shelf.store.vault.content(two.sha256)


def test_one_content_lies_there_once(shelf: Shelf) -> None:
    """QRN-06: and goes with the last item that has it."""
    for number in range(3):
        shelf.put(b"the same", number)
    assert len(shelf.files()) == 1 and shelf.store.index.totals().items == 3
    assert shelf.store.delete(shelf.numbers()[:2]) == 2
    assert len(shelf.files()) == 1
    assert shelf.store.delete(shelf.numbers()) == 1
    assert shelf.files() == [] and shelf.store.index.totals().contents == 0
    shelf.put(b"the same", 9)
    assert len(shelf.files()) == 1


def test_bounds_of_size_number_and_age(tmp_path: Path) -> None:
    """QRN-05, QRN-06: at the bound it is taken, one more is refused; what is too old goes."""
    shelf = Shelf(tmp_path / "root", server_settings.Store(max_gb=1, max_items=2, max_days=2, item_mb=1))
    with pytest.raises(TooLarge):
        shelf.store.begin(Item("0" * 32, "a" * 64, (1 << 20) + 1))
    shelf.store.begin(Item("0" * 32, "a" * 64, 1 << 20)).drop()
    shelf.put(b"one", 1)
    shelf.now += DAY_US
    shelf.put(b"two", 2)
    with pytest.raises(Full, match="max_items"):
        shelf.put(b"three", 3)
    assert shelf.store.why_full()
    shelf.now += DAY_US
    assert shelf.store.delete_aged() == 0
    shelf.now += 1
    assert shelf.store.delete_aged() == 1 and len(shelf.files()) == 1
    shelf.put(b"three", 3)
    shelf.store.delete(shelf.numbers()[:1])
    room = (1 << 30) - shelf.store.index.totals().octets
    assert not shelf.store.why_full(room) and "max_gb" in shelf.store.why_full(room + 1)
    assert shelf.store.fullness == 50  # one of two items
    shelf.store.close()
    shelf = Shelf(tmp_path / "root", shelf.bounds)  # it counts what is there
    assert not shelf.store.why_full(room) and shelf.store.why_full(room + 1)
    shelf.store.close()


def test_what_is_not_kept_leaves_nothing(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """QRN-06: wrong octets, a disk that refuses, an index that refuses."""
    item = item_of(b"right", 1)
    coming = shelf.store.begin(item)
    coming.write(b"wrong")
    with pytest.raises(Mismatch):
        shelf.store.keep("gw1", item, coming)
    coming.drop()
    with monkeypatch.context() as broken:
        broken.setattr(vault.Coming, "place", lambda coming: (_ for _ in ()).throw(OSError(28, "full")))
        with pytest.raises(OSError, match="full"):
            shelf.put(b"right", 1)
    with shelf.store.index.transaction() as connection:
        connection.execute("CREATE TRIGGER refuse BEFORE INSERT ON item BEGIN SELECT RAISE(ABORT, 'refused'); END")
    with pytest.raises(sqlite3.Error, match="refused"):
        shelf.put(b"right", 1)
    assert shelf.files() == [] and not any(shelf.layout.coming.iterdir()) and shelf.numbers() == []
    with shelf.store.index.transaction() as connection:
        connection.execute("DROP TRIGGER refuse")
    shelf.put(b"right", 1)


def test_what_a_crash_left_is_cleared(shelf: Shelf) -> None:
    """QRN-06: a file that came half, and one that the index did not come to know."""
    item = shelf.put(b"known")
    lost = shelf.store.begin(item_of(b"lost"))
    lost.write(b"lost")
    lost.seal()
    lost.place()
    half = shelf.store.begin(item_of(b"half"))
    half.write(b"ha")
    half._file.close()
    assert shelf.store.clear() == 1
    assert [shelf.store.vault.path_of(item.sha256)] == shelf.files() and not any(shelf.layout.coming.iterdir())


def test_an_id_means_one_content(shelf: Shelf) -> None:
    """QRN-03: also after it was deleted."""
    item = shelf.put(b"one", 1)
    assert shelf.store.known("gw1", item) and not shelf.store.known("gw2", item)
    shelf.store.delete(shelf.numbers())
    assert shelf.store.known("gw1", item)
    with pytest.raises(Differs):
        shelf.store.known("gw1", item_of(b"two", 1))


def test_what_is_remembered_is_bounded(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """QRN-06: deeds, and ids of what was deleted; the oldest make room."""
    monkeypatch.setattr(index, "AUDIT_KEPT", 3)
    monkeypatch.setattr(store, "GONE_KEPT", 3)
    items = [shelf.put(b"the same", number) for number in range(4)]
    for number in sorted(shelf.numbers()):
        shelf.desk.delete(ACTOR, [number])
    assert [deed.item for deed in shelf.store.index.deeds()] == [4, 3, 2]
    assert [shelf.store.known("gw1", item) for item in items] == [False, True, True, True]
    assert len(shelf.told) == 4


def test_a_search_looks_at_so_many_characters(shelf: Shelf) -> None:
    """QRN-06: at the last that it looks at, and not at one more."""
    room = index.WORDS_LEN - len(index.words_of(item_of(b"one", recipients=("",))))
    shelf.put(b"one", 1, recipients=("x" * (room - 2) + "ENDS",))
    assert shelf.store.index.page(Filter("xen")) and not shelf.store.index.page(Filter("xend"))


def test_no_more_than_so_many_at_once(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """QRN-09: with one press."""
    monkeypatch.setattr(desk, "SELECTED", 2)
    for number in range(3):
        shelf.put(b"one of three %d" % number, number)
    assert shelf.desk.release_all(ACTOR, shelf.numbers()) == (2, "")
    assert shelf.desk.delete(ACTOR, shelf.numbers()) == 2
    (number,) = shelf.numbers()
    with pytest.raises(Invalid):
        shelf.desk.release(ACTOR, number, ["a@example.com"], "x" * (desk.NOTE_LEN + 1))
    shelf.desk.release(ACTOR, number, ["a@example.com"], "x" * desk.NOTE_LEN)


def test_an_order_that_nobody_answers_ends(shelf: Shelf) -> None:
    """QRN-09: and an open one keeps the file from being deleted for its age."""
    shelf.put(b"one", 1)
    (number,) = shelf.numbers()
    shelf.desk.release(ACTOR, number, ["bob@example.com"], "")
    with pytest.raises(Conflict):
        shelf.desk.release(ACTOR, number, ["bob@example.com"], "")
    (order,) = shelf.desk.orders("gw1")
    shelf.desk.result("gw1", order.id, OrderResult(OrderState.PICKED_UP, ""))
    shelf.now += ORDER_US
    assert shelf.desk.end_old_orders() == 0
    shelf.now += 1 + 365 * DAY_US
    assert shelf.store.delete_aged() == 0
    assert shelf.desk.end_old_orders() == 1
    (release,) = shelf.store.index.releases(number)
    assert release.state is OrderState.FAILED and release.result is not None and "30 days" in release.result.text
    assert shelf.desk.orders("gw1") == [] and shelf.store.delete_aged() == 1


def test_another_key_opens_nothing(shelf: Shelf) -> None:
    """QRN-06: nor is a file found with it."""
    item = shelf.put(b"one")
    shelf.layout.key.unlink()
    vault.make_key(shelf.layout)
    assert not Vault(shelf.layout).holds(item.sha256)
    shelf.layout.key.write_bytes(b"short")
    with pytest.raises(ValueError, match="no key"):
        Vault(shelf.layout)


def reopened(shelf: Shelf) -> Shelf:
    shelf.store.close()
    return Shelf(shelf.root)


def test_another_key_deletes_nothing(shelf: Shelf) -> None:
    """QRN-06: the server does not start with it, and all is there again with the right one."""
    item = shelf.put(b"content")
    key = shelf.layout.key.read_bytes()
    shelf.layout.key.write_bytes(bytes(32))
    other = reopened(shelf)
    with pytest.raises(ValueError, match="another store"):
        other.store.clear()
    shelf.layout.key.write_bytes(key)
    again = reopened(other)
    assert again.store.clear() == 0 and again.store.vault.content(item.sha256) == b"content"
    again.store.close()


def test_a_lost_index_deletes_nothing(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """QRN-06: up to the bound it is what a crash left; one more, and it is an index that was lost."""
    monkeypatch.setattr(store, "LOST", 2)
    for number in range(3):
        shelf.put(b"%d" % number, number)
    shelf.store.close()
    for path in shelf.root.glob("index.sqlite*"):
        path.rename(shelf.root / f"saved-{path.name}")
    empty = Shelf(shelf.root)
    assert empty.store.clear() == 0 and len(empty.files()) == 3
    empty.files()[0].unlink()
    assert empty.store.clear() == 2 and empty.files() == []
    empty.store.close()


def test_a_file_that_was_lost_comes_back(shelf: Shelf) -> None:
    """QRN-03: a gateway deletes its own only when the server has the file, not only a line about it."""
    item = shelf.put(b"content")
    shelf.put(b"content", 2)
    assert shelf.store.known("gw1", item)
    shelf.files()[0].unlink()
    assert not shelf.store.known("gw1", item)
    shelf.put(b"content")
    assert shelf.store.known("gw1", item) and shelf.store.vault.content(item.sha256) == b"content"
    totals = shelf.store.index.totals()
    assert (totals.items, totals.contents) == (2, 1)
    shelf.store.delete(shelf.numbers()[-1:])
    assert shelf.store.known("gw1", item)  # deleted by somebody: it does not come back


def test_a_file_that_cannot_be_deleted_waits_for_the_next_start(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """QRN-06: the others that were selected go."""
    shelf.put(b"one", 1)
    shelf.put(b"two", 2)

    def fails(sha256: str) -> None:
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(shelf.store.vault, "delete", fails)
        assert shelf.desk.delete(ACTOR, shelf.numbers()) == 2
    assert shelf.store.clear() == 2 and shelf.files() == []
