"""The records of queue files, as Structs. Framing and checksums are in framing.py.

One message is the sequence Received, Body..., End and then what happened to it: Started, Crashed, Verdict,
Edited, Attempt, Told, Moved, Done. Replaying the sequence gives the state of the message (state.py).
"""

from enum import StrEnum
from typing import Final

import msgspec


class Result(StrEnum):
    """What became of one recipient. PENDING is no result yet; the others are final (PROC-26)."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    DROPPED = "dropped"
    FORWARDED = "forwarded"
    SUPPRESSED = "suppressed"


BLOCKED: Final = "blocked"  # in place of a verdict: policy removed it before it was scanned for viruses (PROC-02)


class Disposition(StrEnum):
    """What policy decided for a message, weakest first (PROC-19).

    REFUSE: its client still waits, and is told in the reply. What is refused was never promised, so this is in no file.
    """

    DELIVER = "deliver"
    BOUNCE = "bounce"
    HOLD = "hold"
    FORWARD = "forward"
    DROP = "drop"
    REFUSE = "refuse"


class Onward(StrEnum):
    """How a message goes on that was moved."""

    USUAL = ""  # a held one is processed anew, any other goes on where it was
    AS_IS = "as-is"  # released: delivered, whatever was found and decided
    ANEW = "anew"  # examined and judged again


class Recipient(msgspec.Struct, frozen=True, array_like=True):
    """A forward-path without its angle brackets, and its DSN parameters (RFC 3461 s4.1, s4.2)."""

    address: str
    notify: str = ""  # comma list of NEVER, SUCCESS, FAILURE, DELAY; empty: not given
    orcpt: str = ""

    def wants(self, keyword: str) -> bool:
        """Whether NOTIFY names it; the case of letters does not matter."""
        return keyword in self.notify.upper().split(",")


class Record(msgspec.Struct, array_like=True, omit_defaults=True):
    """Base of all records. id is the SMTP ID."""

    id: str


class Received(Record, tag=1):
    """Trace and envelope, written when the first octets of the body arrive."""

    time_ns: int  # since 1970, UTC
    connection_id: str
    client: str  # address literal text, IPv4 or IPv6
    client_port: int
    helo: str
    protocol: str  # RFC 3848: SMTP, ESMTP, ESMTPS, UTF8SMTP, ...
    tls: str  # empty, or as in "TLSv1.3 TLS_AES_256_GCM_SHA384"
    reverse_path: str  # without angle brackets; empty is the null reverse-path
    recipients: tuple[Recipient, ...]
    body: str = "8BITMIME"  # RFC 6152 BODY parameter: 7BIT or 8BITMIME
    smtputf8: bool = False
    ret: str = ""  # RFC 3461 RET: FULL, HDRS or empty
    envid: str = ""
    internal: bool = False  # made by Mailward itself (bounces, notifications, forwards): not scanned
    forward_of: str = ""  # SMTP ID of the message that this one carries to somebody else (PROC-18)
    word: str = ""  # names a mail of our own that was given to us to send: not queued twice
    submitter: str = ""  # who logged on to hand it in (RELAY-14)
    require_tls: bool = False  # RFC 8689


class Body(Record, tag=2):
    """A run of message octets, dot-unstuffed, CRLF line ends. `data` stays last: its octets end the payload."""

    data: bytes


class End(Record, tag=3):
    """The message is complete. What has no End was never promised."""

    size: int
    crc32c: int


class Started(Record, tag=4):
    """Handed to a scanner. One without a Verdict after it means that the relay died meanwhile (PROC-12)."""


class Crashed(Record, tag=5):
    """A scanner died on it, or a relay while it was being scanned. count: crashes so far."""

    count: int
    detail: str


class Verdict(Record, tag=6):
    """The result of the scan and what policy made of it (plain words, for people and reports)."""

    verdict: str  # engine.scan.facts.Verdict, or BLOCKED
    disposition: Disposition
    reason: str = ""
    signatures: tuple[str, ...] = ()
    subject: str = ""
    definitions: str = ""
    forwards: tuple[tuple[str, str], ...] = ()  # (address, subject) of FORWARD (PROC-18)
    results: str = ""  # body of the Authentication-Results field that goes before the message; empty: none
    suspect: bool = False  # HOLD because it could not be processed (PROC-13), perhaps beside other reasons
    doubt: str = ""  # why its sender is not told what becomes of it; empty: is told


class Splice(msgspec.Struct, frozen=True, array_like=True):
    """Octets [start, end) of the body as received are replaced by data."""

    start: int
    end: int
    data: bytes


class Edited(Record, tag=7):
    """What the rewriter changed: ordered splices that do not overlap. All else stays as received.

    Splices too large for one record follow in further Edited records. index: place of the first splice among all
    of the message, so that a record written twice is still one edit; what was there from that place on is replaced.
    """

    splices: tuple[Splice, ...]
    index: int = 0


class Attempt(Record, tag=8):
    """One delivery attempt of one recipient. recipient: its index in Received.recipients."""

    time_ns: int
    recipient: int
    result: Result  # PENDING: failed for now
    reply: str  # last reply of the next hop, or our own words for connection and DNS troubles
    next_hop: str
    relayed: bool = False  # the sender wants to know of DELIVERED, and this next hop will not say so (RFC 3461)


class Moved(Record, tag=9):
    """Where a person or the relay moved it, and why. place: slow, hold or fast."""

    time_ns: int
    place: str
    reason: str
    due_ns: int = 0  # not to be tried again before
    attempts: int = 0  # delivery attempts so far: a copy keeps only the last Attempt of each recipient
    onward: Onward = Onward.USUAL


class Done(Record, tag=10):
    """Nothing is left to do, or the message was copied out into a file of its own."""


class Notice(StrEnum):
    """What a delivery status notification says, as its Action field (RFC 3464 s2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"
    RELAYED = "relayed"


class Told(Record, tag=11):
    """A notice about these recipients is durable, so none is made again. FAILED is not noted: its Attempt says it."""

    notice: Notice
    recipients: tuple[int, ...]


AnyRecord = Received | Body | End | Started | Crashed | Verdict | Edited | Attempt | Moved | Done | Told
