"""The API against its description: whatever is sent, what comes back is described there (HTTP-08)."""

import time
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import content_type_conformance
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from control import operation
from control.access import AccessDatabase
from control.accounts.tokens import Tokens
from control.actor import Scope
from control.api.openapi import description
from control.app import routes
from tests.control import hostile
from tests.control.harness import PATIENCE_S, Gateway

EXAMPLES: Final = 8  # of each operation
KNOWN: Final = {"id": hostile.IDS[1], "smtp_id": hostile.IDS[1], "user": "admin"}  # chance finds nothing that is there
CHECKS: Final = [
    status_code_conformance, content_type_conformance, response_headers_conformance, response_schema_conformance
]  # fmt: skip

assert routes()  # importing it has declared every operation
SCHEMA: Final = schemathesis.openapi.from_dict(msgspec.json.decode(description()))
FOUND: Final = list(SCHEMA.get_all_operations())
OPERATIONS: Final = {found.ok().label: found.ok() for found in FOUND if isinstance(found, Ok)}


@pytest.fixture(scope="module")
def http() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


@pytest.fixture
def token(filled: Gateway) -> Iterator[dict[str, str]]:
    """Made anew for each operation: one before may have taken it away."""
    database = AccessDatabase(filled.root)
    try:
        _, secret = Tokens(database, time.time).make("admin", f"test {time.time_ns()}", Scope, 1)
        yield {"authorization": f"Bearer {secret}"}
        with database.transaction() as connection:
            connection.execute("DELETE FROM token")
    finally:
        database.close()


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
@pytest.mark.parametrize("name", OPERATIONS)
def test_answers_are_as_described(name: str, filled: Gateway, http: requests.Session, token: dict[str, str]) -> None:
    """HTTP-08: no answer that is not described, nor of another form. 503 is one: no relay runs here."""
    modes = [OPERATIONS[name].as_strategy(generation_mode=mode) for mode in GenerationMode]

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.one_of(modes))
    def check(case: Case[Any]) -> None:
        ask(case, filled, http, token)
        known = {name: KNOWN[name] for name in case.path_parameters if name in KNOWN}
        if case.method == "GET" and known:
            case.path_parameters.update(known)
            ask(case, filled, http, token)

    check()


def ask(case: Case[Any], gateway: Gateway, http: requests.Session, token: dict[str, str]) -> None:
    response = case.call(
        base_url=f"{gateway.url}/api/v1", session=http, headers=token, timeout=PATIENCE_S, verify=False
    )
    assert response.status_code in (503, *range(500)), response.text
    case.validate_response(response, checks=CHECKS)


def test_every_operation_is_asked() -> None:
    assert len(OPERATIONS) == len(FOUND) == len(operation.OPERATIONS)
