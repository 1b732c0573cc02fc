"""The own account: password, second factor, sessions and tokens (ACC-05, ACC-11)."""

import math
from typing import Annotated

from msgspec import Meta

from control.accounts import AccountError, Result, totp
from control.accounts.tokens import DAY_S, DAYS_MAX, NAME_LEN
from control.actor import Scope
from control.operation import (
    Answer,
    Call,
    Conflict,
    Forbidden,
    Input,
    Invalid,
    Mistake,
    NotFound,
    Nothing,
    Refused,
    operation,
)
from control.operations import accounts
from control.operations import sessions as sessions_
from control.operations import tokens as tokens_
from control.operations.accounts import AccountEntry, Password
from control.operations.sessions import SessionKey, SessionList
from control.operations.tokens import TokenId, TokenList
from engine import events


class TooManyAttempts(Refused):
    """Wait, after passwords that were wrong."""

    status = 429


class OwnPassword(Input, frozen=True):
    """current: the password as it is; password: as it shall be."""

    current: Password
    password: Password


class PasswordAgain(Input, frozen=True):
    """current: the own password, since what follows matters."""

    current: Password


class SecondFactorSecret(Answer, frozen=True):
    """secret: to type into an authenticator; uri: for a QR code."""

    secret: str
    uri: str


class SecondFactorCode(Input, frozen=True):
    """What the authenticator shows."""

    code: Annotated[str, Meta(max_length=40)]


class RecoveryCodes(Answer, frozen=True):
    """Each is good once, in place of a code. They are not shown again."""

    codes: list[str]


class NewToken(Input, frozen=True):
    """name: what it is for. days: how long it is good."""

    name: Annotated[str, Meta(min_length=1, max_length=NAME_LEN)]
    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=len(Scope))]
    days: Annotated[int, Meta(ge=1, le=DAYS_MAX)]


class MadeToken(Answer, frozen=True):
    """token: send it as Authorization: Bearer. It is not shown again."""

    id: str
    token: str


@operation("GET", "/account", Scope.OWN)
def get(call: Call, given: Nothing) -> AccountEntry:
    """The own account."""
    return _own(call)


@operation("PUT", "/account/password", Scope.OWN, errors=(Conflict, TooManyAttempts))
def set_password(call: Call, given: OwnPassword) -> None:
    """Change the own password.

    All sessions of the account end, this one too; tokens stay.
    """
    _confirm(call, given.current)
    wait_s = call.context.entry.change_wait_s(call.actor.user)
    if wait_s > 0:
        raise TooManyAttempts(f"The password was changed often today. Wait {math.ceil(wait_s)} seconds, and try again.")
    try:
        ended = call.context.accounts.set_password(call.actor.user, given.password)
    except AccountError as error:
        raise accounts.refused(error) from None
    call.context.logged_off(ended, accounts.BY_HAND)
    call.modified(f"account {call.actor.user}", "own password changed")


@operation("POST", "/account/second-factor", Scope.OWN, errors=(Conflict, TooManyAttempts))
def begin_second_factor(call: Call, given: PasswordAgain) -> SecondFactorSecret:
    """Begin to set up a second factor.

    Nothing changes until account.confirm_second_factor proves that an authenticator has the secret.
    """
    _confirm(call, given.current)
    try:
        call.context.second_factors.begin(call.actor.user)
    except AccountError as error:
        raise Conflict(accounts.sentence(error)) from None
    call.modified(f"account {call.actor.user}", "second factor begun")
    begun = second_factor_begun(call)
    assert begun is not None
    return begun


@operation("POST", "/account/second-factor/confirm", Scope.OWN)
def confirm_second_factor(call: Call, given: SecondFactorCode) -> RecoveryCodes:
    """Finish setting up a second factor with its first code.

    A second factor that was there before is replaced, with its recovery codes.
    """
    try:
        codes = call.context.second_factors.confirm(call.actor.user, given.code)
    except AccountError as error:
        text = accounts.sentence(error)
        raise Invalid(text, (Mistake("code", text),)) from None
    call.modified(f"account {call.actor.user}", "second factor set up")
    return RecoveryCodes(codes=list(codes))


@operation("POST", "/account/second-factor/remove", Scope.OWN, errors=(Conflict, TooManyAttempts))
def remove_second_factor(call: Call, given: PasswordAgain) -> None:
    """Remove the own second factor, with its recovery codes."""
    _confirm(call, given.current)
    try:
        call.context.second_factors.remove(call.actor.user)
    except AccountError as error:
        raise Conflict(accounts.sentence(error)) from None
    call.modified(f"account {call.actor.user}", "second factor removed")


@operation("POST", "/account/second-factor/recovery-codes", Scope.OWN, errors=(Conflict, TooManyAttempts))
def new_recovery_codes(call: Call, given: PasswordAgain) -> RecoveryCodes:
    """Make new recovery codes. Those that are left are void."""
    _confirm(call, given.current)
    try:
        codes = call.context.second_factors.new_codes(call.actor.user)
    except AccountError as error:
        raise Conflict(accounts.sentence(error)) from None
    call.modified(f"account {call.actor.user}", "new recovery codes")
    return RecoveryCodes(codes=list(codes))


@operation("GET", "/account/sessions", Scope.OWN)
def sessions(call: Call, given: Nothing) -> SessionList:
    """Where the own account is logged on."""
    return sessions_.sessions_of(call, call.actor.user)


@operation("DELETE", "/account/sessions/{key}", Scope.OWN, errors=(NotFound,))
def end_session(call: Call, given: SessionKey) -> None:
    """End one of the own sessions."""
    sessions_.end_one(call, given.key, call.actor.user)


@operation("POST", "/account/sessions/end-others", Scope.OWN)
def end_other_sessions(call: Call, given: Nothing) -> None:
    """End all own sessions but this one; asked with a token, all of them."""
    ended = call.context.sessions.end_others(call.actor.key, call.actor.user)
    call.context.logged_off(ended, accounts.BY_HAND)
    call.modified(f"sessions of {call.actor.user}", f"{len(ended)} ended")


@operation("GET", "/account/tokens", Scope.OWN)
def tokens(call: Call, given: Nothing) -> TokenList:
    """The own tokens."""
    return tokens_.tokens_of(call, call.actor.user)


@operation("POST", "/account/tokens", Scope.OWN, status=201)
def make_token(call: Call, given: NewToken) -> MadeToken:
    """Make a token for a program.

    It may do what its scopes and the role of the account both allow. A token makes none that may do more than itself,
    or for longer: else one that was stolen would never end.
    """
    if call.actor.expires and call.context.clock() + given.days * DAY_S > call.actor.expires:
        raise Forbidden("A token makes none that is good for longer than itself. Say fewer days, or log on.")
    if more := sorted(set(given.scopes) - call.actor.scopes):
        raise Forbidden(f"You cannot give what you have not: {', '.join(more)}.")
    try:
        id_, token = call.context.tokens.make(call.actor.user, given.name, given.scopes, given.days)
    except AccountError as error:
        raise accounts.refused(error) from None
    how = f"made for {given.days} day{'s' if given.days > 1 else ''}: {' '.join(sorted(set(given.scopes)))}"
    call.modified(f"token {given.name} of {call.actor.user}", how)
    return MadeToken(id=id_, token=token)


@operation("DELETE", "/account/tokens/{id}", Scope.OWN, errors=(NotFound,))
def revoke_token(call: Call, given: TokenId) -> None:
    """Revoke one of the own tokens. It is refused from now on."""
    tokens_.revoke_one(call, given.id, call.actor.user)


def second_factor_begun(call: Call) -> SecondFactorSecret | None:
    """What an authenticator has to be given, while it is being set up."""
    secret = call.context.second_factors.begun(call.actor.user)
    if secret is None:
        return None
    uri = totp.uri_of(secret, call.actor.user, call.context.host())
    return SecondFactorSecret(secret=totp.text_of(secret), uri=uri)


def _own(call: Call) -> AccountEntry:
    account = call.context.accounts.find(call.actor.user)
    if account is None:
        raise Conflict("Your account was removed in the meantime.")
    return accounts.entry(account)


def _confirm(call: Call, password: str) -> None:
    """ACC-08 counts here too. Raises Invalid, Conflict, TooManyAttempts."""
    issuer = _own(call).issuer
    if issuer:
        raise Conflict(f"Your account signs on at {issuer}. Change its password and second factor there.")
    user, client = call.actor.user, call.actor.client
    attempt = call.context.entry.confirm(user, password, client)
    if attempt.result is Result.WAIT:
        raise TooManyAttempts(f"Too many attempts have failed. Wait {attempt.wait_s:.0f} seconds, and try again.")
    if attempt.result is not Result.WELCOME:
        call.context.event(events.Logon(result="Failed", user=user, client=client, failures=attempt.failures))
        text = "This is not your current password. Check that Caps Lock is off, and try again."
        raise Invalid(text, (Mistake("current", text),))
