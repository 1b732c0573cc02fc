"""Signing on at an identity provider: OpenID Connect Core 1.0, authorization code with PKCE, state and nonce (ACC-11).

The browser is sent to the provider and comes back with a code, which is exchanged for an ID token (`provider.py`). What
was begun is kept here and named by `state`, which the same browser must bring back in a cookie as well, once and soon.
Passwords and second factors of such accounts are the provider's matter.

Known gaps: claims are read from the ID token only, not from the userinfo endpoint; logging off does not reach the
provider.
"""

import base64
import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import msgspec

from control.access import AccessDatabase
from control.accounts.sign_on_error import REASON_LEN, SignOnError
from control.actor import Role
from engine.config import Oidc
from engine.policy.metatags import clean

if TYPE_CHECKING:
    from control.accounts.provider import Provider

STATE_LEN: Final = 32  # octets, of state, nonce and verifier
PATIENCE_S: Final = 600.0  # from the button to the way back
BEGUN_PER_CLIENT: Final = 20
BEGUN: Final = 2000


class Identity(msgspec.Struct, frozen=True):
    """Whom the provider vouches for. subject: never changes there, while user may."""

    issuer: str
    subject: str
    user: str
    role: Role
    name: str
    email: str


class SignOn:
    """Safe from any thread. Asks the provider: not for an event loop's thread. root: where relative files are."""

    def __init__(
        self, database: AccessDatabase, clock: Callable[[], float], settings: Callable[[], Oidc], root: Path
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._root = root
        self._provider: Provider | None = None
        self._lock = threading.Lock()

    @property
    def label(self) -> str:
        """What the button says; empty while there is none."""
        settings = self._settings()
        if not settings.enabled:
            return ""
        return settings.label or settings.issuer.partition("://")[2].partition("/")[0]

    def begin(self, redirect: str, page: str, client: str) -> tuple[str, str]:
        """Returns where to send the browser, and the state for its cookie. Raises SignOnError.

        redirect: our address that it comes back to. page: where it wants to go then.
        """
        settings = self._enabled()
        metadata = self._of(settings).metadata()
        state, nonce, verifier = (secrets.token_urlsafe(STATE_LEN) for _ in range(3))
        now = self._clock()
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM sign_on WHERE began < ?", (now - PATIENCE_S,))
            connection.execute(
                "INSERT INTO sign_on VALUES (?, ?, ?, ?, ?, ?, ?)",
                (_hash(state), client, nonce, verifier, redirect, page, now),
            )
            for condition, values in (("client = ?", (client, BEGUN_PER_CLIENT)), ("TRUE", (BEGUN,))):
                connection.execute(
                    "DELETE FROM sign_on WHERE state_hash IN"
                    f" (SELECT state_hash FROM sign_on WHERE {condition} ORDER BY began DESC LIMIT -1 OFFSET ?)",
                    values,
                )
        query = {
            "response_type": "code",
            "client_id": settings.client_id,
            "redirect_uri": redirect,
            "scope": " ".join(dict.fromkeys(("openid", *settings.scopes))),
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge(verifier),
            "code_challenge_method": "S256",
        }
        mark = "&" if "?" in metadata.authorization_endpoint else "?"
        return f"{metadata.authorization_endpoint}{mark}{urlencode(query)}", state

    def finish(self, cookie: str, given: Mapping[str, str]) -> tuple[Identity, str]:
        """Who came back, and the page wanted. cookie: the state that this browser began with. given: of the address.

        Raises SignOnError.
        """
        settings = self._enabled()
        if not cookie or not hmac.compare_digest(_hash(cookie), _hash(given.get("state", ""))):
            raise SignOnError("This sign-on was not begun in this browser. Begin again here.")
        with self._database.transaction() as connection:
            row = connection.execute(
                "DELETE FROM sign_on WHERE state_hash = ? RETURNING nonce, verifier, redirect, page, began",
                (_hash(cookie),),
            ).fetchone()
        if row is None or row[4] < self._clock() - PATIENCE_S:
            raise SignOnError("This sign-on was begun too long ago, or is done already. Begin again.")
        nonce, verifier, redirect, page, _ = row
        if "error" in given:
            reason = clean(f"{given['error']} {given.get('error_description', '')}".strip(), REASON_LEN)
            raise SignOnError(f"The provider did not sign you on: {reason}.")
        if given.get("iss", settings.issuer) != settings.issuer:  # RFC 9207
            raise SignOnError("The answer comes from another provider than the one that was asked. Begin again.")
        provider = self._of(settings)
        token = provider.exchange(given.get("code", ""), verifier, redirect)
        return identity(settings, provider.claims(token, nonce)), page

    def _enabled(self) -> Oidc:
        settings = self._settings()
        if not settings.enabled:
            raise SignOnError("Sign-on at a provider is switched off. Log on with a password.")
        return settings

    def _of(self, settings: Oidc) -> "Provider":
        from control.accounts.provider import Provider  # dear, and wanted only where there is one

        with self._lock:
            if self._provider is None or self._provider.settings != settings:
                self._provider = Provider(settings, self._root, self._clock)
            return self._provider


def identity(settings: Oidc, claims: dict[str, Any]) -> Identity:
    """Raises SignOnError for who has no role here."""
    held = _values(claims, settings.role_claim)
    if held & set(settings.administrators):
        role = Role.ADMINISTRATOR
    elif held & set(settings.report_only):
        role = Role.REPORT_ONLY
    else:
        raise SignOnError(
            "You are known to the provider, but have no role here. Ask an administrator of Mailward for one of the"
            " groups that are let in."
        )
    user = claims.get(settings.user_claim)
    if not isinstance(user, str):
        raise SignOnError(f"The provider tells no {settings.user_claim} of you: change web.oidc.user_claim.")
    texts = {name: value for name in ("name", "email") if isinstance(value := claims.get(name), str)}
    return Identity(
        issuer=str(claims["iss"]),
        subject=str(claims["sub"]),
        user=user.lower(),
        role=role,
        name=texts.get("name", ""),
        email=texts.get("email", ""),
    )


def _values(claims: dict[str, Any], name: str) -> set[str]:
    """Of a claim, or of one inside others, as in `realm_access.roles`."""
    value: Any = claims
    for step in [name] if name in claims else name.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    texts = value if isinstance(value, list) else [value]
    return {text for text in texts if isinstance(text, str)}


def challenge(verifier: str) -> str:
    """RFC 7636 s4.2."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def _hash(state: str) -> bytes:
    return hashlib.sha256(state.encode("utf-8", "replace")).digest()
