"""The texts of MTA-STS: a policy or a refusal, nothing else; what was read is what its lines say again."""

from typing import Final

from engine.delivery.security.policy import PATTERNS, Mode, PolicyError, parse, record_id

SEEDS: Final = [
    b"version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmax_age: 604800\r\n",
    b"version: STSv1\nmode: none\nmax_age: 0\n",
    b"mode:testing\nversion:STSv1\nmx:a\nmax_age:9999999999\nother: x\nmode: none",
    b"v=STSv1; id=20160831085700Z;",
    b"v=STSv1;id=1;id=2",
]


def one_input(data: bytes) -> None:
    found = record_id(data.split(b"\n"))
    assert len(found) <= 32 and (not found or (found.isascii() and found.isalnum()))
    try:
        policy = parse(data, found)
    except PolicyError as error:
        assert str(error).isprintable()
        return
    assert len(policy.mx) <= PATTERNS and policy.max_age_s >= 0
    assert policy.mx or policy.mode is Mode.NONE
    assert all(one == one.lower() and one.isascii() and one.isprintable() for one in policy.mx)
    assert parse("\n".join(policy.lines()).encode(), found) == policy
    policy.allows("mail.example.com")
