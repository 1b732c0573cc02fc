"""One signature field: DKIM-Signature (RFC 6376 s3.5), ARC-Message-Signature and ARC-Seal (RFC 8617 s4.1).

What is read is a claim: its domain, the hash that its signature must be of, and the signature. Whether it is true only
the key tells. A claim that cannot be true whatever the key is has its result already.
"""

import re
from typing import Annotated, Final

import idna.uts46data  # noqa: F401 - a_label loads it late, and a closed sandbox opens no files
import msgspec
from msgspec import Meta

from engine import limits
from engine.delivery.route import a_label
from engine.scan import tag_list
from engine.scan.canonical import Field, Section, Span, relaxed_field, without_signature
from engine.scan.tag_list import BadTagList

DOMAIN: Final = r"^([a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*)?\Z"
_DOMAIN: Final = re.compile(DOMAIN)
_FIELD_NAME: Final = re.compile(rb"[!-9;-~]+")
_NUMBER: Final = re.compile(rb"\d{1,76}")
_ALGORITHMS: Final = ("rsa-sha256", "ed25519-sha256")

Domain = Annotated[str, Meta(max_length=253, pattern=DOMAIN)]


class SignatureClaim(msgspec.Struct, frozen=True, omit_defaults=True):
    """digest: SHA-256 that `octets` sign; Ed25519 signs these 32 octets (RFC 8463 s3), RSA what has them as its hash.

    identity: the domain of i=. expires: x= as seconds of Unix time, 0 if it has none. partial: why octets of the body
    are not covered. result, reason: of RFC 8601 s2.7.1 and why, if no key can change it any more; else empty.
    """

    domain: Domain = ""
    selector: Domain = ""
    algorithm: Annotated[str, Meta(max_length=32)] = ""
    identity: Domain = ""
    digest: Annotated[bytes, Meta(max_length=32)] = b""
    octets: Annotated[bytes, Meta(max_length=limits.SIGNATURE_LEN)] = b""
    expires: Annotated[int, Meta(ge=0, le=10**12)] = 0
    partial: Annotated[str, Meta(max_length=200)] = ""
    result: Annotated[str, Meta(max_length=16)] = ""
    reason: Annotated[str, Meta(max_length=200)] = ""


class Reading(msgspec.Struct):
    """A claim, and what its bh= says of which span of the body."""

    claim: SignatureClaim
    span: Span | None = None
    body_hash: bytes = b""


class Refused(Exception):
    """The result that a claim has because of how its field is written."""

    def __init__(self, result: str, reason: str) -> None:
        super().__init__(reason)
        self.result = result
        self.reason = reason


def read(section: Section, field: Field, *, arc: bool = False) -> Reading:
    """A DKIM-Signature or, with arc, an ARC-Message-Signature. Never raises. O(length of what it signs)."""
    named = SignatureClaim()
    try:
        tags = tag_list.parse(field.body)
        named = _named(tags)
        return _read(section, field, tags, named, arc)
    except (BadTagList, Refused) as error:
        result = error.result if isinstance(error, Refused) else "neutral"
        return Reading(msgspec.structs.replace(named, result=result, reason=str(error)))


def name_of(field: Field) -> SignatureClaim:
    """Only what a signature is called by."""
    try:
        return _named(tag_list.parse(field.body))
    except (BadTagList, Refused):
        return SignatureClaim()


def seal(tags: dict[str, bytes]) -> SignatureClaim:
    """The claim of an ARC-Seal, without its digest. Raises BadTagList or Refused."""
    return msgspec.structs.replace(_named(tags), algorithm=_algorithm(tags), octets=_octets(tags))


def _read(section: Section, field: Field, tags: dict[str, bytes], named: SignatureClaim, arc: bool) -> Reading:
    if section.problem:
        raise Refused("policy", section.problem)
    if not arc and _needed(tags, "v") != b"1":
        raise Refused("neutral", "a version of DKIM that is not known")
    algorithm = _algorithm(tags)
    forms = tag_list.joined(tags.get("c", b"simple/simple")).lower().split(b"/")
    if len(forms) > 2 or not set(forms) <= {b"simple", b"relaxed"}:
        raise Refused("neutral", "a canonicalization that is not known")
    if "q" in tags and b"dns/txt" not in tag_list.words(tags["q"]):
        raise Refused("neutral", "its key is not in DNS")
    identity = named.domain if arc else _identity(tags, named.domain)
    names = _signed_names(section, tags)
    if arc and b"arc-seal" in names:
        raise Refused("permerror", "it signs ARC-Seal")  # RFC 8617 s4.1.2
    expires = _expires(tags)
    length = _number(tags, "l") if "l" in tags else None
    body_hash = tag_list.decode_base64(_needed(tags, "bh"))
    octets = _octets(tags)
    relaxed = forms[0] == b"relaxed"
    digest = section.signed(names, field, relaxed)
    own = without_signature(field.octets)
    digest.update(relaxed_field(own) if relaxed else own)
    claim = msgspec.structs.replace(
        named, algorithm=algorithm, identity=identity, digest=digest.digest(), octets=octets, expires=expires
    )
    return Reading(claim, (forms[-1] == b"relaxed" and len(forms) == 2, length), body_hash)


def _needed(tags: dict[str, bytes], name: str) -> bytes:
    if name not in tags:
        raise Refused("permerror", f"it has no {name}=")
    return tags[name]


def _named(tags: dict[str, bytes]) -> SignatureClaim:
    return SignatureClaim(_domain(_needed(tags, "d"), "d"), _domain(_needed(tags, "s"), "s"))


def _domain(value: bytes, tag: str) -> str:
    """In A-labels, lower case (RFC 8616 s3)."""
    try:
        name = a_label(value[: limits.DOMAIN_LEN].decode())
    except UnicodeDecodeError:
        name = ""
    if not name or len(value) > limits.DOMAIN_LEN or len(name) > 253 or not _DOMAIN.match(name):
        raise Refused("neutral", f"its {tag}= is no domain")
    return name


def _identity(tags: dict[str, bytes], domain: str) -> str:
    if "i" not in tags:
        return domain
    name = _domain(tags["i"].rpartition(b"@")[2], "i")
    if name != domain and not name.endswith("." + domain):
        raise Refused("permerror", "its i= is outside of its d=")
    return name


def _algorithm(tags: dict[str, bytes]) -> str:
    name = _needed(tags, "a").lower().decode("latin-1")
    if name == "rsa-sha1":
        raise Refused("policy", "rsa-sha1 is not accepted any more")  # RFC 8301 s3.1
    if name not in _ALGORITHMS:
        raise Refused("neutral", "an algorithm that is not known")
    return name


def _octets(tags: dict[str, bytes]) -> bytes:
    octets = tag_list.decode_base64(_needed(tags, "b"))
    if len(octets) > limits.SIGNATURE_LEN:
        raise Refused("policy", "its signature is too long")
    return octets


def _number(tags: dict[str, bytes], name: str) -> int:
    if not _NUMBER.fullmatch(tags[name]):
        raise Refused("neutral", f"its {name}= is no number")
    return int(tags[name])


def _expires(tags: dict[str, bytes]) -> int:
    """A t= in the future is no reason to refuse: clocks differ (s3.5 says may)."""
    signed = _number(tags, "t") if "t" in tags else 0
    if "x" not in tags:
        return 0
    expires = _number(tags, "x")
    if expires <= signed:
        raise Refused("permerror", "its x= is not after its t=")
    return min(expires, 10**12)


def _signed_names(section: Section, tags: dict[str, bytes]) -> list[bytes]:
    names = tag_list.words(_needed(tags, "h"))
    if len(names) > limits.SIGNED_FIELDS:
        raise Refused("policy", f"it signs more than {limits.SIGNED_FIELDS} fields")
    if not all(_FIELD_NAME.fullmatch(name) for name in names):
        raise Refused("neutral", "its h= is no list of fields")
    if b"from" not in names:
        raise Refused("permerror", "it does not sign From")
    if names.count(b"from") < len(section.named(b"from")):
        # s8.15: a From field that somebody added on top would be the one that readers see
        raise Refused("policy", "there is a From field that it does not sign")
    return names
