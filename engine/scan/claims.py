"""What a message claims about its origin: DKIM signatures and ARC sets, hashed but not yet verified.

Hostile octets are read here, in the scanner; the relay gets hashes and names only, asks DNS for the keys and checks
the signatures (engine/sender/dkim.py, arc.py).
"""

import msgspec


class Claims(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of one message; see collect."""


def collect(data: bytes) -> Claims:
    """The claims of one message as received. Never raises on content; bounded by engine.limits."""
    return Claims()
