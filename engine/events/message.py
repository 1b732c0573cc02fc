"""The way of a message, from acceptance to its end (RMSG)."""

from engine.events.base import MessageEvent
from engine.policy.evidence import Evidence
from engine.scan.facts import Suspicion


class Accepted(MessageEvent, tag="accepted"):
    reverse_path: str
    forward_paths: tuple[str, ...]
    size: int
    client: str
    connection_id: str
    subject: str = ""
    submitter: str = ""  # who logged on to hand it in (RELAY-14)


class Scanned(MessageEvent, tag="scanned"):
    verdict: str
    subject: str = ""
    definitions: str = ""
    signatures: tuple[str, ...] = ()
    unscanned: tuple[str, ...] = ()
    evidence: Evidence = Evidence()  # what policy decided by
    suspicions: tuple[Suspicion, ...] = ()  # why heuristics say what they say (AV-03)


class Dropped(MessageEvent, tag="dropped"):
    reason: str
    reverse_path: str = ""
    forward_paths: tuple[str, ...] = ()


class Held(MessageEvent, tag="held"):
    """suspect: it crashed the scanner again and again, or could not be processed (PROC-12, PROC-13, ALR-08)."""

    reason: str
    suspect: bool = False


class Bounced(MessageEvent, tag="bounced"):
    forward_path: str
    reason: str


class Delivered(MessageEvent, tag="delivered"):
    reverse_path: str
    forward_path: str
    server: str
    connection_id: str
    client: str = ""
    reply: str = ""
    delay_ms: int = 0  # from acceptance


class DeliveryDeferred(MessageEvent, tag="delivery-deferred"):
    forward_path: str
    reason: str
    server: str = ""


class DeliveryFailed(MessageEvent, tag="delivery-failed"):
    forward_path: str
    reason: str
    client: str = ""
    server: str = ""


class DeliverySuppressed(MessageEvent, tag="delivery-suppressed"):
    reverse_path: str
    forward_path: str
    reason: str


class NoticeSuppressed(MessageEvent, tag="notice-suppressed"):
    """The sender is not told what became of it for these recipients: it would be backscatter."""

    reverse_path: str
    forward_paths: tuple[str, ...]
    reason: str


class Converted(MessageEvent, tag="converted"):
    """The copy for a next hop without 8BITMIME was converted to 7bit; the queue keeps the original (RFC 6152 s3).

    breaks: the kinds of signatures in it that may not verify any more.
    """

    server: str
    breaks: tuple[str, ...] = ()


class Forwarding(MessageEvent, tag="forwarding"):
    """In place of delivery to its recipients (PROC-18): queued for this address as forward_id."""

    forward_path: str
    forward_id: str
    reason: str = ""


class Forwarded(MessageEvent, tag="forwarded"):
    """What was queued as forward_id has been delivered there: counted now (STAT-20, GAP-21)."""

    forward_path: str
    forward_id: str = ""


class Abandoned(MessageEvent, tag="abandoned"):
    """Its client left while it waited for the answer: nothing was promised, and it will come again."""

    client: str
    connection_id: str
    reverse_path: str = ""
    forward_paths: tuple[str, ...] = ()


class Completed(MessageEvent, tag="completed"):
    pass


class ScannerCrashed(MessageEvent, tag="scanner-crashed"):
    count: int
    reason: str


MessageEvents = (
    Accepted
    | Scanned
    | Dropped
    | Held
    | Bounced
    | Delivered
    | DeliveryDeferred
    | DeliveryFailed
    | DeliverySuppressed
    | Converted
    | NoticeSuppressed
    | Forwarding
    | Forwarded
    | Abandoned
    | Completed
    | ScannerCrashed
)
