"""The second factor: enrolment, codes that are good once, recovery codes, and guessing with the password known."""

import pytest

from control.accounts import AccountError, Result, totp
from control.accounts.entry import STEP_PATIENCE_S, STEP_TRIES
from control.accounts.failures import CODE_WAIT_MAX_S
from tests.control.accounts.office import HERE, PASSWORD, THERE, Office


def begin(office: Office, client: str = HERE) -> str:
    attempt = office.log_on("admin", PASSWORD, client)
    assert attempt.result is Result.CODE
    return attempt.step


def wrong(office: Office, secret: bytes) -> str:
    steps = range(int(office.clock.now) // totp.STEP_S - 1, int(office.clock.now) // totp.STEP_S + 2)
    good = {totp.code(secret, step) for step in steps}
    return next(text for text in ("000000", "111111", "222222", "333333") if text not in good)


def test_it_is_on_only_when_a_code_proves_the_authenticator(office: Office) -> None:
    """ACC-11"""
    secret = office.second_factors.begin("admin")
    assert office.second_factors.begun("admin") == secret
    assert office.try_(PASSWORD) is Result.WELCOME
    with pytest.raises(AccountError, match="not the code of this moment"):
        office.second_factors.confirm("admin", wrong(office, secret))
    assert office.try_(PASSWORD) is Result.WELCOME
    codes = office.second_factors.confirm("admin", office.code(secret))
    assert len(set(codes)) == 10
    assert office.second_factors.begun("admin") is None
    assert office.try_(PASSWORD) is Result.CODE
    with pytest.raises(AccountError, match="begin again"):
        office.second_factors.confirm("admin", office.code(secret))


def test_a_code_is_good_once(office: Office) -> None:
    """ACC-11: also that of the enrolment, and that of the step before."""
    secret = office.second_factors.begin("admin")
    first = office.code(secret)
    office.second_factors.confirm("admin", first)
    assert office.entry.by_code(begin(office), first, HERE).result is Result.WRONG
    office.clock.now += totp.STEP_S
    code = office.code(secret)
    assert office.entry.by_code(begin(office), f" {code[:3]} {code[3:]}", HERE).result is Result.WELCOME
    assert office.entry.by_code(begin(office), code, HERE).result is Result.WRONG
    assert office.entry.by_code(begin(office), first, HERE).result is Result.WRONG


def test_a_step_is_good_once_and_not_for_long(office: Office) -> None:
    """ACC-11"""
    secret, _ = office.with_second_factor()
    step = begin(office)
    office.clock.now += STEP_PATIENCE_S + 1
    assert office.entry.by_code(step, office.code(secret), HERE).result is Result.ENDED
    step = begin(office)
    office.clock.now += STEP_PATIENCE_S
    assert office.entry.by_code(step, office.code(secret), HERE).result is Result.WELCOME
    office.clock.now += totp.STEP_S
    assert office.entry.by_code(step, office.code(secret), HERE).result is Result.ENDED
    assert office.entry.by_code("", office.code(secret), HERE).result is Result.ENDED
    assert office.entry.by_code("\udcff", office.code(secret), HERE).result is Result.ENDED


def test_recovery_codes_are_good_once_and_stored_as_hashes(office: Office) -> None:
    """ACC-11"""
    _, codes = office.with_second_factor()
    attempt = office.entry.by_code(begin(office), codes[0].upper(), HERE)
    assert (attempt.result, attempt.recovery) == (Result.WELCOME, True)
    assert office.entry.by_code(begin(office), codes[0], HERE).result is Result.WRONG
    found = office.accounts.find("admin")
    assert found is not None
    assert found.recovery_codes == 9
    with office.database.transaction() as connection:
        stored = {row[0] for row in connection.execute("SELECT hash FROM recovery_code")}
    assert all(len(value) == 32 for value in stored)
    assert not stored & {code.replace("-", "").encode() for code in codes}
    new = office.second_factors.new_codes("admin")
    assert not set(new) & set(codes)
    assert office.entry.by_code(begin(office), codes[1], HERE).result is Result.WRONG
    assert office.entry.by_code(begin(office), new[1], HERE).result is Result.WELCOME


def test_who_knows_the_password_cannot_guess_codes(office: Office) -> None:
    """ACC-08, ACC-11: a right password between wrong codes does not set the counters to zero, nor another client."""
    secret, codes = office.with_second_factor()
    tried = 0
    for number in range(200):
        attempt = office.log_on("admin", PASSWORD, f"203.0.113.{number}")
        if attempt.result is Result.CODE:
            result = office.entry.by_code(attempt.step, wrong(office, secret), f"203.0.113.{number}").result
            tried += result is Result.WRONG
        office.clock.now += 60
    assert tried < 20  # in more than three hours
    office.clock.now += CODE_WAIT_MAX_S / 2
    attempt = office.entry.by_code(begin(office, THERE), office.code(secret), THERE)
    assert attempt.result is Result.WAIT
    assert attempt.wait_s > 1000
    recovered = office.entry.by_code(begin(office, THERE), codes[0], THERE)
    assert recovered.result is Result.WELCOME  # eighty bits need no such wait: the owner is not kept out


def test_failures_of_codes_are_counted_and_told(office: Office) -> None:
    """ACC-08, ALR-13"""
    secret, _ = office.with_second_factor()
    step = begin(office)
    failures = [office.entry.by_code(step, wrong(office, secret), HERE).failures for _ in range(3)]
    assert failures == [1, 2, 3]
    assert office.entry.by_code(step, office.code(secret), HERE).result is Result.WAIT


def test_too_many_wrong_codes_lead_back_to_the_password(office: Office) -> None:
    """ACC-11"""
    secret, _ = office.with_second_factor()
    step = begin(office)
    for number in range(STEP_TRIES):
        office.clock.now += 2**number
        assert office.entry.by_code(step, wrong(office, secret), HERE).result is Result.WRONG
    office.clock.now += 60
    assert office.entry.by_code(step, office.code(secret), HERE).result is Result.ENDED


def test_removing_it(office: Office) -> None:
    """ACC-11"""
    secret, _ = office.with_second_factor()
    step = begin(office)
    office.second_factors.remove("admin")
    assert office.entry.by_code(step, office.code(secret), HERE).result is Result.ENDED
    assert office.try_(PASSWORD) is Result.WELCOME
    with pytest.raises(AccountError, match="has no second factor"):
        office.second_factors.remove("admin")
    with pytest.raises(AccountError, match="set one up first"):
        office.second_factors.new_codes("admin")


def test_an_account_without_a_password_here_has_none(office: Office) -> None:
    """ACC-11: the provider asks for it."""
    office.sign_on("carol")
    for user in ("carol", "report", "nobody"):
        with pytest.raises(AccountError, match="has no password here"):
            office.second_factors.begin(user)
