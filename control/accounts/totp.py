"""One-time passwords by time (RFC 6238): HMAC-SHA-1, six digits, thirty seconds, as every authenticator does them."""

import base64
import hmac
import secrets
from typing import Final
from urllib.parse import quote, urlencode

import segno

SECRET_LEN: Final = 20  # octets (RFC 4226 s4 R6)
STEP_S: Final = 30
DIGITS: Final = 6
SKEW: Final = 1  # steps that a clock may be off, each way (RFC 6238 s5.2)
ISSUER: Final = "Mailward"


def new_secret() -> bytes:
    return secrets.token_bytes(SECRET_LEN)


def code(secret: bytes, step: int, digits: int = DIGITS) -> str:
    """RFC 4226 s5.3: the value of one step."""
    digest = hmac.digest(secret, step.to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 0xF
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return str(number % 10**digits).zfill(digits)


def step_of(secret: bytes, given: str, now: float, used: int) -> int | None:
    """The step whose code this is, if that is about now and after the last one used: each is valid once."""
    current, found = int(now) // STEP_S, None
    for step in range(max(current - SKEW, used + 1, 0), current + SKEW + 1):
        if hmac.compare_digest(code(secret, step).encode(), given.encode("utf-8", "replace")) and found is None:
            found = step
    return found


def text_of(secret: bytes) -> str:
    """To type into an authenticator, in groups of four."""
    text = base64.b32encode(secret).decode().rstrip("=")
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4))


def uri_of(secret: bytes, user: str, host: str) -> str:
    """What the QR code says. host: which gateway it is for, so that several can be told apart."""
    label = f"{quote(f'{ISSUER} {host}', safe='')}:{quote(user, safe='')}"
    parameters = {"secret": base64.b32encode(secret).decode().rstrip("="), "issuer": f"{ISSUER} {host}"}
    fixed = {"algorithm": "SHA1", "digits": str(DIGITS), "period": str(STEP_S)}
    return f"otpauth://totp/{label}?{urlencode(parameters | fixed, quote_via=quote)}"


def qr_code(text: str) -> str:
    """As SVG to stand inside a page. Dark on light in any colour scheme: cameras want it so."""
    svg: str = segno.make(text, error="m", micro=False).svg_inline(
        scale=5, border=4, dark="#000", light="#fff", omitsize=True, svgclass="qr", lineclass=None
    )
    return svg
