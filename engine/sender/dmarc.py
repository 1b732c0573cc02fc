"""DMARC: does the domain in the From field stand by this message? (RFC 9989, which replaced RFC 7489 in 2026)

    verdict = await evaluate(resolver, header.senders, "pass", "bounces.example.com", signatures)

Where a domain's organization ends is found by asking `_dmarc` of it and of every name above it (s4.10, at most 8
questions), not by a list of public suffixes. All of these are asked at once: only psd tags, which are rare, would end
the walk early. Tags pct, rf and ri are gone and ignored; t=y lowers the policy by one step.

A From field with several domains is judged for each, and the strictest of the failures counts (s11.5): else a second
address would switch DMARC off.

Known gaps: no reports are sent (rua, ruf). A name server with compact denial of existence (RFC 9824) says of a name
that does not exist that it does, so that sp holds for it and not np.
"""

import asyncio
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

import msgspec

from engine import limits
from engine.delivery.route import a_label
from engine.dns import DnsFailure, Resolver
from engine.policy.evidence import Signature
from engine.sender.spf import dns_name, is_mail_domain

WALK_LABELS: Final = 8  # a longer name is asked once, then from its last seven labels on (s4.10)
POLICIES: Final = ("none", "quarantine", "reject")  # by strength

_VERSION: Final = re.compile(rb"[vV][ \t]*=[ \t]*DMARC1[ \t]*(?:;|\Z)")
_URI: Final = re.compile(r"[a-z][a-z0-9+.\-]*:[^\s,;!]+")


class Verdict(msgspec.Struct, frozen=True):
    """result: pass, fail, none, temperror or permerror. domain: of the From field. policy: after t=y; with fail only
    what the owner asks for, else what would have been asked."""

    result: str = "none"
    domain: str = ""
    policy: str = ""


class Record(msgspec.Struct, frozen=True):
    """A policy record (s4.7). p, sp, np: empty if absent. usable: it says what to do (s4.10.1)."""

    p: str = ""
    sp: str = ""
    np: str = ""
    psd: str = "u"
    strict_dkim: bool = False
    strict_spf: bool = False
    test: bool = False
    usable: bool = True


class _Unclear(Exception):
    """DNS did not answer what the result hangs on."""


class _Policy(msgspec.Struct, frozen=True):
    """record: what applies. policy: what it says for this author domain. organization: its organizational domain, empty
    if DNS did not tell."""

    record: Record
    policy: str
    organization: str


class Finding(msgspec.Struct, frozen=True):
    """The policy of one author domain, found before the signatures are verified. policy None: there is none.

    problem: temperror or permerror, if that is the result already.
    """

    domain: str
    policy: _Policy | None = None
    problem: str = ""


# --- records --------------------------------------------------------------------------------------


def is_policy(text: bytes) -> bool:
    """Whether a TXT record, its strings joined, is a policy record: version first (s4.7, s4.10 step 2)."""
    return _VERSION.match(text) is not None


def parse(text: bytes) -> Record:
    """A record for which `is_policy` holds. Never raises; what is not understood counts as absent. O(len(text))."""
    tags: dict[str, str] = {}
    for part in text.decode("latin-1").split(";"):
        name, equals, value = part.partition("=")
        if equals:
            tags.setdefault(name.strip(" \t").lower(), value.strip(" \t").lower())
    p, sp, np = (tags.get(name, "") for name in ("p", "sp", "np"))
    usable = True
    if any(value and value not in POLICIES for value in (p, sp, np)) or ("p" in tags and not p):
        # s4.10.1: reports are wanted all the same, so this was meant as a policy; else it is none.
        usable = any(_URI.fullmatch(uri.strip(" \t").partition("!")[0]) for uri in tags.get("rua", "").split(","))
        p, sp, np = "none", "", ""
    return Record(
        p=p or "none",
        sp=sp,
        np=np,
        psd=tags.get("psd", "u"),
        strict_dkim=tags.get("adkim") == "s",
        strict_spf=tags.get("aspf") == "s",
        test=tags.get("t") == "y",
        usable=usable,
    )


_remembered = lru_cache(maxsize=limits.DMARC_MEMO_ENTRIES)(parse)


def targets(domain: str) -> list[str]:
    """The names that a walk from domain visits, the longest first (s4.10)."""
    labels = domain.split(".")
    first = 1 if len(labels) < WALK_LABELS else len(labels) - (WALK_LABELS - 1)
    return [domain, *(".".join(labels[at:]) for at in range(first, len(labels)))]


def organization_of(domain: str, walk: Sequence[tuple[str, Record]]) -> str:
    """The organizational domain by what a walk from domain found, the longest name first (s4.10.2)."""
    for name, record in walk:
        if record.psd == "n":
            return name
        if record.psd == "y" and name != domain:
            labels = domain.split(".")
            return ".".join(labels[-(name.count(".") + 2) :])
    return walk[-1][0] if walk else domain


# --- questions ------------------------------------------------------------------------------------


async def _record(resolver: Resolver, domain: str) -> Record | None:
    """The one policy record of a name. Raises DnsFailure."""
    name = dns_name(f"_dmarc.{domain}")
    if not name:
        return None
    found = [text for text in await resolver.texts(name) or () if is_policy(text)]
    return _remembered(found[0]) if len(found) == 1 and len(found[0]) <= limits.DMARC_RECORD_LEN else None


async def _answer(resolver: Resolver, domain: str) -> Record | DnsFailure | None:
    try:
        return await _record(resolver, domain)
    except DnsFailure as failure:
        return failure


async def _walk(resolver: Resolver, domain: str) -> tuple[list[tuple[str, Record]], bool]:
    """What a tree walk from domain finds, the longest name first, and whether DNS answered all of it."""
    names = targets(domain)
    if all(resolver.knows(f"_dmarc.{name}", "TXT") for name in names):
        answers = [await _answer(resolver, name) for name in names]  # tasks would cost more than all the rest
    else:
        answers = await asyncio.gather(*(_answer(resolver, name) for name in names))
    found: list[tuple[str, Record]] = []
    for name, answer in zip(names, answers, strict=True):
        if isinstance(answer, DnsFailure):
            return found, False
        if answer is not None:
            found.append((name, answer))
            if answer.psd in ("y", "n"):
                break
    return found, True


async def _policy_of(resolver: Resolver, domain: str) -> _Policy | None:
    """Policy discovery (s4.10.1). None: DMARC does not apply. Raises _Unclear."""
    walk, is_whole = await _walk(resolver, domain)
    records = dict(walk)
    organization = organization_of(domain, walk) if is_whole else ""
    if (own := records.get(domain)) is not None:
        return _Policy(own, _lowered(own.p, own), organization)
    if not is_whole:
        raise _Unclear
    if not walk:
        return None
    record = records.get(organization)
    if record is None:  # that of a public suffix, which its psd tag put above the organization
        record = walk[-1][1]
    policy = record.sp or record.p
    if record.np and record.np != policy and not await _exists(resolver, domain):
        policy = record.np
    return _Policy(record, _lowered(policy, record), organization)


def _lowered(policy: str, record: Record) -> str:
    return POLICIES[max(0, POLICIES.index(policy) - 1)] if record.test else policy


async def _exists(resolver: Resolver, domain: str) -> bool:
    """Whether a name exists (s3.2.13); the question is that of SPF, so it often is in the cache. Raises _Unclear."""
    name = dns_name(domain)
    try:
        return bool(name) and await resolver.claimed(name, "TXT") is not None
    except DnsFailure:
        raise _Unclear from None


# --- evaluation -----------------------------------------------------------------------------------


async def discover(resolver: Resolver, senders: Iterable[str], timeout_s: float) -> list[Finding]:
    """The policies of the domains in the From field, in its order: what can be asked before DKIM is verified.

    senders: addresses. At most limits.FROM_DOMAINS domains are asked about; further ones are a permerror, because
    the evaluation is incomplete (s11.5). timeout_s: for each domain, so that one that does not answer hides nothing
    about the others. Never raises on content or answers.
    """
    domains = domains_of(senders)
    if len(domains) == 1:
        return [await _find(resolver, domains[0], timeout_s)]
    asked = domains[: limits.FROM_DOMAINS]
    found = await asyncio.gather(*(_find(resolver, domain, timeout_s) for domain in asked))
    return [*found, *(Finding(domain, problem="permerror") for domain in domains[limits.FROM_DOMAINS :][:1])]


def domains_of(senders: Iterable[str]) -> list[str]:
    """The author domains, each once, in A-labels (s5.3.1)."""
    return list(dict.fromkeys(filter(None, map(_author_domain, senders))))


def _author_domain(sender: str) -> str:
    """Empty for what is no mail address, as an address literal."""
    _, at, domain = sender.rpartition("@")
    domain = a_label(domain.strip())
    return domain if at and is_mail_domain(domain) else ""


async def _find(resolver: Resolver, domain: str, timeout_s: float) -> Finding:
    try:
        async with asyncio.timeout(timeout_s):
            return Finding(domain, await _policy_of(resolver, domain))
    except (_Unclear, TimeoutError):
        return Finding(domain, problem="temperror")


async def evaluate(
    resolver: Resolver, findings: Sequence[Finding], spf: str, spf_domain: str, signatures: Sequence[Signature]
) -> Verdict:
    """What DMARC says of a message. spf: result for spf_domain. Never raises on content or answers.

    With several author domains the gravest verdict counts, and of failures the one with the strictest policy.
    """
    verdicts = [await _judge(resolver, finding, spf, spf_domain, signatures) for finding in findings]
    if not verdicts:
        return Verdict("permerror")  # no author domain: nobody to ask (s5.3.1)
    return max(verdicts, key=lambda verdict: (_GRAVITY.index(verdict.result), _strength(verdict)))


_GRAVITY: Final = ("none", "pass", "permerror", "temperror", "fail")  # which of several verdicts counts


def _strength(verdict: Verdict) -> int:
    return POLICIES.index(verdict.policy) if verdict.policy else -1


async def _judge(
    resolver: Resolver, finding: Finding, spf: str, spf_domain: str, signatures: Sequence[Signature]
) -> Verdict:
    domain, found = finding.domain, finding.policy
    if finding.problem:
        return Verdict(finding.problem, domain)
    if found is None:
        return Verdict("none", domain)
    if not found.record.usable:
        return Verdict("permerror", domain)
    try:
        for result, strict, identifiers in (
            ("pass", found.record.strict_dkim, [one.domain for one in signatures if one.result == "pass"]),
            ("pass", found.record.strict_spf, [spf_domain] if spf == "pass" else []),
            # What DNS did not answer might have been a pass: no failure can be told then (s5.3.6).
            ("temperror", found.record.strict_dkim, [one.domain for one in signatures if one.result == "temperror"]),
            ("temperror", found.record.strict_spf, [spf_domain] if spf == "temperror" else []),
        ):
            if await _any_aligned(resolver, domain, found.organization, identifiers, strict):
                return Verdict(result, domain, found.policy)
    except _Unclear:
        return Verdict("temperror", domain, found.policy)
    return Verdict("fail", domain, found.policy)


async def _any_aligned(
    resolver: Resolver, domain: str, organization: str, identifiers: Iterable[str], strict: bool
) -> bool:
    """Whether one of the identifiers is aligned (s3.2.10, s4.10.2). Raises _Unclear."""
    names = dict.fromkeys(a_label(one) for one in identifiers)
    if domain in names:
        return True
    if strict or not names:
        return False
    if not organization:
        raise _Unclear
    if organization in names:
        return True  # a walk that ends there from below does so from there, too
    # Others cannot have this organization, so nothing is asked about them: strangers name as many as they like.
    below = [one for one in names if one == organization or one.endswith("." + organization)]
    for name in below[: limits.ALIGNMENT_WALKS]:
        walk, is_whole = await _walk(resolver, name)
        if not is_whole:
            raise _Unclear
        if organization_of(name, walk) == organization:
            return True
    return False
