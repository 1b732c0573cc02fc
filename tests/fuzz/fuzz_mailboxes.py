"""A From field, hostile or not: what is read are addresses, few, short, without control characters."""

from engine import limits
from engine.scan.mailboxes import addresses

SEEDS = [
    b"Alice <alice@example.com>, bob@example.net",
    b'friends: "Last, First" <a@example.com>, (c (d) e) b@example.com;',
    b"=?utf-8?q?Boss_=3Cevil=40example=2Eorg=3E?=",
    b"<@relay.example:a@[192.0.2.1]>",
]


def one_input(data: bytes) -> None:
    found = addresses([data])
    assert len(found) <= limits.FROM_ADDRESSES and len(set(found)) == len(found)
    for address in found:
        local, at, domain = address.rpartition("@")
        assert at and local and domain
        assert address.isprintable() and len(address) <= limits.PATH_LEN
