"""Tokens for programs: shown once, kept as hashes, each with scopes, an end and a name (ACC-11, HTTP-08).

What a token may do is what its scopes and the role of its account both allow; it ends with its account.
"""

import hashlib
import secrets
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from control.access import AccessDatabase
from control.accounts.directory import AccountError
from control.actor import ROLE_SCOPES, Role, Scope
from engine.config import entries

PREFIX: Final = "mw_"  # scanners for leaked secrets look for such marks
SECRET_LEN: Final = 32  # octets
ID_LEN: Final = 6  # octets
NAME_LEN: Final = 60
DAYS_MAX: Final = 366
PER_USER: Final = 50
USE_NOTED_S: Final = 60.0
DAY_S: Final = 24 * 3600.0
_COLUMNS: Final = "id, token.user, role, token.name, scopes, made, expires, last_used, last_client"


class Token(msgspec.Struct, frozen=True):
    """Times: seconds since 1970; last_used is 0 for never. scopes: that it was made with."""

    id: str
    user: str
    role: Role
    name: str
    scopes: frozenset[Scope]
    made: float
    expires: float
    last_used: float
    last_client: str

    @property
    def allowed(self) -> frozenset[Scope]:
        return self.scopes & ROLE_SCOPES[self.role]


class Tokens:
    """Safe from any thread. clock: seconds since 1970."""

    def __init__(self, database: AccessDatabase, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def make(self, user: str, name: str, scopes: Iterable[Scope], days: int) -> tuple[str, str]:
        """Returns its id, and the token itself, which is kept nowhere. Raises AccountError."""
        name, scopes, now = name.strip(), sorted(set(scopes)), self._clock()
        if not name or len(name) > NAME_LEN or (entries.one_line_error(name)):
            raise AccountError(f"a token needs a name of up to {NAME_LEN} characters on one line", "name")
        if not scopes:
            raise AccountError("this token could do nothing: choose at least one scope", "scopes")
        if not 1 <= days <= DAYS_MAX:
            raise AccountError(f"a token is good for 1 to {DAYS_MAX} days, not {days}", "days")
        secret, id_ = PREFIX + secrets.token_urlsafe(SECRET_LEN), secrets.token_hex(ID_LEN)
        with self._database.transaction() as connection:
            row = connection.execute("SELECT role FROM account WHERE user = ?", (user,)).fetchone()
            if row is None:
                raise AccountError(f"there is no account {user!r}")
            if foreign := [scope for scope in scopes if scope not in ROLE_SCOPES[Role(row[0])]]:
                raise AccountError(f"the account {user} may not do this itself: {', '.join(foreign)}")
            connection.execute("DELETE FROM token WHERE expires < ?", (now - DAYS_MAX * DAY_S,))
            if connection.execute("SELECT COUNT(*) FROM token WHERE user = ?", (user,)).fetchone()[0] >= PER_USER:
                raise AccountError(f"the account {user} has {PER_USER} tokens, which is the most: revoke one first")
            inserted = connection.execute(
                "INSERT INTO token (id, hash, user, name, scopes, made, expires) VALUES (?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (user, name) DO NOTHING",
                (id_, _hash(secret), user, name, " ".join(scopes), now, now + days * DAY_S),
            ).rowcount
            if not inserted:
                raise AccountError(f"there is a token {name!r} of this account already: choose another name", "name")
        return id_, secret

    def find(self, secret: str, client: str) -> Token | None:
        """The token whose text this is, if it is good now; its use is noted, once a minute."""
        now = self._clock()
        with self._database.transaction() as connection:
            row = connection.execute(
                f"SELECT {_COLUMNS} FROM token JOIN account USING (user)"
                " WHERE token.hash = ? AND enabled AND expires > ?",
                (_hash(secret), now),
            ).fetchone()
            if row is None:
                return None
            token = _token(row)
            if now - token.last_used >= USE_NOTED_S or client != token.last_client:
                connection.execute(
                    "UPDATE token SET last_used = ?, last_client = ? WHERE id = ?", (now, client, token.id)
                )
        return token

    def all(self, user: str = "") -> list[Token]:
        """Of one account or of all of them, also those that have ended, newest first."""
        with self._database.transaction() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM token JOIN account USING (user) WHERE ? IN ('', token.user)"
                " ORDER BY made DESC, id",
                (user,),
            ).fetchall()
        return [_token(row) for row in rows]

    def revoke(self, id_: str, user: str = "") -> Token | None:
        """user: only if it is of this account. Returns what was revoked."""
        with self._database.transaction() as connection:
            row = connection.execute(
                f"SELECT {_COLUMNS} FROM token JOIN account USING (user) WHERE id = ? AND ? IN ('', token.user)",
                (id_, user),
            ).fetchone()
            if row is None:
                return None
            connection.execute("DELETE FROM token WHERE id = ?", (id_,))
        return _token(row)


def _token(row: tuple[str, str, str, str, str, float, float, float, str]) -> Token:
    id_, user, role, name, scopes, made, expires, last_used, last_client = row
    known = frozenset(Scope(scope) for scope in scopes.split() if scope in frozenset(Scope))
    return Token(id_, user, Role(role), name, known, made, expires, last_used, last_client)


def _hash(secret: str) -> bytes:
    """256 random bits need no slow hash."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()
