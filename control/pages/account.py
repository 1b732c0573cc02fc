"""My account: password, second factor, sessions and tokens of whoever is logged on (ACC-05, ACC-11)."""

from collections.abc import Callable
from typing import Any, Final

from starlette.responses import Response

from control.accounts import totp
from control.actor import Scope
from control.operation import Invalid, Mistake, Nothing
from control.operations import account as operations
from control.operations.account import TooManyAttempts
from control.operations.sessions import SessionKey
from control.operations.tokens import TokenId
from control.page import Visit, form, page
from control.pages.accounts import new_password, status_of, what_is_wrong
from control.web import see_other

HOME: Final = "/account"
DAYS: Final = "90"
SCOPES: Final = {
    Scope.STATUS: "see the status and its figures",
    Scope.REPORTS: "see reports",
    Scope.REPORTS_WRITE: "save and schedule reports",
    Scope.QUEUES: "see the queues",
    Scope.QUEUES_WRITE: "act on queued mail",
    Scope.MESSAGES: "see who wrote to whom, and what became of it",
    Scope.CONTENT: "read queued mail",
    Scope.SETTINGS: "see the settings",
    Scope.SETTINGS_WRITE: "change the settings",
    Scope.DEFINITIONS: "see the definitions",
    Scope.DEFINITIONS_WRITE: "change the definitions",
    Scope.QUARANTINE: "see which files are in quarantine",
    Scope.QUARANTINE_WRITE: "release, take out and delete files of the quarantine",
    Scope.CERTIFICATES: "see certificates",
    Scope.CERTIFICATES_WRITE: "change certificates",
    Scope.ACCOUNTS: "see accounts, sessions and tokens",
    Scope.ACCOUNTS_WRITE: "change accounts, which is as good as everything",
    Scope.DIAGNOSTICS: "see diagnostics",
    Scope.DIAGNOSTICS_WRITE: "change diagnostics",
    Scope.OWN: "change this account",
}


def show(visit: Visit) -> Response:
    return _show(visit, "", None)


def _show(visit: Visit, part: str, error: Invalid | None) -> Response:
    """part: of the page, where the error is."""
    fields = visit.fields
    values = {"name": fields.get("name"), "days": fields.get("days", DAYS), "scopes": fields.all("scopes")}
    return visit.render(
        "account/own.html",
        status_of(error),
        account=operations.get(visit.call, Nothing()),
        sessions=operations.sessions(visit.call, Nothing()).sessions,
        tokens=operations.tokens(visit.call, Nothing()).tokens,
        scopes=[(scope, words) for scope, words in SCOPES.items() if visit.actor.may(scope)],
        values=values,
        part=part,
        **what_is_wrong(error),
    )


def set_password(visit: Visit) -> Response:
    try:
        password = new_password(visit)
        given = operations.OwnPassword(current=visit.fields.get("current"), password=password)
        operations.set_password(visit.call, given)
    except (Invalid, TooManyAttempts) as error:
        return _show(visit, "password", _as_invalid(error, "current"))
    return see_other("/logon", why="password")


def begin_second_factor(visit: Visit) -> Response:
    return _after_password(visit, operations.begin_second_factor, lambda begun: see_other(f"{HOME}/second-factor"))


def show_second_factor(visit: Visit) -> Response:
    return _second_factor(visit, None)


def _second_factor(visit: Visit, error: Invalid | None) -> Response:
    begun = operations.second_factor_begun(visit.call)
    if begun is None:
        return see_other(HOME)
    drawing = totp.qr_code(begun.uri)
    page = {"secret": begun.secret, "drawing": drawing, **what_is_wrong(error)}
    return visit.render("account/second_factor.html", status_of(error), **page)


def confirm_second_factor(visit: Visit) -> Response:
    try:
        given = operations.SecondFactorCode(code=visit.fields.get("code"))
        codes = operations.confirm_second_factor(visit.call, given)
    except Invalid as error:
        return _second_factor(visit, error)
    return visit.render("account/codes.html", codes=codes.codes, done="The second factor is on.")


def remove_second_factor(visit: Visit) -> Response:
    done = "The second factor is off: your password alone lets you in."
    return _after_password(visit, operations.remove_second_factor, lambda _: visit.done(HOME, done))


def new_codes(visit: Visit) -> Response:
    def shown(made: operations.RecoveryCodes) -> Response:
        return visit.render("account/codes.html", codes=made.codes, done="The codes from before are void.")

    return _after_password(visit, operations.new_recovery_codes, shown)


def _after_password(visit: Visit, run: Callable[..., Any], then: Callable[[Any], Response]) -> Response:
    try:
        answer = run(visit.call, operations.PasswordAgain(current=visit.fields.get("current")))
    except (Invalid, TooManyAttempts) as error:
        return _show(visit, "factor", _as_invalid(error, "current"))
    return then(answer)


def _as_invalid(error: Invalid | TooManyAttempts, place: str) -> Invalid:
    if isinstance(error, Invalid):
        return error
    return Invalid(error.text, (Mistake(place, error.text),))


def end_session(visit: Visit) -> Response:
    operations.end_session(visit.call, SessionKey(key=visit.fields.get("key")))
    return visit.done(HOME, "The session is ended.")


def end_others(visit: Visit) -> Response:
    operations.end_other_sessions(visit.call, Nothing())
    return visit.done(HOME, "You are logged on here only.")


def make_token(visit: Visit) -> Response:
    fields = visit.fields
    scopes = [scope for scope in Scope if scope in fields.all("scopes")]
    try:
        if not scopes:
            raise Invalid("", (Mistake("scopes", "Choose at least one."),))
        made = operations.make_token(
            visit.call, operations.NewToken(name=fields.get("name").strip(), scopes=scopes, days=_days(visit))
        )
    except Invalid as error:
        return _show(visit, "token", error)
    return visit.render("account/token.html", secret=made.token, name=fields.get("name").strip())


def _days(visit: Visit) -> int:
    text = visit.fields.get("days").strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 4):
        raise Invalid("", (Mistake("days", "Write a number of days."),))
    return int(text)


def revoke_token(visit: Visit) -> Response:
    if not visit.confirmed:
        text = f"The program that uses “{visit.fields.get('name')}” is refused from then on."
        return visit.confirm("Revoke this token?", text, "Revoke it", HOME)
    operations.revoke_token(visit.call, TokenId(id=visit.fields.get("id")))
    return visit.done(HOME, "The token is revoked.")


routes: Final = [
    page(HOME, Scope.OWN, show),
    form(f"{HOME}/password", Scope.OWN, set_password),
    page(f"{HOME}/second-factor", Scope.OWN, show_second_factor),
    form(f"{HOME}/second-factor/begin", Scope.OWN, begin_second_factor),
    form(f"{HOME}/second-factor/confirm", Scope.OWN, confirm_second_factor),
    form(f"{HOME}/second-factor/remove", Scope.OWN, remove_second_factor),
    form(f"{HOME}/second-factor/codes", Scope.OWN, new_codes),
    form(f"{HOME}/sessions/end", Scope.OWN, end_session),
    form(f"{HOME}/sessions/end-others", Scope.OWN, end_others),
    form(f"{HOME}/tokens/make", Scope.OWN, make_token),
    form(f"{HOME}/tokens/revoke", Scope.OWN, revoke_token),
]
