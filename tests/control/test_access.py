"""The database of accounts outlives versions: what is there is taken along, what is newer is left alone."""

import sqlite3
from pathlib import Path

import pytest

from control.access import _STEPS, FILE_NAME, AccessDatabase
from control.accounts import Accounts, Entry, Passwords, Result
from control.actor import Role
from control.sessions import Sessions, _hash
from tests.control.accounts.office import PASSWORD, cheap

# As the first version made it.
FIRST = """
CREATE TABLE account (
    user TEXT PRIMARY KEY, hash TEXT NOT NULL, enabled INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE failure (
    subject TEXT PRIMARY KEY, count INTEGER NOT NULL, last REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE known_client (
    user TEXT NOT NULL, client TEXT NOT NULL, last REAL NOT NULL, PRIMARY KEY (user, client)) WITHOUT ROWID;
CREATE TABLE session (
    id_hash BLOB PRIMARY KEY, user TEXT NOT NULL, client TEXT NOT NULL, active REAL NOT NULL) WITHOUT ROWID;
"""
NOW = 1_790_000_000.0


def schema(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        rows = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name")
        return [" ".join(sql.split()).replace("( ", "(") for (sql,) in rows]
    finally:
        connection.close()


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """An installation of the first version: admin and report have passwords, report is disabled, admin is logged on."""
    path = tmp_path / "control" / FILE_NAME
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.executescript(FIRST)
    connection.execute("INSERT INTO account VALUES ('admin', ?, TRUE)", (cheap().hash(PASSWORD),))
    connection.execute("INSERT INTO account VALUES ('report', ?, FALSE)", (cheap().hash("only for the reports"),))
    connection.execute("INSERT INTO failure VALUES ('user report', 2, ?)", (NOW,))
    connection.execute("INSERT INTO session VALUES (?, 'admin', '192.0.2.1', ?)", (_hash("the cookie"), NOW))
    connection.commit()
    connection.close()
    return tmp_path


def test_accounts_of_the_first_version_are_taken_along(first: Path) -> None:
    """ACC-01, ACC-02, ACC-11: roles come from the names; passwords, sessions and failures stay."""
    database = AccessDatabase(first)
    passwords = Passwords(cheap())
    sessions = Sessions(database, lambda: NOW + 1, lambda: 300.0)
    accounts = Accounts(database, passwords, sessions)
    assert [(one.user, one.role, one.enabled, one.has_password) for one in accounts.all()] == [
        ("admin", Role.ADMINISTRATOR, True, True),
        ("report", Role.REPORT_ONLY, False, True),
    ]
    entry = Entry(database, lambda: NOW, passwords)
    assert entry.by_password("admin", PASSWORD, "192.0.2.1").result is Result.WELCOME
    assert entry.by_password("report", "only for the reports", "192.0.2.1").failures == 3
    session = sessions.find("the cookie", active=True)
    assert session is not None
    assert (session.user, session.client) == ("admin", "192.0.2.1")
    database.close()


def test_it_is_moved_on_once_and_a_new_one_is_the_same(first: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    fresh = tmp_path_factory.mktemp("fresh")
    for root in (first, fresh, first):
        AccessDatabase(root).close()
    assert schema(first / "control" / FILE_NAME) == schema(fresh / "control" / FILE_NAME)


def test_a_step_that_fails_leaves_everything_as_it_was(first: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = schema(first / "control" / FILE_NAME)
    monkeypatch.setattr("control.access._STEPS", (*_STEPS, ("DROP TABLE failure", "this is no SQL")))
    with pytest.raises(sqlite3.OperationalError):
        AccessDatabase(first)
    assert schema(first / "control" / FILE_NAME) == before


def test_a_database_of_a_newer_version_is_refused(first: Path) -> None:
    connection = sqlite3.connect(first / "control" / FILE_NAME)
    connection.execute(f"PRAGMA user_version = {len(_STEPS) + 1}")
    connection.close()
    with pytest.raises(ValueError, match="newer Mailward: install that version"):
        AccessDatabase(first)
