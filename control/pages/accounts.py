"""Configuration, Accounts: who may enter, who is logged on, which programs have tokens (ACC-01..05, ACC-11)."""

from typing import Any, Final

from starlette.responses import Response

from control.actor import Role, Scope
from control.operation import Invalid, Mistake, Nothing, Stale
from control.operations import accounts as operations
from control.operations import sessions, tokens
from control.page import Visit, form, page

HOME: Final = "/configuration/accounts"


def show(visit: Visit) -> Response:
    return visit.render(
        "accounts/all.html",
        accounts=operations.list_(visit.call, Nothing()).accounts,
        sessions=sessions.list_(visit.call, Nothing()).sessions,
        tokens=tokens.list_(visit.call, Nothing()).tokens,
    )


def show_new(visit: Visit) -> Response:
    return _new(visit, None)


def make(visit: Visit) -> Response:
    fields = visit.fields
    try:
        password = new_password(visit)
        made = operations.make(
            visit.call,
            operations.NewAccount(
                user=fields.get("user").strip(),
                role=_role(fields.get("role")),
                password=password,
                name=fields.get("name").strip(),
                email=fields.get("email").strip(),
            ),
        )
    except Invalid as error:
        return _new(visit, error)
    return visit.done(HOME, f"The account {made.user} is there and may log on.")


def _new(visit: Visit, error: Invalid | None) -> Response:
    values = {name: visit.fields.get(name) for name in ("user", "role", "name", "email")}
    return visit.render("accounts/new.html", status_of(error), values=values, **what_is_wrong(error))


def show_one(visit: Visit) -> Response:
    return _one(visit, visit.query("user"), None)


def _one(visit: Visit, user: str, error: Invalid | None) -> Response:
    account = operations.get(visit.call, operations.AccountName(user=user))
    values: dict[str, Any] = {"role": account.role, "name": account.name, "email": account.email}
    values |= {name: visit.fields.get(name) for name in values if name in visit.fields}
    values["enabled"] = visit.fields.get("enabled") == "yes" if "enabled" in visit.fields else account.enabled
    own = account.user == visit.actor.user
    page = {"account": account, "own": own, "values": values, **what_is_wrong(error)}
    return visit.render("accounts/one.html", status_of(error), **page)


def change(visit: Visit) -> Response:
    fields, user = visit.fields, visit.fields.get("user")
    optional: dict[str, Any] = {}
    if "role" in fields:
        optional["role"] = _role(fields.get("role"))
    if "enabled" in fields:
        optional["enabled"] = fields.get("enabled") == "yes"
    name, email = fields.get("name").strip(), fields.get("email").strip()
    wanted = operations.AccountChange(user=user, name=name, email=email, if_match=fields.get("etag"), **optional)
    try:
        operations.change(visit.call, wanted)
    except (Invalid, Stale) as error:
        return _one(visit, user, error if isinstance(error, Invalid) else Invalid(error.text))
    return visit.done(HOME, f"The account {user} is saved.")


def set_password(visit: Visit) -> Response:
    user = visit.fields.get("user")
    try:
        password = new_password(visit)
        operations.set_password(visit.call, operations.AccountPassword(user=user, password=password))
    except Invalid as error:
        return _one(visit, user, error)
    return visit.done(f"{HOME}/account", f"The password of {user} is set.", user=user)


def remove_second_factor(visit: Visit) -> Response:
    user = visit.fields.get("user")
    if not visit.confirmed:
        text = f"{user} will then log on with the password alone. Be sure that it is {user} who asks for it."
        return visit.confirm("Take the second factor off?", text, "Take it off", f"{HOME}/account?user={user}")
    operations.remove_second_factor(visit.call, operations.AccountName(user=user))
    return visit.done(f"{HOME}/account", f"The second factor of {user} is off.", user=user)


def remove(visit: Visit) -> Response:
    user = visit.fields.get("user")
    if not visit.confirmed:
        text = f"The account {user} goes for good, and its sessions and tokens end at once."
        return visit.confirm("Remove this account?", text, "Remove it", f"{HOME}/account?user={user}")
    operations.remove(visit.call, operations.AccountName(user=user))
    return visit.done(HOME, f"The account {user} is removed.")


def end_session(visit: Visit) -> Response:
    sessions.end(visit.call, sessions.SessionKey(key=visit.fields.get("key")))
    return visit.done(HOME, "The session is ended.")


def revoke_token(visit: Visit) -> Response:
    if not visit.confirmed:
        text = f"The program that uses “{visit.fields.get('name')}” is refused from then on."
        return visit.confirm("Revoke this token?", text, "Revoke it", HOME)
    tokens.revoke(visit.call, tokens.TokenId(id=visit.fields.get("id")))
    return visit.done(HOME, "The token is revoked.")


def new_password(visit: Visit) -> str:
    """ACC-05: typed twice. Raises Invalid."""
    password = visit.fields.get("password")
    if password != visit.fields.get("again"):
        text = "The two are not the same. Type the new password twice."
        raise Invalid(text, (Mistake("again", text),))
    return password


def what_is_wrong(error: Invalid | None) -> dict[str, Any]:
    """For a form: what is the matter with which field, and a message where no field is to blame."""
    wrong = {mistake.place: mistake.text for mistake in error.mistakes} if error else {}
    return {"wrong": wrong, "message": error.text if error and not wrong else ""}


def status_of(error: Invalid | None) -> int:
    return error.status if error else 200


def _role(text: str) -> Role:
    try:
        return Role(text)
    except ValueError:
        raise Invalid("Choose a role.", (Mistake("role", "Choose one of the two."),)) from None


routes: Final = [
    page(HOME, Scope.ACCOUNTS, show),
    page(f"{HOME}/new", Scope.ACCOUNTS_WRITE, show_new),
    form(f"{HOME}/new", Scope.ACCOUNTS_WRITE, make),
    page(f"{HOME}/account", Scope.ACCOUNTS, show_one),
    form(f"{HOME}/change", Scope.ACCOUNTS_WRITE, change),
    form(f"{HOME}/password", Scope.ACCOUNTS_WRITE, set_password),
    form(f"{HOME}/second-factor", Scope.ACCOUNTS_WRITE, remove_second_factor),
    form(f"{HOME}/remove", Scope.ACCOUNTS_WRITE, remove),
    form(f"{HOME}/sessions/end", Scope.ACCOUNTS_WRITE, end_session),
    form(f"{HOME}/tokens/revoke", Scope.ACCOUNTS_WRITE, revoke_token),
]
