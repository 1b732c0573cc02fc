"""The second factor of an account: enrolled with an authenticator, and recovery codes for when that is lost (ACC-11).

The secret must be there in clear to compute codes; access.sqlite is readable by the service alone. Recovery codes have
eighty random bits and are kept as hashes; each is good once.
"""

import base64
import hashlib
import secrets
import sqlite3
from collections.abc import Callable
from typing import Final

from control.access import AccessDatabase
from control.accounts import totp
from control.accounts.directory import AccountError

RECOVERY_CODES: Final = 10
RECOVERY_LEN: Final = 10  # octets


class SecondFactors:
    """Safe from any thread. clock: seconds since 1970."""

    def __init__(self, database: AccessDatabase, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def begin(self, user: str) -> bytes:
        """A secret for the authenticator. Nothing changes until a code proves that it is there. Raises AccountError."""
        secret = totp.new_secret()
        with self._database.transaction() as connection:
            changed = connection.execute(
                "UPDATE account SET new_secret = ? WHERE user = ? AND hash != ''", (secret, user)
            ).rowcount
        if not changed:
            raise AccountError(f"the account {user} has no password here: its second factor is where it signs on")
        return secret

    def begun(self, user: str) -> bytes | None:
        """The secret that waits for its first code."""
        with self._database.transaction() as connection:
            row = connection.execute("SELECT new_secret FROM account WHERE user = ?", (user,)).fetchone()
        return row[0] if row else None

    def confirm(self, user: str, given: str) -> tuple[str, ...]:
        """It is on from now on. Returns recovery codes, to be shown now and never again. Raises AccountError."""
        with self._database.transaction() as connection:
            row = connection.execute("SELECT new_secret FROM account WHERE user = ?", (user,)).fetchone()
            if row is None or row[0] is None:
                raise AccountError("no second factor is being set up: begin again")
            step = totp.step_of(row[0], plain(given), self._clock(), 0)
            if step is None:
                raise AccountError(
                    "this is not the code of this moment: wait for the next one, and check the clock of the phone"
                )
            connection.execute(
                "UPDATE account SET secret = new_secret, new_secret = NULL, last_step = ? WHERE user = ?", (step, user)
            )
            return _new_codes(connection, user)

    def remove(self, user: str) -> None:
        """Raises AccountError when there is none."""
        with self._database.transaction() as connection:
            changed = connection.execute(
                "UPDATE account SET secret = NULL, new_secret = NULL WHERE user = ? AND secret IS NOT NULL", (user,)
            ).rowcount
            connection.execute("DELETE FROM recovery_code WHERE user = ?", (user,))
            connection.execute("DELETE FROM second_step WHERE user = ?", (user,))
        if not changed:
            raise AccountError(f"the account {user} has no second factor")

    def new_codes(self, user: str) -> tuple[str, ...]:
        """Others in place of those that are left. Raises AccountError without a second factor."""
        with self._database.transaction() as connection:
            row = connection.execute("SELECT 1 FROM account WHERE user = ? AND secret IS NOT NULL", (user,)).fetchone()
            if row is None:
                raise AccountError(f"the account {user} has no second factor: set one up first")
            return _new_codes(connection, user)


def _new_codes(connection: sqlite3.Connection, user: str) -> tuple[str, ...]:
    texts = [base64.b32encode(secrets.token_bytes(RECOVERY_LEN)).decode().lower() for _ in range(RECOVERY_CODES)]
    connection.execute("DELETE FROM recovery_code WHERE user = ?", (user,))
    connection.executemany("INSERT INTO recovery_code VALUES (?, ?)", [(hash_of(text), user) for text in texts])
    return tuple("-".join(text[start : start + 4] for start in range(0, len(text), 4)) for text in texts)


def plain(given: str) -> str:
    """A code as people write it: groups, blanks and large letters are all the same."""
    return given.replace(" ", "").replace("-", "").lower()


def hash_of(code: str) -> bytes:
    """code: plain. Eighty random bits need no slow hash."""
    return hashlib.sha256(code.encode("utf-8", "replace")).digest()
