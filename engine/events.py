"""The events of the journal (LOG-05): one tagged union, named as in the report tables (RSYS, RSMTP, RMSG, RBLK).

Each line of the journal is one event as a JSON object; `event` is its name. Names and fields are stable:
reports, log shippers and people with jq read them. time is RFC 3339, UTC, microseconds.
"""

import msgspec

from engine.policy.evidence import Evidence
from engine.scan.facts import Suspicion


class Event(msgspec.Struct, kw_only=True, tag_field="event", omit_defaults=True):
    time: str = ""
    process: str = ""  # as in "relay-0"


# --- System (RSYS) ---


class ServiceStarted(Event, tag="service-started"):
    version: str
    after_crash: bool = False


class ServiceStartFailed(Event, tag="service-start-failed"):
    reason: str


class ServiceStopping(Event, tag="service-stopping"):
    """Written while mail can still be queued, so that the alert goes out before the end (ALR-03)."""


class ServiceStopped(Event, tag="service-stopped"):
    pass


class ProcessRestarted(Event, tag="process-restarted"):
    name: str
    reason: str


class Logon(Event, tag="logon"):
    """failures: how many there were one after the other, of this account or this client, with this one (ALR-13)."""

    result: str  # Succeeded or Failed
    user: str
    client: str
    failures: int = 0


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
    """changed: names of settings, never their values (ALR-07)."""

    revision: str
    changed: tuple[str, ...] = ()


class ConfigurationAdopted(Event, tag="configuration-adopted"):
    """A relay works by the new settings from now on (PROC-15)."""


class LoggingSwitched(Event, tag="logging-switched"):
    """LOG-01: from here on the journal has everything (on), or only what people are told of (RPT-18)."""

    enabled: bool


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


class DefinitionsUpdateSession(Event, tag="definitions-update-session"):
    """DEF-12: an attempt has ended. result: Succeeded, Nothing new or Failed. user: who asked, or "schedule"."""

    result: str
    user: str
    source: str = ""
    reason: str = ""


class DefinitionsUpdated(Event, tag="definitions-updated"):
    """DEF-12. date: of the set, RFC 3339. number: the publisher's revision number, 0 if there is none."""

    result: str  # Succeeded or Failed
    revision: str
    number: int = 0
    date: str = ""
    reason: str = ""


class DefinitionsCompared(Event, tag="definitions-compared"):
    """DEF-16: copies of live messages were examined with the definitions in force and with others.

    found, gone: names of signatures that only the others, or only those in force, found, one for each message.
    before_ms, after_ms: processor time for all of these messages. crash: how the scanner ended with the others.
    """

    revision: str
    messages: int
    found: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    before_ms: int = 0
    after_ms: int = 0
    crash: str = ""


class DefinitionsRolledBack(Event, tag="definitions-rolled-back"):
    """The gateway went back to the definitions before, by itself (DEF-16)."""

    revision: str
    back_to: str
    reason: str


class DefinitionsOld(Event, tag="definitions-old"):
    """They are older than the settings want. date: of the set, RFC 3339. recovered: newer ones are in force."""

    date: str
    days: int
    recovered: bool = False


# --- SMTP (RSMTP) ---


class ConnectionFrom(Event, tag="connection-from"):
    result: str  # accepted, queued or refused
    client: str
    connection_id: str
    proxy: str = ""  # the host that said who the client is


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


class SubmitterRefused(Event, tag="submitter-refused"):
    """An AUTH came to nothing. submitter: the name, if there is an account of it."""

    client: str
    connection_id: str
    submitter: str
    reason: str


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


class Completed(MessageEvent, tag="completed"):
    pass


class QueueMoved(MessageEvent, tag="queue-moved"):
    place: str
    reason: str


class ScannerCrashed(MessageEvent, tag="scanner-crashed"):
    count: int
    reason: str


# --- Blocking and infections (RBLK) ---


class ContentEvent(MessageEvent, kw_only=True):
    """What policy found in a message, whose envelope stands with it: reports show both in one row (RBLK, RPT-13)."""

    reverse_path: str = ""
    forward_paths: tuple[str, ...] = ()


class VirusLogged(ContentEvent, tag="virus-logged"):
    """One infected file that was left as it is. virus, in this event, of files repaired and deleted: the names of all
    that was found in it, by whatever engine (AV-12, AV-14)."""

    virus: str
    part: str
    file: str = ""


class FileRepaired(ContentEvent, tag="file-repaired"):
    """done: what was taken out of it, in words; scanned again, it was clean (AV-13)."""

    virus: str
    part: str
    file: str = ""
    done: str = ""


class FoundLater(ContentEvent, tag="found-later"):
    """New definitions name a file that was delivered before. forward_paths: who got it; delivered: when, RFC 3339."""

    virus: str
    file: str
    sha256: str
    delivered: str
    definitions: str = ""


class FileDeleted(ContentEvent, tag="file-deleted"):
    virus: str
    part: str
    file: str = ""


class FileQuarantined(ContentEvent, tag="file-quarantined"):
    """QRN-10: the original is in the local quarantine. item: its id there."""

    file: str
    part: str
    virus: str  # all of them, with commas
    sha256: str
    size: int
    item: str


class QuarantineFailed(MessageEvent, tag="quarantine-failed"):
    """QRN-05: infected files of a message could not be put aside. The message went on."""

    reason: str


class AttachmentDeleted(ContentEvent, tag="attachment-deleted"):
    """A top-level attachment was stripped (STAT-28)."""

    part: str
    file: str
    reason: str


class SubjectBlocked(ContentEvent, tag="subject-blocked"):
    """RBLK-05. handling, in this event and those below: drop, log, forward, hold or delete."""

    subject: str
    entry: str
    handling: str


class SenderBlocked(ContentEvent, tag="sender-blocked"):
    """RBLK-07. sender: the address that matched, of the envelope or of the From field."""

    sender: str
    entry: str
    handling: str


class SpamListBlock(ContentEvent, tag="spam-list-block"):
    """RBLK-09, DNSBL-08. reason: list and return code."""

    handling: str
    reason: str
    client: str = ""


class DmarcFailed(ContentEvent, tag="dmarc-failed"):
    domain: str
    policy: str
    handling: str
    reason: str = ""


class ContainerLimitExceeded(ContentEvent, tag="container-limit-exceeded"):
    limit: str
    part: str
    handling: str


class EncryptedContainer(ContentEvent, tag="encrypted-container"):
    part: str
    file: str
    handling: str


class FileNameBlocked(ContentEvent, tag="file-name-blocked"):
    part: str
    file: str
    entry: str
    handling: str


class NotificationWanted(MessageEvent, tag="notification-wanted"):
    """Somebody has to be told (NTF-00): control/post/postman.py writes the mail and keeps the rates.

    kind: a value of engine.config.Kind. audience: sender or administrator. to: the sender's address; empty for
    administrators. values: metatags of META-01..05, without braces, and what stands for them.
    """

    kind: str
    audience: str
    to: str = ""
    values: dict[str, str] = {}


class ScanError(ContentEvent, tag="scan-error"):
    description: str


class BlockListUnusable(Event, tag="block-list-unusable"):
    """A DNS block list failed its self-test or answers errors: it is not used for a while. recovered: it is again."""

    list: str
    reason: str
    recovered: bool = False


class ConnectionFailed(Event, tag="connection-failed"):
    """A next hop cannot be reached (ALR-14)."""

    server: str
    reason: str


class LowDisk(Event, tag="low-disk"):
    """ALR-04. directory: logging, scanning or mail queue. recovered: above the mark again."""

    directory: str
    path: str
    free_percent: float
    recovered: bool = False


class LowMemory(Event, tag="low-memory"):
    """ALR-05."""

    free_percent: float
    recovered: bool = False


class CertificateExpires(Event, tag="certificate-expires"):
    """CERT-08: fewer days are left than within_days; 0: it has expired. recovered: there is one that lasts."""

    subject: str
    expires: str
    within_days: int
    recovered: bool = False


class CertificateNotRenewed(Event, tag="certificate-not-renewed"):
    """CERT-05: the authority was asked and issued none; what is in force stays."""

    names: tuple[str, ...]
    reason: str
    expires: str = ""


class QuarantineFilling(Event, tag="quarantine-filling"):
    """QRN-05: the local quarantine is 80 % full, or not any more. octets, most: what it has, and may have."""

    percent: int
    octets: int
    most: int
    recovered: bool = False


class QuarantineTransfer(Event, tag="quarantine-transfer"):
    """QRN-03: the central server has a file, which was deleted here then."""

    item: str
    file: str
    server: str


class QuarantineServerFailed(Event, tag="quarantine-server-failed"):
    """QRN-05: the central server takes nothing, so that files pile up here. recovered: it does again."""

    server: str
    reason: str
    recovered: bool = False


class QuarantineItemDeleted(Event, tag="quarantine-item-deleted"):
    """by: a user; empty: it was too old."""

    item: str
    by: str = ""


class QuarantineReleased(Event, tag="quarantine-released"):
    """A file goes to somebody after all, in a mail of our own. by: a user, here or at the central server."""

    smtp_id: str
    item: str
    file: str
    sha256: str
    forward_paths: tuple[str, ...]
    by: str


class FileAccessError(Event, tag="file-access-error"):
    """ALR-10."""

    path: str
    reason: str


class HttpViolation(Event, tag="http-violation"):
    """ALR-12."""

    client: str
    violation: str


class UnauthorizedAccess(Event, tag="unauthorized-access"):
    """ALR-15: a page or call was refused for want of rights."""

    client: str
    path: str
    user: str = ""


class AlertSent(Event, tag="alert-sent"):
    """Mail of our own went out. kind: name of an alert, `outbreak`, or kind and audience of a notification."""

    kind: str
    recipients: int
    smtp_id: str = ""


class AlertSuppressed(Event, tag="alert-suppressed"):
    """It was not written, and why: one an hour has gone out already, nobody is named to get it (NTF-13, NTF-15)."""

    kind: str
    reason: str
    smtp_id: str = ""


class QueueLengths(Event, tag="queue-lengths"):
    """Written by each relay once a minute and when they change: STAT-25..27. Each length is of that relay."""

    fast: int
    slow: int
    hold: int


AnyEvent = (
    ServiceStarted
    | ServiceStartFailed
    | ServiceStopping
    | ServiceStopped
    | ProcessRestarted
    | Logon
    | Logoff
    | ObjectModified
    | ConfigurationApplied
    | ConfigurationAdopted
    | LoggingSwitched
    | ConfigurationRefused
    | ScannerStarted
    | DefinitionsLoaded
    | DefinitionsRefused
    | DefinitionsUpdateSession
    | DefinitionsUpdated
    | DefinitionsCompared
    | DefinitionsRolledBack
    | DefinitionsOld
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
    | Converted
    | DeliverySuppressed
    | Forwarding
    | Forwarded
    | Completed
    | QueueMoved
    | ScannerCrashed
    | VirusLogged
    | FileRepaired
    | FoundLater
    | FileDeleted
    | FileQuarantined
    | QuarantineFailed
    | AttachmentDeleted
    | SubjectBlocked
    | SenderBlocked
    | SpamListBlock
    | DmarcFailed
    | ContainerLimitExceeded
    | EncryptedContainer
    | FileNameBlocked
    | NotificationWanted
    | ScanError
    | BlockListUnusable
    | ConnectionFailed
    | LowDisk
    | LowMemory
    | CertificateExpires
    | CertificateNotRenewed
    | QuarantineFilling
    | QuarantineTransfer
    | QuarantineServerFailed
    | QuarantineItemDeleted
    | QuarantineReleased
    | FileAccessError
    | HttpViolation
    | UnauthorizedAccess
    | AlertSent
    | AlertSuppressed
    | QueueLengths
)
