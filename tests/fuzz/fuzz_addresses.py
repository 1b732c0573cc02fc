"""Addresses that mail claims against lists: any text is looked up, and what is named is in the list."""

from engine.policy.addresses import AddressList, domain, plain
from engine.sender.block_lists import asked_as

ENTRIES = ("a@example.com", "@example.com", ".example.com", "@münchen.example", ".münchen.example", '"a b"@example.com')
LISTED = AddressList(ENTRIES)
SEEDS = [entry.encode() for entry in ENTRIES] + [
    b'"a"@example.com',
    b"x@\xe2\x80\xa8.m\xc3\xbcnchen.example",
    b"::ffff:1.2.3.4",
]


def one_input(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    entry = LISTED.match(text)
    assert entry in ("", *ENTRIES)
    name = domain(text.rpartition("@")[2])
    assert domain(name) == name or not name
    if entry.startswith("."):
        assert name.endswith(domain(entry[1:]))
    assert plain(plain(text)) == plain(text)
    asked = asked_as(text)
    assert all(one.isalnum() or one == "." for one in asked)
