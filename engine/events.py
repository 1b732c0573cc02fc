"""The events of the journal (LOG-05): one tagged union, named as in the report tables (RSYS, RSMTP, RMSG, RBLK).

Each line of the journal is one event as a JSON object; `event` is its name. Names and fields are stable:
reports, log shippers and people with jq read them. time is RFC 3339, UTC, microseconds.
"""

import msgspec


class Event(msgspec.Struct, kw_only=True, tag_field="event", omit_defaults=True):
    time: str = ""
    process: str = ""  # as in "relay-0"


# --- System (RSYS) ---


class ServiceStarted(Event, tag="service-started"):
    version: str
    after_crash: bool = False


class ServiceStartFailed(Event, tag="service-start-failed"):
    reason: str


class ServiceStopped(Event, tag="service-stopped"):
    pass


class ProcessRestarted(Event, tag="process-restarted"):
    name: str
    reason: str


class Logon(Event, tag="logon"):
    result: str  # Succeeded or Failed
    user: str
    client: str


class Logoff(Event, tag="logoff"):
    result: str
    user: str
    client: str
    reason: str = ""  # request or timeout


class ObjectModified(Event, tag="object-modified"):
    object: str
    user: str
    client: str
    modification: str


class ConfigurationApplied(Event, tag="configuration-applied"):
    revision: str


class ConfigurationRefused(Event, tag="configuration-refused"):
    reason: str


class ScannerStarted(Event, tag="scanner-started"):
    """What holds it: missing names what this kernel does not give to the sandbox. landlock: its ABI, 0 without."""

    pid: int
    seccomp: bool
    landlock: int
    missing: tuple[str, ...] = ()


class DefinitionsLoaded(Event, tag="definitions-loaded"):
    revision: str
    signatures: int


class ReorderingStarted(Event, tag="reordering-started"):
    """PROC-08: mail for a next hop that takes mail again is brought to the front of the slow queue."""


class ReorderingStopped(Event, tag="reordering-stopped"):
    moved: int
    seconds: float


class DefinitionsRefused(Event, tag="definitions-refused"):
    reason: str


# --- SMTP (RSMTP) ---


class ConnectionFrom(Event, tag="connection-from"):
    result: str  # accepted, queued or refused
    client: str
    connection_id: str


class ConnectedTo(Event, tag="connected-to"):
    result: str
    server: str
    connection_id: str
    kind: str  # Actual or Cached
    tls: str = ""


class Disconnected(Event, tag="disconnected"):
    side: str  # client or server: who ended it
    client: str
    connection_id: str


class ConnectionClosed(Event, tag="connection-closed"):
    server: str
    connection_id: str
    last_command: str = ""
    last_response: str = ""


class ProtocolViolation(Event, tag="protocol-violation"):
    client: str
    connection_id: str
    violation: str


class Rejected(Event, tag="rejected"):
    client: str
    connection_id: str
    reason: str  # an id of engine.replies.Reason
    reverse_path: str = ""
    forward_path: str = ""


# --- Message (RMSG) ---


class MessageEvent(Event):
    smtp_id: str


class Accepted(MessageEvent, tag="accepted"):
    reverse_path: str
    forward_paths: tuple[str, ...]
    size: int
    client: str
    connection_id: str
    subject: str = ""


class Scanned(MessageEvent, tag="scanned"):
    verdict: str
    subject: str = ""
    definitions: str = ""
    signatures: tuple[str, ...] = ()
    unscanned: tuple[str, ...] = ()


class Dropped(MessageEvent, tag="dropped"):
    reason: str
    reverse_path: str = ""
    forward_paths: tuple[str, ...] = ()


class Held(MessageEvent, tag="held"):
    reason: str


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


class Forwarded(MessageEvent, tag="forwarded"):
    forward_path: str


class Completed(MessageEvent, tag="completed"):
    pass


class QueueMoved(MessageEvent, tag="queue-moved"):
    place: str
    reason: str


class ScannerCrashed(MessageEvent, tag="scanner-crashed"):
    count: int
    reason: str


# --- Blocking and infections (RBLK) ---


class VirusLogged(MessageEvent, tag="virus-logged"):
    virus: str
    part: str


class FileRepaired(MessageEvent, tag="file-repaired"):
    virus: str
    part: str


class FileDeleted(MessageEvent, tag="file-deleted"):
    virus: str
    part: str


class AttachmentDeleted(MessageEvent, tag="attachment-deleted"):
    """A top-level attachment was stripped (STAT-28)."""

    part: str
    file: str
    reason: str


class ScanError(MessageEvent, tag="scan-error"):
    description: str


class QueueLengths(Event, tag="queue-lengths"):
    """Written by each relay once a minute and when asked: STAT-25..27. fast is of that relay, the others likewise."""

    fast: int
    slow: int
    hold: int


AnyEvent = (
    ServiceStarted
    | ServiceStartFailed
    | ServiceStopped
    | ProcessRestarted
    | Logon
    | Logoff
    | ObjectModified
    | ConfigurationApplied
    | ConfigurationRefused
    | ScannerStarted
    | DefinitionsLoaded
    | DefinitionsRefused
    | ReorderingStarted
    | ReorderingStopped
    | ConnectionFrom
    | ConnectedTo
    | Disconnected
    | ConnectionClosed
    | ProtocolViolation
    | Rejected
    | Accepted
    | Scanned
    | Dropped
    | Held
    | Bounced
    | Delivered
    | DeliveryDeferred
    | DeliveryFailed
    | DeliverySuppressed
    | Forwarded
    | Completed
    | QueueMoved
    | ScannerCrashed
    | VirusLogged
    | FileRepaired
    | FileDeleted
    | AttachmentDeleted
    | ScanError
    | QueueLengths
)
