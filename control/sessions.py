"""Sessions live on the server; the browser holds a random id in a cookie that scripts cannot read.

The id has 256 bits from the system's generator and is stored as a hash, so that who reads the database cannot use it.
Form tokens against cross-site requests are derived from the id: knowing the token does not give the id.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from typing import Final

import msgspec

from control.access import AccessDatabase

ID_LEN: Final = 32  # octets
TOUCH_S: Final = 1.0  # activity is noted once a second, not at each of a page's requests
ENDED_KEPT: Final = 1000  # sessions
SESSIONS_PER_USER: Final = 50  # more browsers than that: the one idle for longest is logged off


class Session(msgspec.Struct, frozen=True):
    user: str
    client: str


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

    def begin(self, user: str, client: str) -> str:
        """A new session; returns its id, which exists nowhere else."""
        session_id = new_id()
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO session VALUES (?, ?, ?, ?)", (_hash(session_id), user, client, self._clock())
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
            row = connection.execute("SELECT user, client, active FROM session WHERE id_hash = ?", (hashed,)).fetchone()
            if row is None or row[2] <= now - self._timeout_s():
                return None
            if active and now - row[2] >= TOUCH_S:
                connection.execute("UPDATE session SET active = ? WHERE id_hash = ?", (now, hashed))
        return Session(row[0], row[1])

    def end(self, session_id: str) -> Session | None:
        """Returns the session that was ended, to one caller only."""
        with self._database.transaction() as connection:
            row = connection.execute(
                "DELETE FROM session WHERE id_hash = ? RETURNING user, client", (_hash(session_id),)
            ).fetchone()
        if row is None:
            return None
        self._remember(_hash(session_id))
        return Session(*row)

    def end_timed_out(self) -> list[Session]:
        """End and return those that were not active for too long: each counts as a logoff (ACC-09)."""
        with self._database.transaction() as connection:
            rows = connection.execute(
                "DELETE FROM session WHERE active <= ? RETURNING user, client, id_hash",
                (self._clock() - self._timeout_s(),),
            ).fetchall()
        for row in rows:
            self._remember(row[2])
        return [Session(user, client) for user, client, _ in rows]

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


def _hash(session_id: str) -> bytes:
    return hashlib.sha256(session_id.encode("utf-8", "replace")).digest()
