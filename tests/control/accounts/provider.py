"""A small identity provider on loopback: discovery, keys, authorization and token endpoint, over TLS.

It holds to OpenID Connect Core 1.0 and RFC 7636: a code is good once, for the address and the verifier that it was
asked with, and for the client that proves to be the one. `claims` and `sign` let a test make it lie.
"""

import base64
import hashlib
import http.server
import secrets
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, unquote_plus, urlencode, urlsplit

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, rsa

CLIENT: Final = "mailward"
SECRET: Final = "a secret: with % and ü"
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class Provider:
    """user: who is logged on there. Requests are kept in `asked`."""

    def __init__(self, pem: Path) -> None:
        self._first_key: tuple[str, Key] = ("RS256", rsa.generate_private_key(65537, 2048))
        self._codes: dict[str, dict[str, str]] = {}
        self.as_at_first()
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.get(self)

            def do_POST(self) -> None:
                provider.post(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def as_at_first(self) -> None:
        self.keys = {"one": self._first_key}
        self.signs_with = "one"
        self.user: dict[str, Any] = {"sub": "1234", "preferred_username": "Carol", "groups": ["postmasters"]}
        self.claims: dict[str, Any] = {}
        self.sign: Callable[[dict[str, Any]], str] = self.signed
        self.metadata: dict[str, Any] = {}
        self.asked: list[str] = []
        self.secret = SECRET

    @property
    def issuer(self) -> str:
        return f"https://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    # --- what a browser does there ---

    def authorize(self, address: str) -> str:
        """Somebody is logged on and agrees: where the browser is sent back to."""
        parts = urlsplit(address)
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{self.issuer}/authorize"
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        assert (asked["response_type"], asked["client_id"]) == ("code", CLIENT)
        assert "openid" in asked["scope"].split()
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state'], 'iss': self.issuer})}"

    # --- what Mailward does there ---

    def get(self, request: http.server.BaseHTTPRequestHandler) -> None:
        self.asked.append(request.path)
        if request.path == "/.well-known/openid-configuration":
            known = {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "response_types_supported": ["code"],
                "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            }
            _answer(request, 200, known | self.metadata)
        elif request.path == "/keys":
            _answer(request, 200, {"keys": [_public(name, *key) for name, key in self.keys.items()]})
        else:
            _answer(request, 404, {})

    def post(self, request: http.server.BaseHTTPRequestHandler) -> None:
        self.asked.append(request.path)
        body = request.rfile.read(int(request.headers["content-length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        error = self._refusal(request, form)
        if error:
            _answer(request, 400 if error != "invalid_client" else 401, {"error": error})
            return
        asked = self._codes.pop(form["code"])
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        token = self.sign({**claims, **self.user, **self.claims})
        _answer(request, 200, {"access_token": "x", "token_type": "Bearer", "id_token": token})

    def _refusal(self, request: http.server.BaseHTTPRequestHandler, form: dict[str, str]) -> str:
        if not self._is_client(request.headers.get("authorization", ""), form):
            return "invalid_client"
        asked = self._codes.get(form.get("code", ""))
        if form.get("grant_type") != "authorization_code" or asked is None:
            return "invalid_grant"
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        proven = base64.urlsafe_b64encode(digest).decode().rstrip("=") == asked["code_challenge"]
        return "" if proven and form.get("redirect_uri") == asked["redirect_uri"] else "invalid_grant"

    def _is_client(self, authorization: str, form: dict[str, str]) -> bool:
        if not self.secret:
            return form.get("client_id") == CLIENT and not authorization
        if self.metadata.get("token_endpoint_auth_methods_supported") == ["client_secret_post"]:
            return (form.get("client_id"), form.get("client_secret")) == (CLIENT, self.secret)
        scheme, _, value = authorization.partition(" ")
        name, _, secret = base64.b64decode(value).decode().partition(":")
        return (scheme, unquote_plus(name), unquote_plus(secret)) == ("Basic", CLIENT, self.secret)

    def signed(self, claims: dict[str, Any]) -> str:
        algorithm, key = self.keys[self.signs_with]
        return jwt.encode(claims, key, algorithm, headers={"kid": self.signs_with})


def _public(name: str, algorithm: str, key: Key) -> dict[str, Any]:
    public: dict[str, Any]
    if isinstance(key, rsa.RSAPrivateKey):
        public = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    else:
        public = jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return public | {"kid": name, "use": "sig", "alg": algorithm}


def _answer(request: http.server.BaseHTTPRequestHandler, status: int, value: object) -> None:
    body = msgspec.json.encode(value)
    request.send_response(status)
    request.send_header("content-type", "application/json")
    request.send_header("content-length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)
