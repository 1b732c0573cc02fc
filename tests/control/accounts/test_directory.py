"""Named accounts beside the two built-in ones, and those that an identity provider vouches for."""

import pytest

from control.accounts import AccountError, Overtaken
from control.accounts.directory import ACCOUNTS_MAX, NAME_LEN, USER_LEN
from control.actor import Role
from tests.control.accounts.office import HERE, ISSUER, PASSWORD, Office


def test_the_built_in_accounts_are_always_there(office: Office) -> None:
    """ACC-01, ACC-02, ACC-11, GAP-43"""
    office.make("anna")
    assert [(one.user, one.role, one.built_in) for one in office.accounts.all()] == [
        ("admin", Role.ADMINISTRATOR, True),
        ("report", Role.REPORT_ONLY, True),
        ("anna", Role.ADMINISTRATOR, False),
    ]
    for user in ("admin", "report"):
        with pytest.raises(AccountError, match="built in and stays"):
            office.accounts.remove(user)
    with pytest.raises(AccountError, match="always has the role"):
        office.accounts.change(office.account("report"), role=Role.ADMINISTRATOR)
    office.accounts.change(office.account("report"), name="For the auditors", email="audit@example.org")


def test_two_administrators_do_not_overwrite_each_other(office: Office) -> None:
    """ACC-11, HTTP-08"""
    seen = office.account("report")
    office.accounts.change(seen, name="For the auditors")
    with pytest.raises(Overtaken, match="changed in the meantime: look at it again"):
        office.accounts.change(seen, email="audit@example.org")
    assert office.account("report").email == ""


def test_names_and_words_of_an_account(office: Office) -> None:
    """ACC-11"""
    for user in ("", "Anna", "-anna", "an na", "anna\n", "x" * (USER_LEN + 1), "änna", "(unknown)"):
        with pytest.raises(AccountError, match="is no user name") as caught:
            office.make(user)
        assert caught.value.place == "user"
    office.make("x" * USER_LEN)
    with pytest.raises(AccountError, match="there is an account report already"):
        office.make("report", Role.REPORT_ONLY)
    for name, email, place in (("a\nb", "", "name"), ("x" * (NAME_LEN + 1), "", "name"), ("", "no address", "email")):
        with pytest.raises(AccountError) as caught:
            office.accounts.make("anna", Role.ADMINISTRATOR, PASSWORD, name, email)
        assert caught.value.place == place
    with pytest.raises(AccountError, match="there is no account 'anna': the accounts are admin, report, x"):
        office.accounts.set_password("anna", PASSWORD)


def test_passwords_differ_between_the_roles(office: Office) -> None:
    """ACC-03: in both directions, also with names; within a role nobody is told of the passwords of others."""
    with pytest.raises(AccountError, match="the other role has this password") as caught:
        office.accounts.make("anna", Role.REPORT_ONLY, PASSWORD)
    assert caught.value.place == "password"
    office.make("anna", Role.REPORT_ONLY)
    with pytest.raises(AccountError, match="the other role has this password"):
        office.accounts.set_password("admin", office.password_of("anna"))
    office.accounts.make("bert", Role.ADMINISTRATOR, PASSWORD)
    office.accounts.set_password("report", office.password_of("anna"))


def test_removing_an_account_ends_all_that_it_has(office: Office) -> None:
    """ACC-09, ACC-11: what ended is told to who has to log it."""
    office.make("anna")
    session_id = office.sessions.begin("anna", HERE)
    office.log_on("anna", office.password_of("anna"), HERE)
    assert [one.user for one in office.accounts.remove("anna")] == ["anna"]
    assert office.sessions.find(session_id, active=True) is None
    assert office.sessions.is_over(session_id)
    assert office.accounts.find("anna") is None
    office.make("anna")  # and the next of that name begins with nothing
    assert office.sessions.all("anna") == []
    with office.database.transaction() as connection:
        assert connection.execute("SELECT COUNT(*) FROM known_client WHERE user = 'anna'").fetchone() == (0,)


def test_the_number_of_accounts_is_bounded(office: Office) -> None:
    """ACC-11"""
    for number in range(ACCOUNTS_MAX - 2):
        office.sign_on(f"user{number}")
    with pytest.raises(AccountError, match="which is the most"):
        office.make("one-more")
    with pytest.raises(AccountError, match="which is the most"):
        office.sign_on("one-more")
    assert office.sign_on("user1") == ("user1", "")


def test_who_signs_on_gets_an_account_and_its_role_follows(office: Office) -> None:
    """ACC-11"""
    assert office.sign_on("carol") == ("carol", "made at its first sign-on: administrator")
    assert office.sign_on("carol") == ("carol", "")
    assert office.sign_on("carol", Role.REPORT_ONLY) == ("carol", "role by sign-on: report-only")
    found = office.accounts.find("carol")
    assert found is not None
    assert (found.role, found.issuer, found.has_password, found.last_logon) == (
        Role.REPORT_ONLY,
        ISSUER,
        False,
        office.clock.now,
    )
    assert office.sign_on("renamed", Role.REPORT_ONLY, subject="carol") == ("carol", "")
    with pytest.raises(AccountError, match="change its password there"):
        office.accounts.set_password("carol", "a password of her own")


def test_a_name_at_the_provider_does_not_open_an_account_here(office: Office) -> None:
    """ACC-11: who calls himself admin there is not admin here."""
    for user in ("admin", "report"):
        with pytest.raises(AccountError, match="already"):
            office.sign_on(user)
    office.sign_on("carol")
    with pytest.raises(AccountError, match="already"):
        office.sign_on("carol", subject="somebody else")
    office.enable("carol", False)
    with pytest.raises(AccountError, match="is disabled"):
        office.sign_on("carol")
    with pytest.raises(AccountError, match="is no user name"):
        office.sign_on("Carol Smith")
