"""An identity provider, as the settings name it: what it says of itself, its keys, and the tokens it gives.

ID tokens are checked by PyJWT. Nothing is asked for but at addresses that begin with https://, no redirection is
followed, and answers are bounded.
"""

import hmac
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote_plus

import jwt
import msgspec
import requests

from control.accounts.sign_on_error import REASON_LEN, SignOnError
from engine.config import Oidc
from engine.policy.metatags import clean

ANSWER_S: Final = 10.0  # of the provider, for each piece of it
ANSWER_LEN: Final = 256 * 1024  # octets
METADATA_S: Final = 3600.0
KEYS_AGAIN_S: Final = 60.0  # how soon an unknown key makes us ask for new ones
SKEW_S: Final = 60.0
# Asymmetric ones only: with HMAC, who knows the public key could sign.
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")


T = TypeVar("T")


class Metadata(msgspec.Struct, frozen=True):
    """What we use of OpenID Connect Discovery 1.0."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)


class Provider:
    """Safe from any thread. Asks over the network: not for an event loop's thread. root: where relative files are."""

    def __init__(self, settings: Oidc, root: Path, clock: Callable[[], float]) -> None:
        self.settings = settings
        self._root = root
        self._clock = clock
        self._lock = threading.Lock()
        self._metadata: Metadata | None = None
        self._asked = 0.0
        self._keys: list[dict[str, Any]] = []
        self._keys_asked = 0.0

    def metadata(self) -> Metadata:
        """Asked for once an hour. Raises SignOnError."""
        with self._lock:
            if self._metadata is not None and abs(self._clock() - self._asked) < METADATA_S:
                return self._metadata
            settings = self.settings
            address = settings.issuer.removesuffix("/") + "/.well-known/openid-configuration"
            metadata = _decoded(self._ask("GET", address), Metadata)
            if metadata.issuer != settings.issuer:
                raise SignOnError(
                    f"The provider calls itself {clean(metadata.issuer, REASON_LEN)}, not {settings.issuer}: set"
                    " web.oidc.issuer to that, if it is right."
                )
            for endpoint in (metadata.authorization_endpoint, metadata.token_endpoint, metadata.jwks_uri):
                if not endpoint.startswith("https://"):
                    raise SignOnError("The provider names an address that is not encrypted. It cannot be used so.")
            self._read_keys(metadata)
            self._metadata, self._asked = metadata, self._clock()
            return metadata

    def _read_keys(self, metadata: Metadata) -> None:
        self._keys_asked = self._clock()
        found = _decoded(self._ask("GET", metadata.jwks_uri), dict[str, Any]).get("keys", [])
        self._keys = [key for key in found if isinstance(key, dict)] if isinstance(found, list) else []

    def exchange(self, code: str, verifier: str, redirect: str) -> str:
        """A code for an ID token. Raises SignOnError."""
        settings, metadata = self.settings, self.metadata()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect,
            "client_id": settings.client_id,
            "code_verifier": verifier,
        }
        auth, secret = None, self._secret()
        if secret and "client_secret_basic" in metadata.token_endpoint_auth_methods_supported:
            auth = (quote_plus(settings.client_id), quote_plus(secret))  # RFC 6749 s2.3.1
        elif secret:
            form["client_secret"] = secret
        answer = self._ask("POST", metadata.token_endpoint, form, auth)
        token = _decoded(answer, dict[str, Any]).get("id_token")
        if not isinstance(token, str):
            raise SignOnError("The provider gave no ID token. Look at the client's settings there.")
        return token

    def _secret(self) -> str:
        if not self.settings.client_secret_file:
            return ""
        path = self._root / self.settings.client_secret_file
        try:
            return path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "is no text"
            raise SignOnError(f"The secret of the client cannot be read: {path}: {reason}.") from None

    def claims(self, token: str, nonce: str) -> dict[str, Any]:
        """What the token says, once it is found good: OpenID Connect Core 1.0 s3.1.3.7. Raises SignOnError."""
        settings, metadata = self.settings, self.metadata()
        try:
            header = jwt.get_unverified_header(token)
            claims = jwt.decode(
                token,
                self._key(metadata, header),
                algorithms=ALGORITHMS,
                audience=settings.client_id,
                issuer=metadata.issuer,
                leeway=SKEW_S,
                options={"require": ["iss", "sub", "aud", "exp", "iat", "nonce"]},
            )
        except jwt.PyJWTError as error:
            raise SignOnError(f"The ID token of the provider is not good: {clean(str(error), REASON_LEN)}.") from None
        audience = claims["aud"]
        if claims.get("azp", settings.client_id) != settings.client_id or (
            isinstance(audience, list) and len(audience) > 1 and "azp" not in claims
        ):
            raise SignOnError("The ID token of the provider is for another client.")
        if not hmac.compare_digest(str(claims["nonce"]).encode(), nonce.encode()):
            raise SignOnError("The ID token of the provider belongs to another sign-on. Begin again.")
        return claims

    def _key(self, metadata: Metadata, header: dict[str, Any]) -> jwt.PyJWK:
        """Raises SignOnError, PyJWTError."""
        if header.get("alg") not in ALGORITHMS:
            raise jwt.InvalidAlgorithmError("it is signed in a way that is not taken")
        with self._lock:
            found = _find(self._keys, header)
            if found is None and self._clock() - self._keys_asked >= KEYS_AGAIN_S:
                self._read_keys(metadata)
                found = _find(self._keys, header)
        if found is None:
            raise jwt.InvalidKeyError("it is signed with a key that the provider does not show")
        return jwt.PyJWK(found, algorithm=header["alg"])

    def _ask(
        self, method: str, address: str, form: dict[str, str] | None = None, auth: tuple[str, str] | None = None
    ) -> bytes:
        """Raises SignOnError. Follows no redirection: secrets go where the settings say."""
        settings = self.settings
        verify: str | bool = str(self._root / settings.authorities) if settings.authorities else True
        try:
            with requests.Session() as session:
                session.trust_env = False
                with session.request(
                    method,
                    address,
                    data=form,
                    auth=auth,
                    headers={"accept": "application/json"},
                    timeout=ANSWER_S,
                    verify=verify,
                    allow_redirects=False,
                    stream=True,
                ) as answer:
                    body = _read(answer)
        except (requests.RequestException, OSError) as error:
            reason = clean(str(error), REASON_LEN)
            raise SignOnError(f"The provider cannot be reached: {reason}. Use a password, or try again.") from None
        if answer.status_code != 200:
            told = clean(body.decode("utf-8", "replace"), REASON_LEN)
            raise SignOnError(f"The provider refused with {answer.status_code}: {told}")
        return body


def _decoded(body: bytes, type_: type[T]) -> T:
    """Raises SignOnError."""
    try:
        return msgspec.json.decode(body, type=type_)
    except msgspec.DecodeError as error:
        raise SignOnError(f"The answer of the provider is not understood: {error}.") from None


def _read(answer: requests.Response) -> bytes:
    body = bytearray()
    for piece in answer.iter_content(16 * 1024):
        body += piece
        if len(body) > ANSWER_LEN:
            raise SignOnError("The answer of the provider is too long.")
    return bytes(body)


def _find(keys: list[dict[str, Any]], header: dict[str, Any]) -> dict[str, Any] | None:
    """The key that the header names; without a name, the only one for signatures."""
    usable = [key for key in keys if key.get("use", "sig") == "sig" and key.get("kty") != "oct"]
    if "kid" in header:
        return next((key for key in usable if key.get("kid") == header["kid"]), None)
    return usable[0] if len(usable) == 1 else None
