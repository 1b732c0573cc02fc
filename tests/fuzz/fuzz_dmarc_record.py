"""A DMARC policy record, and the domains of a From field: whatever they say, there is a policy of three or none."""

from typing import Final

from engine.sender.dmarc import POLICIES, domains_of, is_policy, parse, targets

SEEDS: Final = [
    b"v=DMARC1; p=reject; sp=quarantine; np=none; adkim=s; aspf=r; psd=n; t=y; rua=mailto:a@example.com!10m",
    b"v=DMARC1;p=;rua=,",
    b"a@b.example",
]


def one_input(data: bytes) -> None:
    record = parse(data)
    assert record.p in POLICIES and record.sp in ("", *POLICIES) and record.np in ("", *POLICIES)
    assert not is_policy(data) or data[:1] in b"vV"
    for domain in domains_of([data.decode("utf-8", "replace")]):
        assert len(targets(domain)) <= 8
