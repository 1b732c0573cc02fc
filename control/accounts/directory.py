"""The accounts: the two built-in ones, admin and report, and those with other names (ACC-01..05, ACC-11, GAP-43)."""

import hashlib
import re
import sqlite3
from typing import Final

import msgspec

from control.access import AccessDatabase
from control.actor import Role
from control.sessions import Session, Sessions
from engine.config import entries
from engine.passwords import PASSWORD_MAX_LEN, PASSWORD_MIN_LEN, Passwords

ADMIN: Final = "admin"
REPORT: Final = "report"
BUILT_IN: Final = (ADMIN, REPORT)
ACCOUNTS_MAX: Final = 100  # a new password is compared with those of the other role, one hash each
USER_LEN: Final = 64
NAME_LEN: Final = 100
_USER: Final = re.compile(rf"[a-z0-9][a-z0-9._@+-]{{0,{USER_LEN - 1}}}")
_COLUMNS: Final = (
    "user, role, name, email, enabled, hash != '', secret IS NOT NULL,"
    " (SELECT COUNT(*) FROM recovery_code WHERE recovery_code.user = account.user), issuer, last_logon"
)


class AccountError(ValueError):
    """Why an account cannot be changed so, in words for the operator. place: which value is wrong, if one is."""

    def __init__(self, text: str, place: str = "") -> None:
        super().__init__(text)
        self.place = place


class Overtaken(AccountError):
    """Somebody else has changed it since it was read."""


class Account(msgspec.Struct, frozen=True):
    """issuer: whose sign-on opens it, empty for a password. last_logon: seconds since 1970, 0 for never."""

    user: str
    role: Role
    name: str
    email: str
    enabled: bool
    has_password: bool
    second_factor: bool
    recovery_codes: int
    issuer: str
    last_logon: float

    @property
    def built_in(self) -> bool:
        return self.user in BUILT_IN

    @property
    def etag(self) -> str:
        """Another one once what people can change was changed."""
        state = msgspec.json.encode((self.user, self.role, self.name, self.email, self.enabled))
        return hashlib.sha256(state).hexdigest()[:16]


class Accounts:
    """Safe from any thread. Who may change what is not decided here.

    What takes rights away ends the sessions of the account, and returns those: each is a logoff (ACC-09).
    """

    def __init__(self, database: AccessDatabase, passwords: Passwords, sessions: Sessions) -> None:
        self._database = database
        self._passwords = passwords
        self._sessions = sessions

    def any_password(self) -> bool:
        with self._database.transaction() as connection:
            return connection.execute("SELECT 1 FROM account WHERE hash != ''").fetchone() is not None

    def all(self) -> list[Account]:
        """The built-in ones first, then by name."""
        with self._database.transaction() as connection:
            rows = connection.execute(f"SELECT {_COLUMNS} FROM account ORDER BY user").fetchall()
        return sorted(map(_account, rows), key=lambda account: not account.built_in)

    def find(self, user: str) -> Account | None:
        with self._database.transaction() as connection:
            return _find(connection, user)

    def make(self, user: str, role: Role, password: str, name: str = "", email: str = "") -> None:
        """A new account, enabled. Raises AccountError."""
        check_user(user)
        _check_words(name, email)
        hashed = self._new_hash(user, role, password)
        with self._database.transaction() as connection:
            _insert(connection, user, role, name, email, hashed)

    def change(
        self,
        seen: Account,
        role: Role | None = None,
        name: str | None = None,
        email: str | None = None,
        enabled: bool | None = None,
    ) -> list[Session]:
        """None: as it is. seen: the account as it was read, for it may have changed since.

        Raises Overtaken for that, else AccountError: built-in accounts keep their roles, admin is always enabled, and
        none is without a password (ACC-04).
        """
        role, enabled = role or seen.role, seen.enabled if enabled is None else enabled
        name, email = seen.name if name is None else name, seen.email if email is None else email
        user = seen.user
        _check_words(name, email)
        if seen.built_in and role is not seen.role:
            raise AccountError(f"the account {user} always has the role {seen.role}: make another account", "role")
        if user == ADMIN and seen.enabled and not enabled:
            raise AccountError("the account admin cannot be disabled", "enabled")
        if enabled and not seen.has_password and not seen.issuer:
            raise AccountError(f"the account {user} has no password yet: set one first", "enabled")
        with self._database.transaction() as connection:
            now = _find(connection, user)
            if now is None or now.etag != seen.etag:
                raise Overtaken(f"the account {user} was changed in the meantime: look at it again")
            connection.execute(
                "UPDATE account SET role = ?, name = ?, email = ?, enabled = ? WHERE user = ?",
                (role, name, email, enabled, user),
            )
            return [] if enabled else self._sessions.end_of(connection, user)

    def remove(self, user: str) -> list[Session]:
        """With its tokens. Raises AccountError."""
        if user in BUILT_IN:
            raise AccountError(f"the account {user} is built in and stays: disable it instead")
        self._existing(user)
        with self._database.transaction() as connection:
            ended = self._sessions.end_of(connection, user)
            connection.execute("DELETE FROM account WHERE user = ?", (user,))
            connection.execute("DELETE FROM known_client WHERE user = ?", (user,))
        return ended

    def set_password(self, user: str, password: str) -> list[Session]:
        """It enables admin. Raises AccountError."""
        account = self._existing(user)
        if account.issuer:
            raise AccountError(f"the account {user} logs on at {account.issuer}: change its password there")
        hashed = self._new_hash(user, account.role, password)
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE account SET hash = ?, enabled = enabled OR user = ? WHERE user = ?", (hashed, ADMIN, user)
            )
            return self._sessions.end_of(connection, user)

    def _existing(self, user: str) -> Account:
        account = self.find(user)
        if account is None:
            known = ", ".join(one.user for one in self.all())
            raise AccountError(f"there is no account {user!r}: the accounts are {known}")
        return account

    def _new_hash(self, user: str, role: Role, password: str) -> str:
        if not PASSWORD_MIN_LEN <= len(password) <= PASSWORD_MAX_LEN:
            allowed = f"{PASSWORD_MIN_LEN} to {PASSWORD_MAX_LEN} of any kind"
            raise AccountError(f"the password has {len(password)} characters: use {allowed}", "password")
        with self._database.transaction() as connection:
            others = connection.execute(
                "SELECT hash FROM account WHERE user != ? AND role != ? AND hash != ''", (user, role)
            ).fetchall()
        if any(self._passwords.matches(hashed, password) for (hashed,) in others):  # ACC-03
            raise AccountError("an account with the other role has this password: choose a different one", "password")
        return self._passwords.hash(password)


def check_user(user: str) -> None:
    """Raises AccountError for what is no user name."""
    if not _USER.fullmatch(user):
        raise AccountError(
            f"{user[:USER_LEN]!r} is no user name: use up to {USER_LEN} small letters, digits and . _ @ + -, a letter"
            " or digit first",
            "user",
        )


def sign_on(
    database: AccessDatabase, issuer: str, subject: str, user: str, role: Role, name: str, email: str, now: float
) -> tuple[str, str]:
    """The account of somebody whom an identity provider vouches for; made at the first time, its role kept in step.

    Returns its user name and what was changed about it, if anything. Raises AccountError: for one that is disabled, or
    whose name somebody else has here.
    """
    name, email = "" if _name_error(name) else name, "" if entries.address_error(email) else email
    with database.transaction() as connection:
        row = connection.execute(
            "SELECT user, role, enabled FROM account WHERE issuer = ? AND subject = ?", (issuer, subject)
        ).fetchone()
        if row is None:
            check_user(user)
            _insert(connection, user, role, name, email, "", issuer, subject)
            changed = f"made at its first sign-on: {role}"
        elif not row[2]:
            raise AccountError(f"the account {row[0]} is disabled: ask an administrator to enable it")
        else:
            user = row[0]
            changed = "" if role == row[1] else f"role by sign-on: {role}"
        connection.execute(
            "UPDATE account SET role = ?, name = ?, email = ?, last_logon = ? WHERE user = ?",
            (role, name, email, now, user),
        )
    return user, changed


def _insert(
    connection: sqlite3.Connection,
    user: str,
    role: Role,
    name: str,
    email: str,
    hashed: str,
    issuer: str = "",
    subject: str = "",
) -> None:
    if connection.execute("SELECT COUNT(*) FROM account").fetchone()[0] >= ACCOUNTS_MAX:
        raise AccountError(f"there are {ACCOUNTS_MAX} accounts, which is the most: remove one first")
    inserted = connection.execute(
        "INSERT OR IGNORE INTO account (user, role, name, email, hash, enabled, issuer, subject)"
        " VALUES (?, ?, ?, ?, ?, TRUE, ?, ?)",
        (user, role, name, email, hashed, issuer, subject),
    ).rowcount
    if not inserted:
        raise AccountError(f"there is an account {user} already: choose another name", "user")


def _check_words(name: str, email: str) -> None:
    if error := _name_error(name):
        raise AccountError(f"the name {error}", "name")
    if email and (error := entries.address_error(email)):
        raise AccountError(f"the mail address {email!r} {error}", "email")


def _name_error(name: str) -> str:
    if len(name) > NAME_LEN:
        return f"has {len(name)} characters: use up to {NAME_LEN}"
    return entries.one_line_error(name)


def _find(connection: sqlite3.Connection, user: str) -> Account | None:
    row = connection.execute(f"SELECT {_COLUMNS} FROM account WHERE user = ?", (user,)).fetchone()
    return _account(row) if row else None


def _account(row: tuple[str, str, str, str, int, int, int, int, str, float]) -> Account:
    user, role, name, email, enabled, has_password, second_factor, codes, issuer, last_logon = row
    return Account(
        user, Role(role), name, email, bool(enabled), bool(has_password), bool(second_factor), codes, issuer, last_logon
    )
