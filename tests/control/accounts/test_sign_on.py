"""Sign-on at an identity provider on loopback: the whole way, and every lie that a token may tell."""

import base64
import hmac
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from control.accounts import provider as rooms
from control.accounts import sign_on
from control.accounts.sign_on import BEGUN_PER_CLIENT, PATIENCE_S, SignOn
from control.accounts.sign_on_error import SignOnError
from control.actor import Role
from engine.certificate import self_signed
from engine.config import Oidc
from tests.control.accounts.office import HERE, THERE, Clock, Office
from tests.control.accounts.provider import CLIENT, SECRET, Provider

BACK = "https://mx.example.org:8043/logon/sign-on/back"


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("provider") / "provider.pem"
    path.write_bytes(self_signed(["127.0.0.1"]))
    return path


@pytest.fixture(scope="module")
def running(pem: Path) -> Iterator[Provider]:
    made = Provider(pem)
    yield made
    made.close()


@pytest.fixture
def provider(running: Provider) -> Provider:
    running.as_at_first()
    running.user["name"] = "Carol"
    return running


class Desk:
    """One installation, with a real clock since tokens have real times; `clock.now` moves it."""

    def __init__(self, root: Path, provider: Provider, pem: Path) -> None:
        (root / "secret").write_text(f"{SECRET}\n")
        self.office = Office(root)
        self.office.clock.now = time.time()
        self.clock: Clock = self.office.clock
        self.provider = provider
        self.settings = Oidc(
            enabled=True,
            issuer=provider.issuer,
            client_id=CLIENT,
            client_secret_file="secret",
            administrators=("postmasters",),
            report_only=("auditors", "helpdesk"),
            authorities=str(pem),
        )
        self.sign_on = SignOn(self.office.database, self.clock, lambda: self.settings, root)

    def begin(self, client: str = HERE) -> tuple[str, str]:
        return self.sign_on.begin(BACK, "/events", client)

    def come_back(self, address: str, state: str, **changed: str) -> tuple[sign_on.Identity, str]:
        query = parse_qs(urlsplit(self.provider.authorize(address)).query)
        return self.sign_on.finish(state, {name: values[0] for name, values in query.items()} | changed)

    def go_there_and_back(self) -> sign_on.Identity:
        identity, page = self.come_back(*self.begin())
        assert page == "/events"
        return identity

    def change(self, **settings: Any) -> None:
        self.settings = msgspec.structs.replace(self.settings, **settings)


@pytest.fixture
def desk(tmp_path: Path, provider: Provider, pem: Path) -> Iterator[Desk]:
    made = Desk(tmp_path, provider, pem)
    yield made
    made.office.database.close()


def test_there_and_back(desk: Desk, provider: Provider) -> None:
    """ACC-11"""
    identity = desk.go_there_and_back()
    assert identity == sign_on.Identity(provider.issuer, "1234", "carol", Role.ADMINISTRATOR, "Carol", "")
    desk.go_there_and_back()
    assert provider.asked == ["/.well-known/openid-configuration", "/keys", "/token", "/token"]


def test_where_the_browser_is_sent(desk: Desk, provider: Provider) -> None:
    """ACC-11: PKCE with S256 (the pair is that of RFC 7636 appendix B), and state and nonce that nobody can guess."""
    verifier, expected = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    assert sign_on.challenge(verifier) == expected
    asked = [parse_qs(urlsplit(desk.begin()[0]).query) for _ in range(2)]
    for name in ("state", "nonce", "code_challenge"):
        first, second = (one[name][0] for one in asked)
        assert first != second
        assert len(first) >= 43
    assert asked[0]["redirect_uri"] == [BACK]
    assert asked[0]["scope"] == ["openid profile email"]


@pytest.mark.parametrize(
    ("groups", "role"),
    [
        (["postmasters", "auditors"], Role.ADMINISTRATOR),
        (["helpdesk"], Role.REPORT_ONLY),
        ("auditors", Role.REPORT_ONLY),
        (["staff"], None),
        ([], None),
        (None, None),
        ({"postmasters": True}, None),
        ([["postmasters"], 1], None),
    ],
)
def test_the_claim_says_the_role(desk: Desk, provider: Provider, groups: object, role: Role | None) -> None:
    """ACC-02, ACC-11: who has none of the values stays out."""
    provider.claims = {"groups": groups}
    if role is None:
        with pytest.raises(SignOnError, match="have no role here"):
            desk.go_there_and_back()
    else:
        assert desk.go_there_and_back().role is role


def test_claims_inside_others_and_of_other_names(desk: Desk, provider: Provider) -> None:
    """ACC-11"""
    provider.claims = {"realm_access": {"roles": ["auditors"]}, "email": "Carol@example.org"}
    desk.change(role_claim="realm_access.roles", user_claim="email")
    identity = desk.go_there_and_back()
    assert (identity.user, identity.role, identity.email) == (
        "carol@example.org",
        Role.REPORT_ONLY,
        "Carol@example.org",
    )
    desk.change(user_claim="upn")
    with pytest.raises(SignOnError, match=r"change web\.oidc\.user_claim"):
        desk.go_there_and_back()


def test_a_state_is_good_once_soon_and_in_one_browser(desk: Desk) -> None:
    """ACC-11: nobody can be signed on as somebody else by a link."""
    address, state = desk.begin()
    with pytest.raises(SignOnError, match="not begun in this browser"):
        desk.come_back(address, "")
    with pytest.raises(SignOnError, match="not begun in this browser"):
        desk.come_back(address, "\udcff another")
    desk.come_back(address, state)
    with pytest.raises(SignOnError, match="or is done already"):
        desk.come_back(address, state)
    address, state = desk.begin()
    desk.clock.now += PATIENCE_S + 1
    with pytest.raises(SignOnError, match="begun too long ago"):
        desk.come_back(address, state)
    forged = "x" * 43
    with pytest.raises(SignOnError, match="begun too long ago"):
        desk.sign_on.finish(forged, {"state": forged, "code": "x"})


def test_what_strangers_begin_is_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """ACC-11: a stranger cannot crowd others out."""
    address, state = desk.begin(THERE)
    first, first_state = desk.begin()
    for _ in range(BEGUN_PER_CLIENT):
        desk.clock.now += 1
        last, last_state = desk.begin()
    with pytest.raises(SignOnError, match="begun too long ago"):
        desk.come_back(first, first_state)
    desk.come_back(address, state)
    desk.come_back(last, last_state)
    monkeypatch.setattr(sign_on, "BEGUN", 3)
    for number in range(5):
        desk.clock.now += 1
        desk.begin(f"192.0.2.{number}")
    with desk.office.database.transaction() as connection:
        assert connection.execute("SELECT COUNT(*) FROM sign_on").fetchone() == (3,)


def test_an_answer_of_another_provider_is_refused(desk: Desk) -> None:
    """ACC-11: RFC 9207."""
    with pytest.raises(SignOnError, match="comes from another provider"):
        desk.come_back(*desk.begin(), iss="https://evil.example")


def test_a_refusal_of_the_provider_is_told(desk: Desk) -> None:
    """ACC-11: its words are cleaned."""
    with pytest.raises(SignOnError, match=r"did not sign you on: access_denied no  entry\.") as caught:
        desk.come_back(*desk.begin(), error="access_denied", error_description="no\r\nentry")
    assert "\n" not in str(caught.value)


def test_only_the_client_that_it_is_for_gets_a_token(desk: Desk, provider: Provider, tmp_path: Path) -> None:
    """ACC-11: the secret, and the code with its verifier and address, are checked there."""
    (tmp_path / "secret").write_text("wrong")
    with pytest.raises(SignOnError, match=r"refused with 401: .*invalid_client"):
        desk.go_there_and_back()
    (tmp_path / "secret").write_text(SECRET)
    with pytest.raises(SignOnError, match=r"refused with 400: .*invalid_grant"):
        desk.come_back(*desk.begin(), code="another")
    (tmp_path / "secret").unlink()
    with pytest.raises(SignOnError, match="secret of the client cannot be read"):
        desk.go_there_and_back()
    desk.change(client_secret_file="")
    provider.secret = ""
    desk.go_there_and_back()


def test_a_secret_in_the_form(desk: Desk, provider: Provider) -> None:
    provider.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    desk.go_there_and_back()


def test_keys_of_other_kinds_and_keys_that_change(desk: Desk, provider: Provider) -> None:
    """ACC-11: a key that is new at the provider is asked for, but not over and over."""
    desk.go_there_and_back()
    provider.keys = {"two": ("ES256", ec.generate_private_key(ec.SECP256R1()))}
    provider.signs_with = "two"
    with pytest.raises(SignOnError, match="a key that the provider does not show"):
        desk.go_there_and_back()
    assert provider.asked.count("/keys") == 1
    desk.clock.now += rooms.KEYS_AGAIN_S
    desk.go_there_and_back()
    desk.go_there_and_back()
    assert provider.asked.count("/keys") == 2
    assert provider.asked.count("/.well-known/openid-configuration") == 1
    desk.clock.now += rooms.METADATA_S
    desk.begin()
    assert provider.asked.count("/.well-known/openid-configuration") == 2


def now() -> int:
    return int(time.time())


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"aud": "another"}, "not good"),
        ({"aud": []}, "not good"),
        ({"iss": "https://evil.example"}, "not good"),
        ({"exp": now() - 3600}, "not good"),
        ({"iat": now() + 3600}, "not good"),
        ({"nonce": "of another sign-on"}, "belongs to another sign-on"),
        ({"nonce": 7}, "belongs to another sign-on"),
        ({"azp": "another"}, "is for another client"),
        ({"aud": [CLIENT, "another"]}, "is for another client"),
        ({"sub": 7}, "not good"),
        ({"exp": "soon"}, "not good"),
    ],
)
def test_a_token_with_a_wrong_claim_is_refused(desk: Desk, provider: Provider, claims: Any, words: str) -> None:
    """ACC-11: OpenID Connect Core 1.0 s3.1.3.7"""
    provider.claims = claims
    with pytest.raises(SignOnError, match=words):
        desk.go_there_and_back()


def test_several_audiences_are_fine_with_the_right_party(desk: Desk, provider: Provider) -> None:
    provider.claims = {"aud": [CLIENT, "another"], "azp": CLIENT}
    desk.go_there_and_back()


@pytest.mark.parametrize("claim", ["iss", "sub", "aud", "exp", "iat", "nonce"])
def test_a_token_without_a_claim_is_refused(desk: Desk, provider: Provider, claim: str) -> None:
    """ACC-11"""
    provider.sign = lambda claims: provider.signed({name: value for name, value in claims.items() if name != claim})
    with pytest.raises(SignOnError, match="not good"):
        desk.go_there_and_back()


def _none(provider: Provider, claims: dict[str, Any]) -> str:
    return jwt.encode(claims, "", "none", headers={"kid": "one"})


def _with_the_public_key(provider: Provider, claims: dict[str, Any]) -> str:
    """HMAC with what everybody knows: taken by who lets the token choose the algorithm."""
    public = provider.keys["one"][1].public_key()
    octets = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    head, body = _part({"alg": "HS256", "kid": "one"}), _part(claims)
    digest = hmac.digest(octets, f"{head}.{body}".encode(), "sha256")
    return f"{head}.{body}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(value)).decode().rstrip("=")


def _another_key(provider: Provider, claims: dict[str, Any]) -> str:
    return jwt.encode(claims, rsa.generate_private_key(65537, 2048), "RS256", headers={"kid": "one"})


def _a_key_of_its_own(provider: Provider, claims: dict[str, Any]) -> str:
    key = rsa.generate_private_key(65537, 2048)
    shown = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return jwt.encode(claims, key, "RS256", headers={"kid": "mine", "jwk": shown})


def _altered(provider: Provider, claims: dict[str, Any]) -> str:
    head, _, signature = provider.signed(claims).split(".")
    _, body, _ = provider.signed(claims | {"sub": "somebody else"}).split(".")
    return f"{head}.{body}.{signature}"


def _rubbish(provider: Provider, claims: dict[str, Any]) -> str:
    return "no token at all"


LIES = [_none, _with_the_public_key, _another_key, _a_key_of_its_own, _altered, _rubbish]


@pytest.mark.parametrize("sign", LIES)
def test_a_token_that_the_provider_did_not_sign_is_refused(desk: Desk, provider: Provider, sign: Any) -> None:
    """ACC-11"""
    provider.sign = lambda claims: str(sign(provider, claims))
    with pytest.raises(SignOnError, match="not good"):
        desk.go_there_and_back()


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"issuer": "https://evil.example"}, r"calls itself https://evil\.example, not"),
        ({"token_endpoint": "http://127.0.0.1/token"}, "not encrypted"),
        ({"jwks_uri": 7}, "is not understood"),
        ({"padding": "x" * rooms.ANSWER_LEN}, "too long"),
    ],
)
def test_what_the_provider_says_of_itself_is_looked_at(
    desk: Desk, provider: Provider, metadata: dict[str, Any], words: str
) -> None:
    """ACC-11"""
    provider.metadata = metadata
    with pytest.raises(SignOnError, match=words):
        desk.begin()


def test_a_provider_that_is_not_there_or_not_the_one(desk: Desk, provider: Provider, tmp_path: Path) -> None:
    """ACC-11: its certificate is checked; the words say what to do."""
    other = tmp_path / "other.pem"
    other.write_bytes(self_signed(["127.0.0.1"]))
    desk.change(authorities="other.pem")
    with pytest.raises(SignOnError, match=r"cannot be reached: .*Use a password, or try again\."):
        desk.begin()
    desk.change(authorities="nothing.pem")
    with pytest.raises(SignOnError, match="cannot be reached"):
        desk.begin()
    desk.change(issuer=f"{provider.issuer}/elsewhere", authorities=desk.settings.authorities)
    desk.change(enabled=False)
    with pytest.raises(SignOnError, match="switched off"):
        desk.begin()
    assert desk.sign_on.label == ""
