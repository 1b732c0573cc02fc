"""Tokens: what they may do, how long, and that only their hashes are kept."""

import pytest

from control.accounts import AccountError
from control.accounts.tokens import DAYS_MAX, NAME_LEN, PER_USER, PREFIX
from control.actor import Role, Scope
from tests.control.accounts.office import HERE, THERE, Office

DAY_S = 24 * 3600.0
SOME = (Scope.QUEUES, Scope.STATUS)


def test_a_token_may_what_its_scopes_and_its_account_may(office: Office) -> None:
    """ACC-11, HTTP-08"""
    office.make("anna")
    id_, secret = office.tokens.make("anna", "monitoring", SOME, 30)
    assert secret.startswith(PREFIX)
    token = office.tokens.find(secret, HERE)
    assert token is not None
    assert (token.id, token.user, token.role, token.name) == (id_, "anna", Role.ADMINISTRATOR, "monitoring")
    assert token.allowed == set(SOME)
    office.accounts.change(office.account("anna"), role=Role.REPORT_ONLY)
    token = office.tokens.find(secret, HERE)
    assert token is not None
    assert token.allowed == set()
    with pytest.raises(AccountError, match="may not do this itself: queues:read"):
        office.tokens.make("anna", "more", SOME, 30)


def test_it_ends_with_its_time_its_account_and_by_hand(office: Office) -> None:
    """ACC-11"""
    office.make("anna")
    id_, secret = office.tokens.make("anna", "one", SOME, 1)
    office.enable("anna", False)
    assert office.tokens.find(secret, HERE) is None
    office.enable("anna", True)
    office.clock.now += DAY_S - 1
    assert office.tokens.find(secret, HERE) is not None
    office.clock.now += 1
    assert office.tokens.find(secret, HERE) is None
    assert [token.id for token in office.tokens.all("anna")] == [id_]  # it can be seen why it is refused
    id_, secret = office.tokens.make("anna", "two", SOME, 1)
    assert office.tokens.revoke(id_, "admin") is None
    revoked = office.tokens.revoke(id_, "anna")
    assert revoked is not None
    assert revoked.name == "two"
    assert office.tokens.find(secret, HERE) is None
    _, secret = office.tokens.make("anna", "three", SOME, 1)
    office.accounts.remove("anna")
    assert office.tokens.find(secret, HERE) is None
    assert office.tokens.all() == []


def test_only_a_hash_is_kept(office: Office) -> None:
    """ACC-11"""
    _, secret = office.tokens.make("admin", "one", SOME, 1)
    with office.database.transaction() as connection:
        (row,) = connection.execute("SELECT * FROM token").fetchall()
    assert not any(secret in str(value) or secret[len(PREFIX) :] in str(value) for value in row)
    for other in ("", secret[:-1], secret[len(PREFIX) :], secret + "x", "\udcff"):
        assert office.tokens.find(other, HERE) is None


def test_the_last_use_is_noted_once_a_minute(office: Office) -> None:
    """ACC-11"""
    _, secret = office.tokens.make("admin", "one", SOME, 1)
    began = office.clock.now
    seen = []
    for client, later in ((HERE, 0), (HERE, 59), (HERE, 60), (THERE, 61)):
        office.clock.now = began + later
        office.tokens.find(secret, client)
        (token,) = office.tokens.all()
        seen.append((token.last_used - began, token.last_client))
    assert seen == [(0, HERE), (0, HERE), (60, HERE), (61, THERE)]


@pytest.mark.parametrize(
    ("name", "scopes", "days", "words"),
    [
        ("", SOME, 1, "needs a name"),
        ("x" * (NAME_LEN + 1), SOME, 1, "needs a name"),
        ("two\nlines", SOME, 1, "needs a name"),
        ("one", (), 1, "at least one scope"),
        ("one", SOME, 0, "good for 1 to"),
        ("one", SOME, DAYS_MAX + 1, "good for 1 to"),
    ],
)
def test_what_no_token_can_be(office: Office, name: str, scopes: tuple[Scope, ...], days: int, words: str) -> None:
    """ACC-11"""
    with pytest.raises(AccountError, match=words):
        office.tokens.make("admin", name, scopes, days)
    office.tokens.make("admin", "x" * NAME_LEN, SOME, DAYS_MAX)


def test_names_are_told_apart_and_their_number_is_bounded(office: Office) -> None:
    """ACC-11"""
    for number in range(PER_USER):
        office.tokens.make("admin", f"number {number}", SOME, 1)
    with pytest.raises(AccountError, match="the most: revoke one first"):
        office.tokens.make("admin", "one more", SOME, 1)
    office.make("anna")
    office.tokens.make("anna", "number 1", SOME, 1)
    with pytest.raises(AccountError, match="already: choose another name"):
        office.tokens.make("anna", "number 1", SOME, 1)
    with pytest.raises(AccountError, match="no account"):
        office.tokens.make("nobody", "one", SOME, 1)
