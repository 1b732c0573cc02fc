"""What keeps sign-on at a provider from coming into force."""

from typing import Any

import pytest

from engine.config import Oidc, Settings, Web
from engine.config.checks import problems

GOOD: dict[str, Any] = {
    "enabled": True,
    "issuer": "https://id.example.org/realms/one",
    "client_id": "mailward",
    "administrators": ("postmasters",),
}


def wrong(**changed: Any) -> list[str]:
    return [str(one) for one in problems(Settings(web=Web(oidc=Oidc(**GOOD | changed))))]


def test_what_is_good() -> None:
    """ACC-11: and while it is off nothing has to be filled in."""
    assert wrong() == []
    assert wrong(administrators=(), report_only=("auditors",)) == []
    assert problems(Settings()) == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"issuer": ""}, "web.oidc.issuer"),
        ({"issuer": "http://id.example.org"}, "begins with https://"),
        ({"issuer": "http://id.example.org", "enabled": False}, "begins with https://"),
        ({"client_id": ""}, "web.oidc.client_id is empty"),
        ({"user_claim": ""}, "web.oidc.user_claim is empty"),
        ({"role_claim": ""}, "web.oidc.role_claim is empty"),
        ({"administrators": ()}, "web.oidc.administrators is empty: name a value of groups"),
        ({"label": "two\nlines"}, "web.oidc.label"),
    ],
)
def test_each_mistake_has_its_remedy(changed: dict[str, Any], words: str) -> None:
    """ACC-11"""
    (problem,) = wrong(**changed)
    assert words in problem
