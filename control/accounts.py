"""The two built-in accounts (ACC-01..05, GAP-43) and the guard against guessing their passwords (ACC-08).

Passwords are kept as argon2id hashes only. Failures are counted for the account and for the client, and each one makes
the next attempt wait longer; nobody is ever locked out for good. While somebody has to wait, a password is not even
looked at, so that waiting cannot be cut short by trying often. A client from which the account was used before waits
for its own failures only: a stranger who guesses cannot keep the postmaster out.
"""

import ipaddress
import sqlite3
import threading
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Final

import argon2
import msgspec

from control.access import AccessDatabase

ADMIN: Final = "admin"
REPORT: Final = "report"
USERS: Final = (ADMIN, REPORT)
PASSWORD_MIN_LEN: Final = 12  # ACC-05
PASSWORD_MAX_LEN: Final = 1024  # the hash would take any length; no person needs more

FREE_FAILURES: Final = 2  # people mistype
CLIENT_WAIT_MAX_S: Final = 300.0
ACCOUNT_WAIT_MAX_S: Final = 30.0  # short: a stranger can cause it
FORGET_FAILURES_S: Final = 24 * 3600.0
FORGET_CLIENT_S: Final = 30 * 24 * 3600.0


class AccountError(ValueError):
    """Why an account cannot be changed so, in words for the operator."""


class Result(Enum):
    WELCOME = "welcome"
    WRONG = "wrong"
    WAIT = "wait"


class Attempt(msgspec.Struct, frozen=True):
    """failures: of this account or client so far, whichever is more (the third raises an alert, ACC-08)."""

    result: Result
    wait_s: float = 0.0
    failures: int = 0


class Accounts:
    """Safe from any thread. clock: seconds since 1970."""

    def __init__(
        self, database: AccessDatabase, clock: Callable[[], float], hasher: argon2.PasswordHasher | None = None
    ) -> None:
        """hasher: by default argon2id with the parameters of RFC 9106 s4 for little memory."""
        self._database = database
        self._clock = clock
        self._hasher = hasher or argon2.PasswordHasher()
        self._one_at_a_time = threading.Lock()  # bounds memory (64 MiB a hash), and no burst slips past the counters
        self._decoy = self._hasher.hash("the time this takes must not tell which users exist")

    def any_password(self) -> bool:
        with self._database.transaction() as connection:
            return connection.execute("SELECT 1 FROM account").fetchone() is not None

    def set_password(self, user: str, password: str) -> None:
        """Set it and end the sessions of this user; admin is enabled by it. Raises AccountError."""
        if user not in USERS:
            raise AccountError(f"there is no account {user!r}: the accounts are {' and '.join(USERS)}")
        if not PASSWORD_MIN_LEN <= len(password) <= PASSWORD_MAX_LEN:
            raise AccountError(
                f"the password has {len(password)} characters: use {PASSWORD_MIN_LEN} to {PASSWORD_MAX_LEN} of any kind"
            )
        hashed = self._hasher.hash(password)
        with self._one_at_a_time, self._database.transaction() as connection:
            others = connection.execute("SELECT user, hash FROM account WHERE user != ?", (user,)).fetchall()
            for other, other_hash in others:
                if self._matches(other_hash, password):
                    raise AccountError(f"the account {other} has this password: choose a different one")  # ACC-03
            connection.execute(
                "INSERT INTO account VALUES (?, ?, ?) ON CONFLICT (user) DO UPDATE SET hash = excluded.hash",
                (user, hashed, user == ADMIN),
            )
            connection.execute("DELETE FROM session WHERE user = ?", (user,))

    def enable(self, user: str, enabled: bool) -> None:
        """Raises AccountError: without a password (ACC-04), and for admin, who is always enabled."""
        if user == ADMIN and not enabled:
            raise AccountError("the account admin cannot be disabled")
        with self._database.transaction() as connection:
            changed = connection.execute("UPDATE account SET enabled = ? WHERE user = ?", (enabled, user)).rowcount
            if not changed:
                raise AccountError(f"the account {user} has no password yet: set one first")
            if not enabled:
                connection.execute("DELETE FROM session WHERE user = ?", (user,))

    def log_on(self, user: str, password: str, client: str) -> Attempt:
        """Try a password. client: its address. Takes some 50 ms: not for an event loop's thread."""
        account, network = f"user {user if user in USERS else '?'}", f"client {_network(client)}"
        with self._one_at_a_time:
            with self._database.transaction() as connection:
                wait_s = self._wait_s(connection, user, account, network)
                row = connection.execute("SELECT hash FROM account WHERE user = ? AND enabled", (user,)).fetchone()
            if wait_s > 0:
                return Attempt(Result.WAIT, wait_s)
            hashed = row[0] if row else self._decoy
            right = self._matches(hashed, password[: PASSWORD_MAX_LEN + 1]) and row is not None
            with self._database.transaction() as connection:
                if not right:
                    return Attempt(Result.WRONG, failures=self._count(connection, (account, network)))
                self._welcome(connection, user, account, network)
                if self._hasher.check_needs_rehash(hashed):
                    new = self._hasher.hash(password)
                    connection.execute("UPDATE account SET hash = ? WHERE user = ?", (new, user))
        return Attempt(Result.WELCOME)

    def _matches(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except argon2.exceptions.VerifyMismatchError:
            return False

    def _wait_s(self, connection: sqlite3.Connection, user: str, account: str, network: str) -> float:
        now = self._clock()
        known = connection.execute(
            "SELECT 1 FROM known_client WHERE user = ? AND client = ? AND last > ?",
            (user, network, now - FORGET_CLIENT_S),
        ).fetchone()
        limits = (
            [(network, CLIENT_WAIT_MAX_S)] if known else [(network, CLIENT_WAIT_MAX_S), (account, ACCOUNT_WAIT_MAX_S)]
        )
        longest = 0.0
        for subject, limit in limits:
            row = connection.execute("SELECT count, last FROM failure WHERE subject = ?", (subject,)).fetchone()
            if row:
                # A clock that was set back must not make anybody wait longer than the delay itself.
                passed = max(0.0, now - row[1])
                longest = max(longest, delay_s(row[0], limit) - passed)
        return longest

    def _count(self, connection: sqlite3.Connection, subjects: tuple[str, ...]) -> int:
        now = self._clock()
        connection.execute("DELETE FROM failure WHERE last < ?", (now - FORGET_FAILURES_S,))
        counts: list[int] = [
            connection.execute(
                "INSERT INTO failure VALUES (?, 1, ?) ON CONFLICT (subject)"
                " DO UPDATE SET count = count + 1, last = excluded.last RETURNING count",
                (subject, now),
            ).fetchone()[0]
            for subject in subjects
        ]
        return max(counts)

    def _welcome(self, connection: sqlite3.Connection, user: str, account: str, network: str) -> None:
        now = self._clock()
        connection.execute("DELETE FROM failure WHERE subject IN (?, ?)", (account, network))
        connection.execute("DELETE FROM known_client WHERE last < ?", (now - FORGET_CLIENT_S,))
        connection.execute("INSERT OR REPLACE INTO known_client VALUES (?, ?, ?)", (user, network, now))


def delay_s(failures: int, limit: float) -> float:
    """How long to wait after so many failures: nothing at first, then 2, 4, 8 ... seconds up to limit."""
    return 0.0 if failures <= FREE_FAILURES else min(limit, 2.0 ** min(failures - FREE_FAILURES, 30))


def _network(client: str) -> str:
    """What counts as one client: an IPv4 address, or the /64 that an IPv6 host has all to itself."""
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return client
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address.packed, 64), strict=False))
    return str(address)


def set_password(root: Path, user: str, password: str) -> None:
    """For the command line: `mailward init` sets the first password of admin. Raises AccountError."""
    database = AccessDatabase(root)
    try:
        Accounts(database, lambda: 0.0).set_password(user, password)
    finally:
        database.close()
