"""What one transaction carries, and what of it a command line can."""

import re
from collections.abc import Sequence

import msgspec

from engine.queue.record import Recipient

_UNSAFE = re.compile(r"[\x00-\x1f\x7f]")


class Envelope(msgspec.Struct):
    """What one transaction carries. size: octets of the content.

    smtputf8: the content needs SMTPUTF8. require_tls: it must not go without TLS (RFC 8689). For a host that does not
    `takes_8bit`, it is in 7 bits.
    """

    reverse_path: str
    recipients: Sequence[Recipient]
    size: int
    smtputf8: bool = False
    require_tls: bool = False
    seven_bit_declared: bool = False
    ret: str = ""
    envid: str = ""


def is_utf8_path(path: str) -> bool:
    """Whether a path needs SMTPUTF8: its local part is not ASCII (a domain can go as A-labels)."""
    return not path.isascii() and not path.rpartition("@")[0].isascii()


def is_unsafe_path(path: str) -> bool:
    """Whether a path could end its command line and start another."""
    return _UNSAFE.search(path) is not None
