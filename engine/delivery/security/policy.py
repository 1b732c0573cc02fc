"""The two texts of MTA-STS (RFC 8461): the record in DNS and the policy that is fetched. Strangers write both. Pure.

record  v=STSv1; id=20260101T000000;
policy  version: STSv1
        mode: enforce
        mx: mail.example.com
        mx: *.example.net
        max_age: 604800
"""

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec

from engine.delivery.security.names import fits

POLICY_LEN: Final = 64 * 1024  # octets of a policy (RFC 8461 s3.3)
PATTERNS: Final = 256  # mx lines of one
MAX_AGE_S: Final = 31_557_600  # RFC 8461 s3.2
_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_FIELD = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,31})[ \t]*:[ \t]*([^\x00-\x1f\x7f]*?)[ \t]*")
_NUMBER = re.compile(r"[0-9]{1,10}")
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_PATTERN = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*")


class Mode(StrEnum):
    ENFORCE = "enforce"
    TESTING = "testing"  # told of, but mail goes
    NONE = "none"


class Policy(msgspec.Struct, frozen=True):
    """What a domain wants of those that send mail to it.

    mx: names and `*.` patterns, lower case. max_age_s: how long it holds. id: of the record that it was fetched for.
    """

    mode: Mode
    mx: tuple[str, ...] = ()
    max_age_s: int = 0
    id: str = ""

    def allows(self, host: str) -> bool:
        """Whether mail for the domain may be handed to this host."""
        return any(fits(host, pattern) for pattern in self.mx)

    def lines(self) -> tuple[str, ...]:
        """As its author would write it, for reports (RFC 8460 s4.4)."""
        return (
            "version: STSv1",
            f"mode: {self.mode}",
            *(f"mx: {pattern}" for pattern in self.mx),
            f"max_age: {self.max_age_s}",
        )


class PolicyError(Exception):
    """What was fetched is no policy. Its text says why, in plain words."""


def record_id(texts: Sequence[bytes]) -> str:
    """The id in the TXT records of `_mta-sts.domain`; empty if the domain has no MTA-STS (RFC 8461 s3.1). Never raises.

    More than one record that begins so, or one that is not well-formed, counts as none.
    """
    ours = [text for text in texts if re.match(rb"v=STSv1[ \t]*(?:;|$)", text)]
    if len(ours) != 1:
        return ""
    found = ""
    for field in ours[0].decode("latin-1").split(";"):
        name, equals, value = field.strip(" \t").partition("=")
        if not equals and name:
            return ""
        if name.rstrip(" \t") == "id":
            if found or not _ID.fullmatch(value.lstrip(" \t")):
                return ""
            found = value.lstrip(" \t")
    return found


def parse(octets: bytes, record: str = "") -> Policy:
    """A policy (RFC 8461 s3.2). record: the id of the record that it was fetched for. Raises PolicyError.

    Fields that are not known are passed over; of one that stands twice, the first counts, but for mx.
    """
    if len(octets) > POLICY_LEN:
        raise PolicyError(f"it has more than {POLICY_LEN} octets")
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError:
        raise PolicyError("it is not text in UTF-8") from None
    fields: dict[str, str] = {}
    mx: dict[str, None] = {}
    for number, line in enumerate(re.split(r"\r?\n", text), 1):
        if not line.strip(" \t"):
            continue
        match = _FIELD.fullmatch(line)
        if match is None:
            raise PolicyError(f"line {number} is no `name: value`")
        name, value = match.groups()
        if name == "mx":
            mx.setdefault(_pattern(value, number))
            if len(mx) > PATTERNS:
                raise PolicyError(f"it names more than {PATTERNS} hosts")
        elif name in ("version", "mode", "max_age"):
            fields.setdefault(name, value)
    if fields.get("version") != "STSv1":
        raise PolicyError("it does not say version: STSv1")
    if fields.get("mode") not in tuple(Mode):
        raise PolicyError("it has no mode of enforce, testing or none")
    if not _NUMBER.fullmatch(fields.get("max_age", "")):
        raise PolicyError("it has no max_age in seconds")
    mode = Mode(fields["mode"])
    if not mx and mode is not Mode.NONE:
        raise PolicyError("it names no host")
    return Policy(mode, tuple(mx), min(int(fields["max_age"]), MAX_AGE_S), record)


def _pattern(value: str, number: int) -> str:
    pattern = value.lower().rstrip(".")
    if not pattern.isascii() or len(pattern) > 253 or not _PATTERN.fullmatch(pattern):
        raise PolicyError(f"line {number} names no host")
    return pattern
