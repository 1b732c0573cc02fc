"""The description of the API: made from the operations' types, so that it cannot be out of date."""

import functools
from typing import Any, Final

import msgspec

import engine
from control.actor import Scope
from control.operation import OPERATIONS, Download, Mistake, Operation

_REFERENCE: Final = "#/components/schemas/{name}"
_ALWAYS: Final = {400: "Not understood", 401: "No session and no token", 403: "Not allowed", 422: "Not valid"}


@functools.cache
def description() -> bytes:
    """OpenAPI 3.1, as JSON."""
    return msgspec.json.format(msgspec.json.encode(_document()), indent=1)


def _document() -> dict[str, Any]:
    operations = sorted(OPERATIONS.values(), key=lambda one: (one.path, one.method))
    answers = [one.answer for one in operations if _is_json(one.answer)]
    bodies = [one.given for one in operations if one.has_body]
    _, schemas = msgspec.json.schema_components([*answers, *bodies, Mistake], ref_template=_REFERENCE)
    for one in operations:
        if one.has_body:
            _without_path(schemas[one.given.__name__], one)
    paths: dict[str, Any] = {}
    for one in operations:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Mailward", "version": engine.VERSION, "description": _INTRODUCTION},
        "servers": [{"url": "/api/v1"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas | {"Problem": _PROBLEM},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": _TOKENS}},
        },
    }


def _is_json(answer: Any) -> bool:
    return answer is not type(None) and answer is not Download


def _without_path(schema: dict[str, Any], one: Operation) -> None:
    """What is in the address or in a header field is not in the body."""
    for name in (*one.path_fields, "if_match"):
        schema["properties"].pop(name, None)
        if name in schema.get("required", ()):
            schema["required"].remove(name)


def _operation(one: Operation) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": one.id,
        "tags": [one.id.partition(".")[0]],
        "summary": one.summary,
        "description": f"{one.description} Needs the right `{one.scope}`.".strip(),
        "parameters": _parameters(one),
        "responses": _responses(one),
    }
    if one.has_body:
        schema = {"$ref": _REFERENCE.format(name=one.given.__name__)}
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return found


def _parameters(one: Operation) -> list[dict[str, Any]]:
    found = []
    (_, schemas) = msgspec.json.schema_components([one.given], ref_template=_REFERENCE)
    properties = schemas[one.given.__name__]["properties"]
    required = schemas[one.given.__name__].get("required", [])
    for name, schema in properties.items():
        if name == "if_match":
            etag = {"type": "string", "pattern": '^"[!-~]*"$'}
            found.append({"name": "If-Match", "in": "header", "required": False, "schema": etag})
        elif name in one.path_fields:
            found.append({"name": name, "in": "path", "required": True, "schema": schema})
        elif not one.has_body:
            found.append({"name": name, "in": "query", "required": name in required, "schema": schema})
    return found


def _responses(one: Operation) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if one.answer is type(None):
        found["204"] = {"description": "Done"}
    elif one.answer is Download:
        binary = {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}
        found[str(one.status)] = {"description": "The file", "content": {"*/*": binary}}
    else:
        (schema,), _ = msgspec.json.schema_components([one.answer], ref_template=_REFERENCE)
        found[str(one.status)] = {"description": "Done", "content": {"application/json": {"schema": schema}}}
    problem = {"application/problem+json": {"schema": {"$ref": _REFERENCE.format(name="Problem")}}}
    wrong = dict(_ALWAYS)
    if one.has_body:
        wrong |= {408: "The body did not arrive in time", 413: "Too large", 415: "Not JSON"}
    wrong |= {error.status: (error.__doc__ or error.__name__).strip().partition("\n")[0] for error in one.errors}
    for status, text in sorted(wrong.items()):
        found[str(status)] = {"description": text, "content": problem}
    return found


_PROBLEM: Final = {
    "title": "Problem",
    "description": "What is wrong, as RFC 9457 writes it.",
    "type": "object",
    "required": ["title", "status", "detail"],
    "properties": {
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {"type": "array", "items": {"$ref": _REFERENCE.format(name="Mistake")}},
    },
}
_INTRODUCTION: Final = (
    "Everything that the pages show and do. An answer with an ETag may be changed with If-Match: who was overtaken by"
    " somebody else gets 412 and nothing is changed. Errors are application/problem+json."
)
_TOKENS: Final = "A token made on the page My account. Its rights are some of: " + ", ".join(Scope) + "."
