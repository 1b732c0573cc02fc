"""The accounts of others, for administrators: who there is, and with which role (ACC-01..05, ACC-11)."""

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from control.accounts import Account, AccountError, Overtaken
from control.accounts.directory import NAME_LEN, USER_LEN
from control.actor import Role, Scope
from control.operation import Answer, Call, Conflict, Input, Invalid, Mistake, NotFound, Nothing, Stale, operation
from engine.passwords import PASSWORD_MAX_LEN

User = Annotated[str, Meta(max_length=USER_LEN)]
Words = Annotated[str, Meta(max_length=NAME_LEN)]
Email = Annotated[str, Meta(max_length=320)]
Password = Annotated[str, Meta(max_length=PASSWORD_MAX_LEN)]
BY_HAND = "ended"  # the reason of a logoff


class AccountEntry(Answer, frozen=True):
    """issuer: whose sign-on opens it; empty for a password. last_logon: seconds since 1970, 0 for never."""

    user: str
    role: Role
    name: str
    email: str
    enabled: bool
    built_in: bool
    has_password: bool
    second_factor: bool
    recovery_codes: int
    issuer: str
    last_logon: int
    etag: str


class AccountList(Answer, frozen=True):
    """The built-in accounts first."""

    accounts: list[AccountEntry]


class AccountName(Input, frozen=True):
    """Which account."""

    user: User


class NewAccount(Input, frozen=True):
    """name, email: of the person."""

    user: User
    role: Role
    password: Password
    name: Words = ""
    email: Email = ""


class AccountChange(Input, frozen=True):
    """What is left out stays as it is."""

    user: User
    role: Role | UnsetType = UNSET
    name: Words | UnsetType = UNSET
    email: Email | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    if_match: str = ""


class AccountPassword(Input, frozen=True):
    """A new password for somebody else."""

    user: User
    password: Password


@operation("GET", "/accounts", Scope.ACCOUNTS)
def list_(call: Call, given: Nothing) -> AccountList:
    """All accounts."""
    return AccountList(accounts=[entry(account) for account in call.context.accounts.all()])


@operation("GET", "/accounts/{user}", Scope.ACCOUNTS, errors=(NotFound,))
def get(call: Call, given: AccountName) -> AccountEntry:
    """One account."""
    return entry(_existing(call, given.user))


@operation("POST", "/accounts", Scope.ACCOUNTS_WRITE, status=201)
def make(call: Call, given: NewAccount) -> AccountEntry:
    """Make an account.

    It is enabled at once. Who may do this can give himself any right.
    """
    try:
        call.context.accounts.make(given.user, given.role, given.password, given.name, given.email)
    except AccountError as error:
        raise refused(error) from None
    call.modified(f"account {given.user}", f"made: {given.role}")
    return entry(_existing(call, given.user))


@operation("PATCH", "/accounts/{user}", Scope.ACCOUNTS_WRITE, errors=(NotFound, Conflict, Stale))
def change(call: Call, given: AccountChange) -> AccountEntry:
    """Change role, name or mail address of an account, enable or disable it.

    Disabling ends its sessions; its tokens rest meanwhile. Nobody changes the role of his own account or disables it.
    """
    account = _existing(call, given.user)
    if given.if_match and given.if_match != account.etag:
        raise Stale(f"The account {account.user} was changed in the meantime. Look at it again.")
    wanted = {
        name: getattr(given, name)
        for name in ("role", "name", "email", "enabled")
        if getattr(given, name) is not UNSET and getattr(given, name) != getattr(account, name)
    }
    if account.user == call.actor.user and wanted.keys() & {"role", "enabled"}:
        raise Conflict("This is your own account. Ask another administrator to change its role or to disable it.")
    try:
        ended = call.context.accounts.change(account, **wanted)
    except Overtaken as error:
        raise Stale(sentence(error)) from None
    except AccountError as error:
        raise refused(error) from None
    call.context.logged_off(ended, BY_HAND)
    if wanted:
        call.modified(f"account {account.user}", "; ".join(_told(name, value) for name, value in wanted.items()))
    return entry(_existing(call, account.user))


@operation("DELETE", "/accounts/{user}", Scope.ACCOUNTS_WRITE, errors=(NotFound, Conflict))
def remove(call: Call, given: AccountName) -> None:
    """Remove an account with its sessions and tokens.

    The built-in accounts stay, and so does the own one.
    """
    account = _existing(call, given.user)
    if account.user == call.actor.user:
        raise Conflict("This is your own account. Ask another administrator to remove it.")
    try:
        ended = call.context.accounts.remove(account.user)
    except AccountError as error:
        raise Conflict(sentence(error)) from None
    call.context.logged_off(ended, BY_HAND)
    call.modified(f"account {account.user}", "removed")


@operation("PUT", "/accounts/{user}/password", Scope.ACCOUNTS_WRITE, errors=(NotFound, Conflict))
def set_password(call: Call, given: AccountPassword) -> None:
    """Give an account another password.

    Its sessions end. The own password is changed by account.set_password, which asks for the current one.
    """
    account = _existing(call, given.user)
    if account.user == call.actor.user:
        raise Conflict("This is your own account. Change its password under My account.")
    try:
        ended = call.context.accounts.set_password(account.user, given.password)
    except AccountError as error:
        raise refused(error) from None
    call.context.logged_off(ended, BY_HAND)
    call.modified(f"account {account.user}", "password set")


@operation("DELETE", "/accounts/{user}/second-factor", Scope.ACCOUNTS_WRITE, errors=(NotFound, Conflict))
def remove_second_factor(call: Call, given: AccountName) -> None:
    """Take the second factor off an account, for somebody who has lost authenticator and recovery codes.

    The own one is removed by account.remove_second_factor, which asks for the password.
    """
    account = _existing(call, given.user)
    if account.user == call.actor.user:
        raise Conflict("This is your own account. Remove its second factor under My account.")
    try:
        call.context.second_factors.remove(account.user)
    except AccountError as error:
        raise Conflict(sentence(error)) from None
    call.modified(f"account {account.user}", "second factor removed")


def entry(account: Account) -> AccountEntry:
    return AccountEntry(
        user=account.user,
        role=account.role,
        name=account.name,
        email=account.email,
        enabled=account.enabled,
        built_in=account.built_in,
        has_password=account.has_password,
        second_factor=account.second_factor,
        recovery_codes=account.recovery_codes,
        issuer=account.issuer,
        last_logon=int(account.last_logon),
        etag=account.etag,
    )


def sentence(error: AccountError) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."


def refused(error: AccountError) -> Invalid:
    text = sentence(error)
    return Invalid(text, (Mistake(error.place, text),) if error.place else ())


def _existing(call: Call, user: str) -> Account:
    account = call.context.accounts.find(user)
    if account is None:
        raise NotFound(f"There is no account {user!r}. It may have been removed.")
    return account


def _told(name: str, value: object) -> str:
    if name == "enabled":
        return "enabled" if value else "disabled"
    return f"{name}: {value or 'none'}"
