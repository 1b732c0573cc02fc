"""Any settings that are good, made from the declarations, so that a new field is tried at once."""

import typing
from typing import Any

import msgspec
from hypothesis import strategies as st

from engine.config import Settings, problems
from engine.config.base import Section
from engine.config.read import normalised, section_of

TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp"), exclude_characters="${"), max_size=12
)
LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,5}[a-z0-9])?", fullmatch=True)
DOMAIN = st.lists(LABEL, min_size=2, max_size=3).map(".".join)
ADDRESS = st.builds("{}@{}".format, LABEL, DOMAIN)
DOMAIN_ENTRY = st.builds("{}{}".format, st.sampled_from("@."), DOMAIN)
NETWORK = st.sampled_from(["10.0.0.0/8", "1.2.*", "192.0.2.1", "2001:db8::/32"]) | DOMAIN | DOMAIN.map("*.{}".format)
CODE = st.integers(0, 254).map("127.0.0.{}".format)
FILE_NAME = st.builds(str.format, st.sampled_from(["*.{}", "{}.*", "{}.txt", "{}?"]), LABEL)


def listed(entry: st.SearchStrategy[str], least: int = 0) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(entry, min_size=least, max_size=3).map(tuple)


# What types alone do not say; everything else follows from them.
SPECIAL: dict[str, st.SearchStrategy[Any]] = {
    "Smtp.hostname": st.just("") | DOMAIN,
    "Smtp.from_address": st.just("") | ADDRESS,
    "Smtp.proxies": listed(st.sampled_from(["192.0.2.1", "10.0.0.0/8", "2001:db8::/32"])),
    "Smtp.xclient": listed(st.sampled_from(["192.0.2.1", "10.0.0.0/8", "2001:db8::/32"])),
    "Antivirus.include": listed(LABEL.map(".{}".format)),
    "Antivirus.exclude": listed(LABEL.map(".{}".format)),
    "Antivirus.heuristics_exempt": listed(st.sampled_from(["Heuristic.PackedProgram", "ab" * 32])),
    "Quarantine.server": st.just("") | DOMAIN,
    "Quarantine.enrollment": LABEL,
    "MailListener.port": st.integers(1, 999),  # each kind of port from a range of its own, since they must differ
    "PlainPages.port": st.integers(1000, 1999),
    "Pages.port": st.integers(2000, 2999),
    "FurtherListener.port": st.integers(3000, 65_535),
    "Smtp.submitters": LABEL,
    "Acme.directory": st.just("https://acme.example/directory"),
    "Acme.email": st.just("") | ADDRESS,
    "Acme.names": listed(DOMAIN),
    "Acme.terms_agreed": st.just(True),
    "Oidc.issuer": st.just("https://provider.example"),
    "Oidc.client_id": st.just("mailward"),
    "Oidc.user_claim": st.sampled_from(["email", "preferred_username"]),
    "Oidc.role_claim": st.sampled_from(["groups", "realm_access.roles"]),
    "Oidc.administrators": st.just(("postmasters",)),
    "Web.names": listed(DOMAIN),
    "Web.metrics_clients": listed(st.sampled_from(["192.0.2.1", "10.0.0.0/8", "2001:db8::/32"])),
    "Dns.servers": listed(st.sampled_from(["192.0.2.53", "::1#5353"])),
    "Dns.validating": listed(st.sampled_from(["192.0.2.53", "::1"])),
    "Delivery.policy_exempt": listed(DOMAIN),
    "Route.name": DOMAIN,
    "Route.host": st.sampled_from(["", "10.0.0.5", "a.example:26,[::1]:27"]),
    "Routing.default_host": st.sampled_from(["", "10.0.0.5", "a.example,[::1]:26"]),
    "Relay.hosts": listed(NETWORK),
    "Grant.network": NETWORK,
    "Grant.tls_name": st.just("") | DOMAIN,
    "Grant.sender_domains": listed(DOMAIN_ENTRY),
    "Grant.header": st.just("X-Tenant"),
    "Grant.value": TEXT.map("t{}".format),
    "Forward.to": ADDRESS,
    "SubjectLines.lines": listed(TEXT),
    "FileNames.names": listed(FILE_NAME),
    "FileNames.modern_names": listed(FILE_NAME),
    "Senders.addresses": listed(ADDRESS | DOMAIN_ENTRY),
    "WhiteList.domains": listed(DOMAIN_ENTRY),
    "BlockList.domain": DOMAIN,
    "BlockList.codes": listed(CODE, 1),
    "BlockLists.score": st.just(1),
    "Updates.first": st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59)),
    "Days.monday": st.just(True),  # one day at least
    "Updates.sources": st.lists(st.builds("clamav+https://{}/a".format, DOMAIN), max_size=3).map(tuple),
    "Characters.characters": st.text("!#$%&*|", min_size=1, max_size=4),
    "Authentication.authserv_id": st.just("") | DOMAIN,
    "Authentication.trusted_sealers": listed(DOMAIN),
    "Notifications.administrators": listed(ADDRESS),
    "Outbreak.recipients": listed(ADDRESS),
    "Logging.virus_page": st.sampled_from(["", "https://viruses.example/?q={name}"]),
    "Delivery.retry_first_s": st.integers(1, 300),
    "Delivery.retry_last_s": st.integers(300, 9999),
}


def plain(type_: Any) -> st.SearchStrategy[Any]:
    origin, arguments = typing.get_origin(type_), typing.get_args(type_)
    if origin is typing.Annotated:
        meta = next(one for one in arguments if isinstance(one, msgspec.Meta))
        return st.integers(meta.ge, meta.le if meta.le is not None else 9999)  # type: ignore[arg-type]
    if origin is tuple:
        return listed(plain(arguments[0]))
    if hasattr(type_, "__members__"):
        return st.sampled_from(list(type_))
    return {bool: st.booleans(), int: st.integers(0, 99), str: TEXT}[type_]


def section(type_: type[Section]) -> st.SearchStrategy[Any]:
    fields: dict[str, st.SearchStrategy[Any]] = {}
    for name, hint in typing.get_type_hints(type_, include_extras=True).items():
        below = section_of(hint)
        special = SPECIAL.get(f"{type_.__name__}.{name}")
        if special is not None:
            fields[name] = special
        elif below is None:
            fields[name] = plain(hint)
        else:
            fields[name] = section(below) if below is hint else st.lists(section(below), max_size=2).map(tuple)
    return st.builds(type_, **fields)


good: st.SearchStrategy[Settings] = section(Settings).map(normalised).filter(lambda one: not problems(one))
