"""A route for each operation: authentication, input, answer, and errors as RFC 9457 describes them."""

import secrets
from collections.abc import Callable
from typing import Any, Final

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import control.operations as _declared
from control.actor import Actor, Scope
from control.api.openapi import description
from control.api.problem import problem
from control.authentication import actor_of, has_ended, session_id_of, unauthorized
from control.form import read_body
from control.operation import OPERATIONS, Call, Download, Mistake, Operation, Refused
from control.page import download
from control.sessions import form_token
from control.web import context_of

assert _declared  # importing it has filled OPERATIONS

PREFIX: Final = "/api/v1"
TOKEN_HEADER: Final = "x-mailward-token"
QUERY_LEN: Final = 4096  # octets of the query of an address


class ApiRoute(Route):
    """A test goes over all of them with every role and scope."""

    scope: Scope | None


def routes() -> list[Route]:
    found: list[Route] = [_described()]
    # Fixed paths before those with a field in their place.
    for one in sorted(OPERATIONS.values(), key=lambda one: (one.path.replace("{", "~"), one.method)):
        route = ApiRoute(PREFIX + one.path, _endpoint(one), methods=[one.method])
        route.scope = one.scope
        found.append(route)
    return found


def _described() -> ApiRoute:
    async def endpoint(request: Request) -> Response:
        return Response(description(), media_type="application/json")

    route = ApiRoute(f"{PREFIX}/openapi.json", endpoint, methods=["GET"])
    route.scope = None
    return route


def _endpoint(one: Operation) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        actor = await run_in_threadpool(_admit, request, one)
        if isinstance(actor, Response):
            return actor
        body = b""
        if one.has_body:
            try:
                body = await read_body(request, one.body_len)
            except HTTPException as error:
                return problem(error.status_code, error.detail)
        return await run_in_threadpool(_answer, request, one, actor, body)

    return endpoint


def _admit(request: Request, one: Operation) -> Actor | Response:
    actor = actor_of(request, active=False)
    if actor is None:
        if not has_ended(request):
            unauthorized(request, "")
        answer = problem(401, "Send a token, as Authorization: Bearer, or log on with a browser.")
        answer.headers["www-authenticate"] = "Bearer"
        return answer
    if not actor.may(one.scope):
        unauthorized(request, actor.user)
        return problem(403, f"This account or token has not the right {one.scope}.")
    if actor.session and one.changes and not _from_our_page(request):
        context_of(request).http_violation(actor.client, f"{request.url.path}: without the token of its page")
        return problem(403, "With a browser's session, what changes something needs the token of its page.")
    return actor


def _from_our_page(request: Request) -> bool:
    expected = form_token(session_id_of(request))
    return secrets.compare_digest(request.headers.get(TOKEN_HEADER, "").encode(), expected.encode())


def _answer(request: Request, one: Operation, actor: Actor, body: bytes) -> Response:
    try:
        given = _input(request, one, body)
        answer = one.run(Call(context_of(request), actor), given)
    except Refused as error:
        return problem(error.status, error.text, error.mistakes)
    except msgspec.ValidationError as error:
        text, _, place = str(error).partition(" - at `$")
        return problem(422, f"The input is not valid: {text}.", (Mistake(place.strip(".`"), text),))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return problem(400, f"The body is not JSON: {error}.")
    if answer is None:
        return Response(status_code=204)
    if isinstance(answer, Download):
        return download(answer)
    response = Response(msgspec.json.encode(answer), one.status, media_type="application/json")
    if hasattr(answer, "etag"):
        response.headers["etag"] = f'"{answer.etag}"'
    return response


def _input(request: Request, one: Operation, body: bytes) -> Any:
    fields = {field.name: field for field in msgspec.structs.fields(one.given)}
    values: dict[str, Any] = {}
    if one.has_body:
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            raise _NotJson("Send the input as application/json.")
        values = _decoded(body)
        for name in one.path_fields & values.keys():
            raise msgspec.ValidationError(f"{name} belongs in the address, not in the body")
    else:
        values = _query(request, fields)
    for name in one.path_fields:
        values[name] = msgspec.convert(request.path_params[name], fields[name].type, strict=False)
    if "if_match" in fields:
        values["if_match"] = request.headers.get("if-match", "").strip().removeprefix("W/").strip('"')
    return msgspec.convert(values, one.given)


def _query(request: Request, fields: dict[str, msgspec.structs.FieldInfo]) -> dict[str, Any]:
    if len(request.url.query) > QUERY_LEN:
        raise msgspec.ValidationError("The query of the address is too long")
    values: dict[str, Any] = {}
    for name in request.query_params:
        if name not in fields:
            raise msgspec.ValidationError(f"Object contains unknown field `{name}`")
        many = request.query_params.getlist(name)
        try:
            values[name] = msgspec.convert(many, fields[name].type, strict=False)
        except msgspec.ValidationError:
            values[name] = msgspec.convert(many[-1], fields[name].type, strict=False)
    return values


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except RecursionError:
        raise msgspec.DecodeError("it is nested too deeply") from None


class _NotJson(Refused):
    status = 415
