"""Logging on, and how guessing is slowed down without keeping anybody out for good."""

import threading
from pathlib import Path
from typing import Literal

import argon2
import pytest

from control.accounts import AccountError, Entry, Passwords, Result, set_password
from control.accounts.failures import (
    ACCOUNT_WAIT_MAX_S,
    CLIENT_WAIT_MAX_S,
    FORGET_FAILURES_S,
    FREE_FAILURES,
    SUBJECTS_KEPT,
    delay_s,
)
from control.actor import Role
from tests.control.accounts.office import HERE, PASSWORD, THERE, Office


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
        office.enable("report", True)
    with pytest.raises(AccountError, match="different"):
        office.accounts.set_password("report", PASSWORD)
    office.accounts.set_password("report", "another long password")
    assert office.try_("another long password", user="report") is Result.WRONG
    with pytest.raises(AccountError, match="different"):
        office.accounts.set_password("admin", "another long password")
    office.enable("report", True)
    office.clock.now += 400
    assert office.try_("another long password", user="report") is Result.WELCOME
    with pytest.raises(AccountError):
        office.enable("admin", False)
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
    session_id = office.sessions.begin("admin", HERE)
    assert [one.client for one in office.accounts.set_password("admin", "a new password 2")] == [HERE]
    assert office.sessions.find(session_id, active=True) is None


def test_set_password_for_the_command_line(tmp_path: Path) -> None:
    set_password(tmp_path, "admin", PASSWORD)
    with pytest.raises(ValueError, match="characters"):
        set_password(tmp_path, "admin", "short")
    assert (tmp_path / "control" / "access.sqlite").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("user", ["admin", "report", "anna", "bert", "carol", "nobody", "", "x" * 64])
def test_each_wrong_logon_costs_one_hash_whoever_it_is(office: Office, user: str) -> None:
    """ACC-08, ACC-11: no name, no password, disabled or signed on elsewhere: none can be told from another by time."""
    office.make("anna")
    office.make("bert")
    office.enable("bert", False)
    office.sign_on("carol")
    before = office.hasher.looked_at
    assert office.log_on(user, "not the password", HERE).result is Result.WRONG
    assert office.hasher.looked_at == before + 1


def test_waiting_does_not_tell_which_names_exist(office: Office) -> None:
    """ACC-08: a name that no account has is counted like one that one has."""
    office.make("anna")
    for user in ("anna", "not-anna"):
        for host in (1, 2, 3):
            assert office.log_on(user, "wrong", f"203.0.113.{host}").result is Result.WRONG
            office.clock.now += 400
        office.log_on(user, "wrong", "203.0.113.9")
        assert office.log_on(user, "wrong", "203.0.113.10").result is Result.WAIT
        assert office.log_on("another", "wrong", "203.0.113.11").result is Result.WRONG
        office.clock.now += 25 * 3600


def test_what_was_typed_as_a_name_is_not_stored(office: Office) -> None:
    """ACC-08: it may be a password."""
    attempt = office.log_on("my secret password", "x", HERE)
    assert attempt.user == ""
    with office.database.transaction() as connection:
        stored = [row[0] for row in connection.execute("SELECT subject FROM failure")]
    assert len(stored) == 2
    assert not any("secret" in subject for subject in stored)


def test_counters_are_bounded(office: Office) -> None:
    """ACC-08: with one subject too many the oldest go."""
    with office.database.transaction() as connection:
        rows = [(f"name {number}", 1, office.clock.now - SUBJECTS_KEPT + number) for number in range(SUBJECTS_KEPT)]
        connection.executemany("INSERT INTO failure VALUES (?, ?, ?)", rows)
    office.log_on("admin", "wrong", HERE)
    with office.database.transaction() as connection:
        left = {row[0] for row in connection.execute("SELECT subject FROM failure")}
    assert len(left) == SUBJECTS_KEPT
    assert {"user admin", f"client {HERE}", f"user admin from {HERE}", "name 3"} <= left
    assert not {"name 0", "name 1", "name 2"} & left


def test_a_disabled_account_is_not_entered(office: Office) -> None:
    """ACC-11"""
    office.make("anna")
    session_id = office.sessions.begin("anna", HERE)
    office.enable("anna", False)
    assert office.sessions.find(session_id, active=True) is None
    assert office.try_(office.password_of("anna"), user="anna") is Result.WRONG
    office.enable("anna", True)
    assert office.try_(office.password_of("anna"), user="anna") is Result.WELCOME
    found = office.accounts.find("anna")
    assert found is not None
    assert found.last_logon == office.clock.now


def test_confirming_a_password_counts_failures_too(office: Office) -> None:
    """ACC-08: a form for changing it is no way around the delay; no second factor is asked for."""
    office.with_second_factor()
    assert office.entry.confirm("admin", PASSWORD, HERE).result is Result.WELCOME
    for _ in range(3):
        assert office.entry.confirm("admin", "wrong", HERE).result is Result.WRONG
    assert office.entry.confirm("admin", PASSWORD, HERE).result is Result.WAIT


def test_an_account_of_ones_own_gives_no_free_guesses_at_others(office: Office) -> None:
    """ACC-08: who logs on as himself between two guesses, from where the postmaster works too, is slowed as well."""
    office.make("mallory", Role.REPORT_ONLY)
    assert office.try_(PASSWORD) is Result.WELCOME  # this client is known for admin
    guesses = 0
    while office.try_("wrong") is Result.WRONG:
        guesses += 1
        assert guesses <= FREE_FAILURES + 1
        assert office.try_(office.password_of("mallory"), user="mallory") is Result.WELCOME
    assert office.try_(office.password_of("mallory"), user="mallory") is Result.WELCOME
    office.clock.now += CLIENT_WAIT_MAX_S
    assert office.try_(PASSWORD) is Result.WELCOME
    assert office.try_("wrong") is Result.WRONG


def test_changing_a_password_often_is_slowed(office: Office) -> None:
    """ACC-03, ACC-08: that a new password is one of the other role is told, and must not be a way to guess it."""
    office.make("mallory", Role.REPORT_ONLY)
    waits = [office.entry.change_wait_s("mallory") for _ in range(FREE_FAILURES + 2)]
    assert waits == [0.0] * (FREE_FAILURES + 1) + [2.0]
    office.clock.now += 2.0
    assert office.entry.change_wait_s("mallory") <= 0
    assert office.entry.change_wait_s("mallory") == 4.0
    assert office.entry.change_wait_s("admin") == 0.0
    office.clock.now += FORGET_FAILURES_S + 1
    waits = [office.entry.change_wait_s("mallory") for _ in range(FREE_FAILURES + 2)]
    assert [wait > 0 for wait in waits] == [False] * (FREE_FAILURES + 1) + [True]


def test_one_hash_is_made_at_a_time() -> None:
    """ACC-08: however many log on at the same moment, memory for one hash is enough."""
    inside, most = 0, 0
    counting = threading.Lock()

    class Hasher(argon2.PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
            nonlocal inside, most
            with counting:
                inside += 1
                most = max(most, inside)
            try:
                return super().verify(hash, password)
            finally:
                with counting:
                    inside -= 1

    passwords = Passwords(Hasher(time_cost=4, memory_cost=1024, parallelism=1))
    threads = [threading.Thread(target=passwords.matches, args=("", "wrong")) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
