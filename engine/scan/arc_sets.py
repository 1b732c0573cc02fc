"""The ARC sets of a message (RFC 8617 s4.1, s5.2), as claims.

A set is the three fields of one instance. What each seal signs begins with all sets before it, so the hashes are made
in one pass from the first set on; only the newest ARC-Message-Signature must hold, and only its body hash is made.
"""

import hashlib
import re
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from engine import limits
from engine.scan import tag_list
from engine.scan.canonical import Field, Section, relaxed_field, without_signature
from engine.scan.signed import Reading, Refused, SignatureClaim, read, seal
from engine.scan.tag_list import BadTagList

_NAMES: Final = (b"arc-authentication-results", b"arc-message-signature", b"arc-seal")
_INSTANCE: Final = re.compile(rb"[1-9]\d?")
_AAR: Final = re.compile(rb"[ \t\r\n]*i[ \t\r\n]*=[ \t\r\n]*(\d{1,3})[ \t\r\n]*;")
_HIDDEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|\((?:[^()\\]|\\.)*\)', re.S)
_DMARC: Final = re.compile(rb";[ \t\r\n]*dmarc[ \t\r\n]*=[ \t\r\n]*([a-z]{1,16})\b", re.IGNORECASE)


class ArcClaims(msgspec.Struct, frozen=True, omit_defaults=True):
    """seals: of instances 1, 2, ... problem: why the chain is broken whatever the keys are; else empty.

    message: the newest ARC-Message-Signature. dmarc: what the newest ARC-Authentication-Results says of DMARC.
    """

    seals: Annotated[tuple[SignatureClaim, ...], Meta(max_length=limits.ARC_SETS)] = ()
    message: SignatureClaim = SignatureClaim()
    dmarc: Annotated[str, Meta(max_length=16)] = ""
    problem: Annotated[str, Meta(max_length=200)] = ""


def collect(section: Section) -> tuple[ArcClaims | None, Reading | None]:
    """(the claims, the newest message signature with its body hash yet to be compared), or None where there is none."""
    fields = [section.named(name) for name in _NAMES]
    if not any(fields):
        return None, None
    newest = SignatureClaim()
    try:
        if section.problem:
            raise Refused("fail", section.problem)
        sets = _sets(fields)
        newest = seal(tag_list.parse(sets[-1][2].body))
        seals = _seals(section, sets)
    except (BadTagList, Refused) as error:
        # the newest sealer is told even so, if it is known
        return ArcClaims((newest,) if newest.domain else (), problem=str(error)), None
    message = read(section, sets[-1][1], arc=True)
    return ArcClaims(seals, message.claim, _dmarc(sets[-1][0].body)), message


def _sets(fields: list[list[Field]]) -> list[tuple[Field, ...]]:
    """In order of their instances. Raises Refused if they are not whole, one of each, from 1 without a gap."""
    count = len(fields[0])
    if any(len(named) != count for named in fields):
        raise Refused("fail", "an ARC set is not whole")
    if count > limits.ARC_SETS:
        raise Refused("fail", f"more than {limits.ARC_SETS} ARC sets")
    ordered: list[list[Field]] = []
    for name, named in zip(_NAMES, fields, strict=True):
        by_instance = {_instance(name, field): field for field in named}
        if sorted(by_instance) != list(range(1, count + 1)):
            raise Refused("fail", "instances of ARC sets are missing or repeated")
        ordered.append([by_instance[instance] for instance in range(1, count + 1)])
    return list(zip(*ordered, strict=True))


def _instance(name: bytes, field: Field) -> int:
    if name == _NAMES[0]:
        match = _AAR.match(field.body)
        value = match.group(1) if match else b""
    else:
        value = tag_list.parse(field.body).get("i", b"")
    if not _INSTANCE.fullmatch(value):
        raise Refused("fail", "an ARC field without an instance")
    return int(value)


def _seals(section: Section, sets: list[tuple[Field, ...]]) -> tuple[SignatureClaim, ...]:
    """Raises Refused for a seal that breaks the chain by what it says (s5.2 steps 2 and 3)."""
    digest = hashlib.sha256()
    seals = []
    for instance, (results, message, sealing) in enumerate(sets, 1):
        tags = tag_list.parse(sealing.body)
        claim = seal(tags)
        if "h" in tags:
            raise Refused("fail", "an ARC-Seal with h=")  # s4.1.3
        if tags.get("cv", b"").lower() != (b"none" if instance == 1 else b"pass"):
            raise Refused("fail", f"instance {instance} says that the chain was broken")
        for field in (results, message):
            digest.update(section.relaxed(field) + b"\r\n")
        own = digest.copy()
        own.update(relaxed_field(without_signature(sealing.octets)))
        seals.append(msgspec.structs.replace(claim, digest=own.digest()))
        digest.update(section.relaxed(sealing) + b"\r\n")
    return tuple(seals)


def _dmarc(body: bytes) -> str:
    match = _DMARC.search(_HIDDEN.sub(b" ", body))
    return match.group(1).lower().decode("ascii") if match else ""
