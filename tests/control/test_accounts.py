"""Accounts, and how guessing is slowed down without keeping anybody out for good."""

import threading
from collections.abc import Iterator
from pathlib import Path

import argon2
import pytest

from control.access import AccessDatabase
from control.accounts import AccountError, Accounts, Attempt, Entry, Passwords, Result, set_password
from control.accounts.failures import ACCOUNT_WAIT_MAX_S, delay_s
from control.sessions import Sessions

PASSWORD = "correct horse battery"
CHEAP = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)  # what is tested is not the hash
HERE, THERE = "192.0.2.1", "198.51.100.1"


class Clock:
    def __init__(self) -> None:
        self.now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


class Office:
    def __init__(self, root: Path) -> None:
        self.clock = Clock()
        self.database = AccessDatabase(root)
        passwords = Passwords(CHEAP)
        self.accounts = Accounts(self.database, passwords)
        self.entry = Entry(self.database, self.clock, passwords)
        self.accounts.set_password("admin", PASSWORD)

    def try_(self, password: str, client: str = HERE, user: str = "admin") -> Result:
        return self.log_on(user, password, client).result

    def log_on(self, user: str, password: str, client: str) -> Attempt:
        return self.entry.by_password(user, password, client)

    def fail(self, times: int, client: str = HERE) -> None:
        """Wrong passwords, each after the wait that is asked for."""
        for _ in range(times):
            self.clock.now += 400
            assert self.try_("wrong", client) is Result.WRONG


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    yield made
    made.database.close()


def test_log_on_is_case_sensitive(office: Office) -> None:
    """ACC-05"""
    assert office.try_(PASSWORD) is Result.WELCOME
    assert office.try_(PASSWORD.upper()) is Result.WRONG
    assert office.try_("") is Result.WRONG
    assert office.try_(PASSWORD, user="Admin") is Result.WRONG


@pytest.mark.parametrize("password", ["", "eleven char", "x" * 1025])
def test_length_of_a_new_password(office: Office, password: str) -> None:
    """ACC-05"""
    with pytest.raises(AccountError, match="characters"):
        office.accounts.set_password("admin", password)
    assert office.try_(PASSWORD) is Result.WELCOME


def test_the_report_account(office: Office) -> None:
    """ACC-02, ACC-03, ACC-04: disabled, without a password, and never with that of admin."""
    with pytest.raises(AccountError, match="set one first"):
        office.accounts.enable("report", True)
    with pytest.raises(AccountError, match="different"):
        office.accounts.set_password("report", PASSWORD)
    office.accounts.set_password("report", "another long password")
    assert office.try_("another long password", user="report") is Result.WRONG
    with pytest.raises(AccountError, match="different"):
        office.accounts.set_password("admin", "another long password")
    office.accounts.enable("report", True)
    office.clock.now += 400
    assert office.try_("another long password", user="report") is Result.WELCOME
    with pytest.raises(AccountError):
        office.accounts.enable("admin", False)
    with pytest.raises(AccountError, match="admin, report"):
        office.accounts.set_password("root", PASSWORD)


def test_passwords_are_stored_as_argon2id_only_and_old_hashes_renewed(office: Office) -> None:
    def stored() -> str:
        with office.database.transaction() as connection:
            return str(connection.execute("SELECT hash FROM account WHERE user = 'admin'").fetchone()[0])

    assert stored().startswith("$argon2id$")
    assert PASSWORD not in stored()
    by_default = Entry(office.database, office.clock, Passwords())
    assert by_default.by_password("admin", PASSWORD, HERE).result is Result.WELCOME
    assert "m=65536,t=3" in stored()


def test_the_third_failure_makes_the_next_attempt_wait(office: Office) -> None:
    """ACC-08"""
    failures = [office.log_on("admin", "wrong", HERE).failures for _ in range(3)]
    assert failures == [1, 2, 3]
    refused = office.log_on("admin", PASSWORD, HERE)
    assert refused.result is Result.WAIT
    assert 0 < refused.wait_s <= 2
    office.clock.now += refused.wait_s
    assert office.try_(PASSWORD) is Result.WELCOME
    assert [office.log_on("admin", "wrong", HERE).failures for _ in range(2)] == [1, 2]  # from zero again


def test_delays_grow_and_end() -> None:
    assert [delay_s(n, 300.0) for n in range(1, 7)] == [0, 0, 2, 4, 8, 16]
    assert delay_s(10_000, 300.0) == 300.0


def test_waiting_is_not_prolonged_by_trying(office: Office) -> None:
    for _ in range(3):
        office.try_("wrong")
    office.clock.now += 1
    assert office.try_(PASSWORD) is Result.WAIT
    office.clock.now += 1
    assert office.try_(PASSWORD) is Result.WELCOME


def test_a_stranger_cannot_keep_the_postmaster_out(office: Office) -> None:
    """ACC-08: who was let in from a client before waits for the failures of that client only, others a short time."""
    assert office.try_(PASSWORD, HERE) is Result.WELCOME
    office.fail(9, THERE)
    assert office.try_(PASSWORD, HERE) is Result.WELCOME
    office.fail(9, THERE)
    refused = office.log_on("admin", PASSWORD, "203.0.113.5")
    assert refused.result is Result.WAIT
    assert refused.wait_s <= ACCOUNT_WAIT_MAX_S


def test_addresses_of_one_network_count_as_one_client(office: Office) -> None:
    for host in ("2001:db8::1", "2001:db8::2", "2001:db8::3"):
        assert office.log_on("nobody", "wrong", host).result is Result.WRONG
    assert office.try_(PASSWORD, "2001:db8::4") is Result.WAIT
    office.fail(2, HERE)
    assert office.try_("wrong", "::ffff:192.0.2.1") is Result.WRONG
    assert office.try_(PASSWORD, HERE) is Result.WAIT


def test_a_burst_does_not_slip_past_the_counters(office: Office) -> None:
    results: list[Result] = []
    burst = [threading.Thread(target=lambda: results.append(office.try_("wrong"))) for _ in range(8)]
    for thread in burst:
        thread.start()
    for thread in burst:
        thread.join()
    assert results.count(Result.WRONG) == 3
    assert results.count(Result.WAIT) == 5


def test_failures_are_forgotten_after_a_day(office: Office) -> None:
    office.fail(5)
    office.clock.now += 25 * 3600
    assert office.log_on("admin", "wrong", HERE).failures == 1


def test_a_new_password_ends_the_sessions(office: Office) -> None:
    sessions = Sessions(office.database, office.clock, lambda: 300.0)
    session_id = sessions.begin("admin", HERE)
    office.accounts.set_password("admin", "a new password 2")
    assert sessions.find(session_id, active=True) is None


def test_set_password_for_the_command_line(tmp_path: Path) -> None:
    set_password(tmp_path, "admin", PASSWORD)
    with pytest.raises(ValueError, match="characters"):
        set_password(tmp_path, "admin", "short")
    assert (tmp_path / "control" / "access.sqlite").stat().st_mode & 0o777 == 0o600
