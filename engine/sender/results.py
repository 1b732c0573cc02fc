"""The Authentication-Results field (RFC 8601): what we write, and whose an alleged one is.

Everything shown was said by strangers: each value is cut, cleaned of what is not printable, and quoted unless it is
plain, so no value can end itself, begin another result or another line.
"""

import re
import unicodedata
from typing import Final

from engine import limits
from engine.delivery.route import a_label
from engine.policy.evidence import Authentication, Envelope

# What may stand unquoted (RFC 8601 s2.2): a token of RFC 2045, and as the value of a property also an address.
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`{|}~]+")
_ATEXT: Final = r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+"
_ADDRESS: Final = re.compile(rf"(?:{_ATEXT}(?:\.{_ATEXT})*)?@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")
_COMMENT_TEXT: Final = re.compile(r"[^()\\]*")
_RESULT: Final = re.compile(r"[a-z]{1,20}")


def body(authserv_id: str, envelope: Envelope, found: Authentication) -> str:
    """The field's body, unfolded, to be folded at "; "; empty if nothing was checked.

    Non-ASCII stands in it only if the reverse-path has some, which takes SMTPUTF8: else it becomes "?". At most
    limits.RESULTS_SIGNATURES signatures are named, those that passed first.
    """
    is_utf8 = not envelope.reverse_path.isascii()

    def shown(value: str) -> str:
        is_plain = _ADDRESS.fullmatch(value) and len(value) <= limits.RESULTS_VALUE_LEN
        return value if is_plain else _quoted(value, is_utf8)

    parts: list[str] = []
    if found.spf:
        identity = f"smtp.mailfrom={shown(envelope.reverse_path)}" if envelope.reverse_path else ""
        parts.append(f"spf={_result(found.spf)} {identity or f'smtp.helo={shown(envelope.helo)}'}")
    signatures = sorted(found.dkim, key=lambda one: one.result != "pass")[: limits.RESULTS_SIGNATURES]
    for one in signatures:
        words = [f"dkim={_result(one.result)}"]
        words += [f"reason={_quoted(one.reason, is_utf8)}"] if one.reason else []
        words += [f"header.d={shown(one.domain)}"] if one.domain else []
        words += [f"header.s={shown(one.selector)}"] if one.selector else []
        parts.append(" ".join(words))
    if found.dmarc and not signatures:
        parts.append("dkim=none")
    if found.dmarc:
        words = [f"dmarc={_result(found.dmarc)}"]
        words += [f"header.from={shown(found.dmarc_domain)}"] if found.dmarc_domain else []
        # What the owner asks for, which is not always what is done (RFC 9989 s5.4).
        words += [f"policy.dmarc={_result(found.dmarc_policy)}"] if found.dmarc == "fail" and found.dmarc_policy else []
        parts.append(" ".join(words))
    if found.arc:
        sealer = f" reason={_quoted(f'trusted sealer {found.arc_sealer}', is_utf8)}" if found.arc_sealer else ""
        parts.append(f"arc={_result(found.arc)}{sealer}")
    return "; ".join([_quoted(a_label(authserv_id), is_utf8), *parts]) if parts else ""


def _result(word: str) -> str:
    return word if _RESULT.fullmatch(word) else "permerror"


def _quoted(value: str, is_utf8: bool) -> str:
    octets = value.encode("utf-8", "replace")
    if len(octets) > limits.RESULTS_VALUE_LEN:
        value = octets[: limits.RESULTS_VALUE_LEN - 3].decode("utf-8", "ignore") + "..."
    if _TOKEN.fullmatch(value):
        return value
    value = "".join(one if one.isprintable() and (is_utf8 or one.isascii()) else "?" for one in value)
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


# --- whose field ----------------------------------------------------------------------------------


def authserv_id_of(field_body: bytes) -> str:
    """The authserv-id that an Authentication-Results field gives, as `canonical` spells it; empty: none.

    Read the way the most careless reader would, since such a one is to be protected: comments (nested, unterminated)
    and folding are skipped, quotes removed, a version after white space or a slash ignored. Never raises.
    O(len(field_body)).
    """
    text = field_body.decode("utf-8", "replace")
    found: list[str] = []
    at, depth, in_quotes = 0, 0, False
    while at < len(text) and len(found) <= limits.AUTHSERV_ID_LEN:
        if depth:
            at = _COMMENT_TEXT.match(text, at).end()  # type: ignore[union-attr]  # matches the empty text
        one = text[at : at + 1]
        at += 1
        if one == "\\" and (in_quotes or depth):
            found += text[at : at + 1] if in_quotes else ""
            at += 1
        elif depth or (one == "(" and not in_quotes):
            if found:
                break
            depth += (one == "(") - (one == ")")
        elif one == '"':
            in_quotes = not in_quotes
        elif in_quotes:
            found.append(one)
        elif one in ";/" or (found and _is_space(one)):
            break  # what follows is a version or the first result
        elif not _is_space(one):
            found.append(one)
    return canonical("".join(found))


def canonical(authserv_id: str) -> str:
    """For comparison: without regard to case, width, invisible characters, a final dot, or U-label and A-label."""
    text = unicodedata.normalize("NFKC", authserv_id[: limits.AUTHSERV_ID_LEN])
    text = "".join(one for one in text if unicodedata.category(one) not in ("Cc", "Cf", "Zs"))
    return a_label(text.lower())[: limits.AUTHSERV_ID_LEN]


def _is_space(one: str) -> bool:
    return one.isspace() or one == "\0"
