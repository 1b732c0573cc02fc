"""Logging on: a password, and behind it a code where the account has a second factor (ACC-05, ACC-08, ACC-11)."""

import hashlib
import secrets
import sqlite3
import threading
from collections.abc import Callable
from enum import Enum
from typing import Final

import msgspec

from control.access import AccessDatabase
from control.accounts import totp
from control.accounts.failures import Failures
from control.accounts.second_factor import hash_of, plain
from engine.passwords import Passwords

STEP_ID_LEN: Final = 32  # octets
STEP_PATIENCE_S: Final = 300.0  # from the password to the code
STEP_TRIES: Final = 5  # then the password is asked for again


class Result(Enum):
    WELCOME = "welcome"
    CODE = "code"  # the password is right, the second factor is still to come
    WRONG = "wrong"
    WAIT = "wait"
    ENDED = "ended"  # the password was too long ago


class Attempt(msgspec.Struct, frozen=True):
    """failures: of this account or client so far, whichever is more (the third raises an alert, ACC-08).

    user: whose account it is, empty if there is none. step: names the second step to the one who begins it. recovery:
    whether the code was a recovery code.
    """

    result: Result
    user: str = ""
    wait_s: float = 0.0
    failures: int = 0
    step: str = ""
    recovery: bool = False


class Entry:
    """Safe from any thread. clock: seconds since 1970."""

    def __init__(self, database: AccessDatabase, clock: Callable[[], float], passwords: Passwords) -> None:
        self._database = database
        self._clock = clock
        self._passwords = passwords
        self._failures = Failures(clock)
        self._one_at_a_time = threading.Lock()  # no burst slips past the counters

    def by_password(self, user: str, password: str, client: str) -> Attempt:
        """client: its address. Takes some 50 ms: not for an event loop's thread."""
        return self._password(user, password, client, self._enter)

    def confirm(self, user: str, password: str, client: str) -> Attempt:
        """The same for somebody who is logged on, before something that matters; a second factor is not asked for."""
        return self._password(user, password, client, self._confirmed)

    def change_wait_s(self, user: str) -> float:
        """Seconds until this account may try another new password; none if not above 0, and then this one counts.

        A new password may not be that of an account with the other role (ACC-03): without a delay, changing it over
        and over would be a way to guess that one.
        """
        with self._one_at_a_time, self._database.transaction() as connection:
            return self._failures.change_wait_s(connection, user)

    def _password(
        self, user: str, password: str, client: str, then: Callable[[sqlite3.Connection, str, str], Attempt]
    ) -> Attempt:
        with self._one_at_a_time:
            with self._database.transaction() as connection:
                row = connection.execute(
                    "SELECT CASE WHEN enabled THEN hash ELSE '' END FROM account WHERE user = ?", (user,)
                ).fetchone()
                exists = row is not None
                wait_s = self._failures.wait_s(connection, user, exists, client)
            known = user if exists else ""
            if wait_s > 0:
                return Attempt(Result.WAIT, known, wait_s)
            hashed: str = row[0] if row else ""
            right = self._passwords.matches(hashed, password)
            new = self._passwords.hash(password) if right and self._passwords.is_old(hashed) else ""
            with self._database.transaction() as connection:
                if not right:
                    return Attempt(Result.WRONG, known, failures=self._failures.count(connection, user, exists, client))
                if new:
                    connection.execute("UPDATE account SET hash = ? WHERE user = ?", (new, user))
                return then(connection, user, client)

    def _confirmed(self, connection: sqlite3.Connection, user: str, client: str) -> Attempt:
        self._failures.forget(connection, user, client)
        return Attempt(Result.WELCOME, user)

    def _enter(self, connection: sqlite3.Connection, user: str, client: str) -> Attempt:
        (secret,) = connection.execute("SELECT secret FROM account WHERE user = ?", (user,)).fetchone()
        if secret is None:
            return self._welcome(connection, user, client)
        # The counters stay: who knows the password only could otherwise set them to zero between two codes.
        step = secrets.token_urlsafe(STEP_ID_LEN)
        now = self._clock()
        connection.execute("DELETE FROM second_step WHERE began < ?", (now - STEP_PATIENCE_S,))
        connection.execute("INSERT INTO second_step (id_hash, user, began) VALUES (?, ?, ?)", (_hash(step), user, now))
        return Attempt(Result.CODE, user, step=step)

    def by_code(self, step: str, given: str, client: str) -> Attempt:
        """A code of the second factor, or a recovery code, for the step that a password began."""
        given = plain(given)
        is_code = len(given) == totp.DIGITS
        with self._one_at_a_time, self._database.transaction() as connection:
            row = connection.execute(
                "SELECT user, secret, last_step, failures FROM second_step JOIN account USING (user)"
                " WHERE id_hash = ? AND began >= ? AND enabled AND secret IS NOT NULL",
                (_hash(step), self._clock() - STEP_PATIENCE_S),
            ).fetchone()
            if row is None:
                return Attempt(Result.ENDED)
            user, secret, last_step, failures = row
            wait_s = self._failures.wait_s(connection, user, True, client)
            if is_code:
                wait_s = max(wait_s, self._failures.code_wait_s(connection, user))
            if wait_s > 0:
                return Attempt(Result.WAIT, user, wait_s)
            if is_code:
                right = self._is_code(connection, user, secret, given, last_step)
            else:
                right = bool(
                    connection.execute(
                        "DELETE FROM recovery_code WHERE user = ? AND hash = ?", (user, hash_of(given))
                    ).rowcount
                )
            if right:
                connection.execute("DELETE FROM second_step WHERE id_hash = ?", (_hash(step),))
                return self._welcome(connection, user, client, recovery=not is_code)
            if failures + 1 >= STEP_TRIES:
                connection.execute("DELETE FROM second_step WHERE id_hash = ?", (_hash(step),))
            else:
                connection.execute("UPDATE second_step SET failures = failures + 1 WHERE id_hash = ?", (_hash(step),))
            return Attempt(
                Result.WRONG, user, failures=self._failures.count(connection, user, True, client, code=is_code)
            )

    def _is_code(self, connection: sqlite3.Connection, user: str, secret: bytes, given: str, used: int) -> bool:
        step = totp.step_of(secret, given, self._clock(), used)
        if step is None:
            return False
        connection.execute("UPDATE account SET last_step = ? WHERE user = ?", (step, user))
        return True

    def _welcome(self, connection: sqlite3.Connection, user: str, client: str, recovery: bool = False) -> Attempt:
        self._failures.forget(connection, user, client)
        connection.execute("UPDATE account SET last_logon = ? WHERE user = ?", (self._clock(), user))
        return Attempt(Result.WELCOME, user, recovery=recovery)


def _hash(step: str) -> bytes:
    return hashlib.sha256(step.encode("utf-8", "replace")).digest()
