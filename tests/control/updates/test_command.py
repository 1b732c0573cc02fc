"""mailward definitions update, status, rollback (DEF-07, DEF-08, DEF-13, DEF-16)."""

import fcntl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from control.cli import main
from control.cli.definitions import gateway
from control.updates.keeper import REQUEST
from control.updates.session import alone
from engine.layout import Layout
from tests.control.harness import wait_until
from tests.control.updates.publisher import Publisher
from tests.control.updates.test_session import Site


@pytest.fixture(scope="module")
def publisher(tmp_path_factory: pytest.TempPathFactory) -> Publisher:
    one = Publisher(tmp_path_factory.mktemp("publisher"))
    one.publish("First")
    return one


@pytest.fixture
def site(tmp_path: Path, publisher: Publisher) -> Iterator[Site]:
    one = Site(tmp_path, publisher)
    yield one
    one.close()


@pytest.fixture
def supervised(site: Site) -> Iterator[Site]:
    """As if a supervisor served it."""
    with site.layout.lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield site


def command(root: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["definitions", *arguments, "--root", str(root)])


def test_without_a_gateway_it_is_done_here_and_can_be_undone(site: Site) -> None:
    """DEF-07, DEF-13, DEF-16"""
    root, before = site.layout.root, site.revision
    none = command(root, "rollback")
    assert none.exit_code == 1 and "none were replaced" in none.output
    first = command(root, "update")
    assert first.exit_code == 0 and "Succeeded" in first.output, first.output
    assert site.revision != before
    assert "Nothing new" in command(root, "update").output
    told = command(root, "status").output
    assert "Succeeded" in told and f"before      revision {before}" in told
    with alone(site.layout):
        busy = command(root, "rollback")
        assert busy.exit_code == 1 and "running" in busy.output
    assert command(root, "rollback").exit_code == 0
    assert site.revision == before


def test_a_gateway_that_runs_does_it(supervised: Site) -> None:
    """DEF-07"""
    request = supervised.layout.run / REQUEST

    def work() -> None:
        wait_until(request.exists, "it is asked")
        supervised.context.updates.step()

    pages = threading.Thread(target=work)
    pages.start()
    done = command(supervised.layout.root, "update")
    pages.join()
    assert done.exit_code == 0 and "Succeeded" in done.output, done.output
    assert supervised.memory.history[0].user == gateway.BY


def test_pages_that_are_dead_are_told_of_soon(supervised: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """DEF-07: nothing is left behind that begins an update later, when nobody expects it."""
    monkeypatch.setattr(gateway, "TAKEN_S", 0.0)
    failed = command(supervised.layout.root, "update")
    assert failed.exit_code == 1 and "do not answer" in failed.output and "log" in failed.output
    assert not (supervised.layout.run / REQUEST).exists()


def test_an_update_that_ends_without_a_result_is_not_waited_for(
    supervised: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DEF-13"""
    monkeypatch.setattr(gateway, "ask", lambda layout, user: None)  # begun, and cut off
    monkeypatch.setattr(gateway, "UNSEEN_S", 0.0)
    failed = command(supervised.layout.root, "update")
    assert failed.exit_code == 1 and "definitions status" in failed.output


def test_root_leaves_nothing_that_the_service_cannot_open(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """DEF-08: who looks first makes the lock, and may be root."""
    lock = Layout(site.layout.root).control / "updates.lock"
    lock.unlink(missing_ok=True)
    given: list[tuple[int, int]] = []
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("os.fchown", lambda fd, user, group: given.append((user, group)))
    assert command(site.layout.root, "status").exit_code == 0
    owner = site.layout.control.stat()
    assert given == [(owner.st_uid, owner.st_gid)] and lock.exists()


def test_publishing_where_no_repository_is_says_how_to_make_one(tmp_path: Path) -> None:
    """DEF-01: the place and the remedy, not the name of a lock."""
    image, place = tmp_path / "a.mwd", tmp_path / "none"
    image.write_bytes(b"x")
    (tmp_path / "keys").mkdir()
    arguments = ["publish", str(image), "--repository", str(place), "--keys", str(tmp_path / "keys")]
    told = CliRunner().invoke(main, ["definitions", *arguments], env={"MAILWARD_KEY_PASSPHRASE": "words"})
    assert told.exit_code == 1 and not place.exists()
    assert f"{place} is no repository: make one with `mailward definitions create`" in told.output
