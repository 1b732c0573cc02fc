"""How guessing is slowed down: failed logons are counted for the account and for the client (ACC-08).

Each failure makes the next attempt wait longer; nobody is ever locked out for good. While somebody has to wait, a
password is not even looked at, so that waiting cannot be cut short by trying often. A client from which the account was
used before waits for its own failures only, all of them and those with this account: a stranger who guesses cannot keep
the postmaster out.

Names that no account has are counted as those that one has, so that waiting does not tell which exist. They are kept as
keyed hashes: people sometimes type their password into the other field.
"""

import hmac
import ipaddress
import secrets
import sqlite3
from collections.abc import Callable
from typing import Final

FREE_FAILURES: Final = 2  # people mistype
CLIENT_WAIT_MAX_S: Final = 300.0
ACCOUNT_WAIT_MAX_S: Final = 30.0  # short: a stranger can cause it
CODE_WAIT_MAX_S: Final = 3600.0  # long: only who has the password can cause it, and six digits are few
CHANGE_WAIT_MAX_S: Final = 3600.0
FORGET_FAILURES_S: Final = 24 * 3600.0
FORGET_CLIENT_S: Final = 30 * 24 * 3600.0
SUBJECTS_KEPT: Final = 10_000  # each costs whoever makes one a password that is looked at


class Failures:
    """clock: seconds since 1970. All methods run within a transaction of the caller."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(32)

    def wait_s(self, connection: sqlite3.Connection, user: str, exists: bool, client: str) -> float:
        """Seconds until the next password of this user may come from this client; none if not above 0."""
        network = _network(client)
        known = connection.execute(
            "SELECT 1 FROM known_client WHERE user = ? AND client = ? AND last > ?",
            (user, f"client {network}", self._clock() - FORGET_CLIENT_S),
        ).fetchone()
        by_client = self._left_s(connection, f"client {network}", CLIENT_WAIT_MAX_S)
        # Who has an account of his own beside it sets the client's counter to zero at will, but not this one.
        subject = _pair(user, client) if known else self._account(user, exists)
        by_account = self._left_s(connection, subject, CLIENT_WAIT_MAX_S if known else ACCOUNT_WAIT_MAX_S)
        return max(by_client, by_account)

    def code_wait_s(self, connection: sqlite3.Connection, user: str) -> float:
        """Seconds until the next code of six digits is looked at, from wherever it comes."""
        return self._left_s(connection, f"code {user}", CODE_WAIT_MAX_S)

    def change_wait_s(self, connection: sqlite3.Connection, user: str) -> float:
        """Seconds until this account may try another new password; if it may now, that is counted."""
        subject = f"change {user}"
        left_s = self._left_s(connection, subject, CHANGE_WAIT_MAX_S)
        if left_s <= 0:
            self._add(connection, subject)
        return left_s

    def count(self, connection: sqlite3.Connection, user: str, exists: bool, client: str, code: bool = False) -> int:
        """One more. Returns how many this account or client has had, whichever is more."""
        subjects = [self._account(user, exists), f"client {_network(client)}"]
        subjects += [_pair(user, client)] if exists else []
        subjects += [f"code {user}"] if code else []
        counts = [self._add(connection, subject) for subject in subjects]
        connection.execute(
            "DELETE FROM failure WHERE subject IN (SELECT subject FROM failure ORDER BY last DESC LIMIT -1 OFFSET ?)",
            (SUBJECTS_KEPT,),
        )
        return max(counts)

    def _add(self, connection: sqlite3.Connection, subject: str) -> int:
        now = self._clock()
        connection.execute("DELETE FROM failure WHERE last < ?", (now - FORGET_FAILURES_S,))
        (count,) = connection.execute(
            "INSERT INTO failure VALUES (?, 1, ?) ON CONFLICT (subject)"
            " DO UPDATE SET count = count + 1, last = excluded.last RETURNING count",
            (subject, now),
        ).fetchone()
        return int(count)

    def forget(self, connection: sqlite3.Connection, user: str, client: str) -> None:
        """A good logon: the counters go to zero, and the client is known from now on."""
        now, subject = self._clock(), f"client {_network(client)}"
        connection.execute(
            "DELETE FROM failure WHERE subject IN (?, ?, ?, ?)",
            (self._account(user, True), subject, f"code {user}", _pair(user, client)),
        )
        connection.execute("DELETE FROM known_client WHERE last < ?", (now - FORGET_CLIENT_S,))
        connection.execute("INSERT OR REPLACE INTO known_client VALUES (?, ?, ?)", (user, subject, now))

    def _left_s(self, connection: sqlite3.Connection, subject: str, limit: float) -> float:
        row = connection.execute("SELECT count, last FROM failure WHERE subject = ?", (subject,)).fetchone()
        if row is None:
            return 0.0
        # A clock that was set back must not make anybody wait longer than the delay itself.
        count, last = int(row[0]), float(row[1])
        return delay_s(count, limit) - max(0.0, self._clock() - last)

    def _account(self, user: str, exists: bool) -> str:
        return f"user {user}" if exists else f"name {hmac.digest(self._key, user.encode(), 'sha256').hex()}"


def delay_s(failures: int, limit: float) -> float:
    """How long to wait after so many failures: nothing at first, then 2, 4, 8 ... seconds up to limit."""
    return 0.0 if failures <= FREE_FAILURES else min(limit, 2.0 ** min(failures - FREE_FAILURES, 30))


def _pair(user: str, client: str) -> str:
    return f"user {user} from {_network(client)}"


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
