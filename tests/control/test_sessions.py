"""Sessions: random ids stored as hashes, timeout by activity."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from control.access import AccessDatabase
from control.accounts import Accounts, Passwords
from control.actor import Role
from control.sessions import SESSIONS_PER_USER, Sessions, form_token, is_form_token
from tests.control.accounts.office import cheap


class Desk:
    def __init__(self, root: Path) -> None:
        self.now = 1_790_000_000.0
        self.timeout_s = 300.0
        self.database = AccessDatabase(root)
        self.sessions = Sessions(self.database, lambda: self.now, lambda: self.timeout_s)
        Accounts(self.database, Passwords(cheap()), self.sessions).set_password("admin", "correct horse battery")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.database.close()


def test_a_session_ends_after_the_timeout_without_activity(desk: Desk) -> None:
    """ACC-06"""
    session_id = desk.sessions.begin("admin", "192.0.2.1")
    desk.now += 299
    found = desk.sessions.find(session_id, active=True)
    assert found is not None
    assert (found.user, found.role, found.client) == ("admin", Role.ADMINISTRATOR, "192.0.2.1")
    desk.now += 299
    assert desk.sessions.find(session_id, active=False) is not None
    desk.now += 1
    assert desk.sessions.find(session_id, active=True) is None


def test_refreshing_is_not_activity(desk: Desk) -> None:
    """ACC-06"""
    session_id = desk.sessions.begin("admin", "192.0.2.1")
    for _ in range(100):
        desk.now += 2.99
        assert desk.sessions.find(session_id, active=False) is not None
    desk.now += 1
    assert desk.sessions.find(session_id, active=False) is None


def test_a_new_timeout_holds_for_sessions_that_are_there(desk: Desk) -> None:
    session_id = desk.sessions.begin("admin", "192.0.2.1")
    desk.timeout_s = 60.0
    desk.now += 61
    assert desk.sessions.find(session_id, active=True) is None


def test_a_timeout_is_told_once(desk: Desk) -> None:
    """ACC-09: it counts as a logoff, so each must be seen, and by one only."""
    desk.sessions.begin("admin", "192.0.2.1")
    kept = desk.sessions.begin("admin", "192.0.2.2")
    desk.now += 200
    desk.sessions.find(kept, active=True)
    desk.now += 101
    assert [session.client for session in desk.sessions.end_timed_out()] == ["192.0.2.1"]
    assert desk.sessions.end_timed_out() == []
    ended = desk.sessions.end(kept)
    assert ended is not None
    assert ended.client == "192.0.2.2"
    assert desk.sessions.end(kept) is None


def test_ids_are_random_and_only_their_hashes_are_stored(desk: Desk) -> None:
    ids = {desk.sessions.begin("admin", "192.0.2.1") for _ in range(10)}
    assert len(ids) == 10
    assert all(len(session_id) >= 43 for session_id in ids)  # 256 bits in base64
    with desk.database.transaction() as connection:
        stored = {row[0] for row in connection.execute("SELECT id_hash FROM session")}
    assert all(len(value) == 32 for value in stored)
    assert not stored & {session_id.encode() for session_id in ids}
    assert desk.sessions.find("", active=True) is None
    assert desk.sessions.find("\udcff", active=True) is None


def test_the_number_of_sessions_is_bounded(desk: Desk) -> None:
    first = desk.sessions.begin("admin", "192.0.2.1")
    for _ in range(SESSIONS_PER_USER):
        desk.now += 1
        last = desk.sessions.begin("admin", "192.0.2.1")
    assert desk.sessions.find(first, active=True) is None
    assert desk.sessions.find(last, active=True) is not None


def test_form_tokens_belong_to_one_session() -> None:
    assert is_form_token("one", form_token("one"))
    assert not is_form_token("two", form_token("one"))
    assert not is_form_token("one", "")
    assert not is_form_token("one", "\udcff")
