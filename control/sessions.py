"""Sessions live on the server; the browser holds a random id in a cookie that scripts cannot read.

The id has 256 bits from the system's generator and is stored as a hash, so that who reads the database cannot use it.
Form tokens against cross-site requests are derived from the id: knowing the token does not give the id.
"""

import hashlib
import hmac
import secrets
import sqlite3
from collections.abc import Callable
from typing import Final

import msgspec

from control.access import AccessDatabase
from control.actor import Role

ID_LEN: Final = 32  # octets
TOUCH_S: Final = 1.0  # activity is noted once a second, not at each of a page's requests
ENDED_KEPT: Final = 1000  # sessions
KEY_LEN: Final = 16  # hexadecimal digits of the hash
SESSIONS_PER_USER: Final = 50  # more browsers than that: the one idle for longest is logged off
_COLUMNS: Final = "id_hash, user, role, client, how, began, active"
_KEY: Final = f"substr(lower(hex(id_hash)), 1, {KEY_LEN})"
_FROM: Final = "FROM session JOIN account USING (user)"


class Session(msgspec.Struct, frozen=True):
    """how: password, code (a password and a second factor) or sign-on. Times: seconds since 1970.

    key: names the session to people and programs; it gives no entry.
    """

    user: str
    role: Role
    client: str
    how: str
    began: float
    active: float
    key: str


def new_id() -> str:
    return secrets.token_urlsafe(ID_LEN)


def form_token(session_id: str) -> str:
    """The token that each form of this session carries. Also for the logon form and its session before logon."""
    return hmac.digest(session_id.encode(), b"mailward form", "sha256").hex()


def is_form_token(session_id: str, token: str) -> bool:
    return hmac.compare_digest(form_token(session_id).encode(), token.encode("utf-8", "replace"))


class Sessions:
    """Safe from any thread. clock: seconds since 1970. timeout_s: asked at each use, as it may change (ACC-06)."""

    def __init__(self, database: AccessDatabase, clock: Callable[[], float], timeout_s: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self._timeout_s = timeout_s
        self._ended: dict[bytes, None] = {}  # the last ones

    def begin(self, user: str, client: str, how: str = "password") -> str:
        """A new session; returns its id, which exists nowhere else."""
        session_id, now = new_id(), self._clock()
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO session VALUES (?, ?, ?, ?, ?, ?)", (_hash(session_id), user, client, now, now, how)
            )
            connection.execute(
                "DELETE FROM session WHERE id_hash IN"
                " (SELECT id_hash FROM session WHERE user = ? ORDER BY active DESC LIMIT -1 OFFSET ?)",
                (user, SESSIONS_PER_USER),
            )
        return session_id

    def find(self, session_id: str, active: bool) -> Session | None:
        """The session if there is one that has not timed out. active: this use is activity (ACC-06)."""
        now, hashed = self._clock(), _hash(session_id)
        with self._database.transaction() as connection:
            row = connection.execute(f"SELECT {_COLUMNS} {_FROM} WHERE id_hash = ? AND enabled", (hashed,)).fetchone()
            if row is None or (session := _session(row)).active <= now - self._timeout_s():
                return None
            if active and now - session.active >= TOUCH_S:
                connection.execute("UPDATE session SET active = ? WHERE id_hash = ?", (now, hashed))
        return session

    def all(self, user: str = "") -> list[Session]:
        """Those of one account or of all that have not timed out, the one used last first."""
        with self._database.transaction() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} {_FROM} WHERE enabled AND active > ? AND ? IN ('', user) ORDER BY active DESC",
                (self._clock() - self._timeout_s(), user),
            ).fetchall()
        return [_session(row) for row in rows]

    def end(self, session_id: str) -> Session | None:
        """Returns the session that was ended, to one caller only."""
        ended = self._end("id_hash = ?", _hash(session_id))
        return ended[0] if ended else None

    def end_by_key(self, key: str, user: str = "") -> Session | None:
        """The same by the key of a session. user: only if it is of this account."""
        ended = self._end(f"{_KEY} = ? AND ? IN ('', user)", key, user)
        return ended[0] if ended else None

    def end_others(self, key: str, user: str) -> list[Session]:
        """All sessions of this account but the one with this key."""
        return self._end(f"{_KEY} != ? AND user = ?", key, user)

    def end_of(self, connection: sqlite3.Connection, user: str) -> list[Session]:
        """All of this account, and its logons that wait for a code, in a transaction of the caller."""
        connection.execute("DELETE FROM second_step WHERE user = ?", (user,))
        return self._end_in(connection, "user = ?", user)

    def end_timed_out(self) -> list[Session]:
        """End and return those that were not active for too long: each counts as a logoff (ACC-09)."""
        return self._end("active <= ?", self._clock() - self._timeout_s())

    def _end(self, condition: str, *values: object) -> list[Session]:
        with self._database.transaction() as connection:
            return self._end_in(connection, condition, *values)

    def _end_in(self, connection: sqlite3.Connection, condition: str, *values: object) -> list[Session]:
        rows = connection.execute(f"SELECT {_COLUMNS} {_FROM} WHERE {condition}", values).fetchall()
        connection.executemany("DELETE FROM session WHERE id_hash = ?", [(row[0],) for row in rows])
        for row in rows:
            self._remember(row[0])
        return [_session(row) for row in rows]

    def is_over(self, session_id: str) -> bool:
        """Whether it is one of ours that has ended: a page that was left open goes on asking (ALR-15)."""
        hashed = _hash(session_id)
        if hashed in self._ended:
            return True
        with self._database.transaction() as connection:
            return connection.execute("SELECT 1 FROM session WHERE id_hash = ?", (hashed,)).fetchone() is not None

    def _remember(self, hashed: bytes) -> None:
        self._ended[hashed] = None
        if len(self._ended) > ENDED_KEPT:
            del self._ended[next(iter(self._ended))]


def _session(row: tuple[bytes, str, str, str, str, float, float]) -> Session:
    hashed, user, role, client, how, began, active = row
    return Session(user, Role(role), client, how, began, active, hashed.hex()[:KEY_LEN])


def _hash(session_id: str) -> bytes:
    return hashlib.sha256(session_id.encode("utf-8", "replace")).digest()
