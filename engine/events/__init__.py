"""The events of the journal (LOG-05): one tagged union, named as in the report tables (RSYS, RSMTP, RMSG, RBLK).

Each line of the journal is one event as a JSON object; `event` is its name. Names and fields are stable:
reports, log shippers and people with jq read them. time is RFC 3339, UTC, microseconds. A module for each subject, with
the union of its events at its end.
"""

from engine.events.access import AccessEvents, HttpViolation, Logoff, Logon, ObjectModified, UnauthorizedAccess
from engine.events.base import ContentEvent, Event, MessageEvent
from engine.events.content import (
    AttachmentDeleted,
    ContainerLimitExceeded,
    ContentEvents,
    DmarcFailed,
    EncryptedContainer,
    FileDeleted,
    FileNameBlocked,
    FileRepaired,
    ScanError,
    SenderBlocked,
    SpamListBlock,
    SubjectBlocked,
    VirusLogged,
)
from engine.events.definitions import (
    DefinitionsCompared,
    DefinitionsEvents,
    DefinitionsLoaded,
    DefinitionsOld,
    DefinitionsRefused,
    DefinitionsRolledBack,
    DefinitionsUpdated,
    DefinitionsUpdateSession,
    FoundLater,
)
from engine.events.message import (
    Accepted,
    Bounced,
    Completed,
    Converted,
    Delivered,
    DeliveryDeferred,
    DeliveryFailed,
    DeliverySuppressed,
    Dropped,
    Forwarded,
    Forwarding,
    Held,
    MessageEvents,
    Scanned,
    ScannerCrashed,
)
from engine.events.notices import AlertSent, AlertSuppressed, NoticesEvents, NotificationWanted
from engine.events.quarantine import (
    FileQuarantined,
    QuarantineEvents,
    QuarantineFailed,
    QuarantineFilling,
    QuarantineItemDeleted,
    QuarantineReleased,
    QuarantineServerFailed,
    QuarantineTransfer,
)
from engine.events.queue import QueueEvents, QueueLengths, QueueMoved, ReorderingStarted, ReorderingStopped
from engine.events.smtp import (
    BlockListUnusable,
    ConnectedTo,
    ConnectionClosed,
    ConnectionFailed,
    ConnectionFrom,
    Disconnected,
    ProtocolViolation,
    Rejected,
    SmtpEvents,
    SubmitterRefused,
)
from engine.events.system import (
    CertificateExpires,
    CertificateNotRenewed,
    ConfigurationAdopted,
    ConfigurationApplied,
    ConfigurationRefused,
    FileAccessError,
    LoggingSwitched,
    LowDisk,
    LowMemory,
    ProcessRestarted,
    ScannerStarted,
    ServiceStarted,
    ServiceStartFailed,
    ServiceStopped,
    ServiceStopping,
    SystemEvents,
)

__all__ = [
    "Accepted",
    "AlertSent",
    "AlertSuppressed",
    "AnyEvent",
    "AttachmentDeleted",
    "BlockListUnusable",
    "Bounced",
    "CertificateExpires",
    "CertificateNotRenewed",
    "Completed",
    "ConfigurationAdopted",
    "ConfigurationApplied",
    "ConfigurationRefused",
    "ConnectedTo",
    "ConnectionClosed",
    "ConnectionFailed",
    "ConnectionFrom",
    "ContainerLimitExceeded",
    "ContentEvent",
    "Converted",
    "DefinitionsCompared",
    "DefinitionsLoaded",
    "DefinitionsOld",
    "DefinitionsRefused",
    "DefinitionsRolledBack",
    "DefinitionsUpdateSession",
    "DefinitionsUpdated",
    "Delivered",
    "DeliveryDeferred",
    "DeliveryFailed",
    "DeliverySuppressed",
    "Disconnected",
    "DmarcFailed",
    "Dropped",
    "EncryptedContainer",
    "Event",
    "FileAccessError",
    "FileDeleted",
    "FileNameBlocked",
    "FileQuarantined",
    "FileRepaired",
    "Forwarded",
    "Forwarding",
    "FoundLater",
    "Held",
    "HttpViolation",
    "LoggingSwitched",
    "Logoff",
    "Logon",
    "LowDisk",
    "LowMemory",
    "MessageEvent",
    "NotificationWanted",
    "ObjectModified",
    "ProcessRestarted",
    "ProtocolViolation",
    "QuarantineFailed",
    "QuarantineFilling",
    "QuarantineItemDeleted",
    "QuarantineReleased",
    "QuarantineServerFailed",
    "QuarantineTransfer",
    "QueueLengths",
    "QueueMoved",
    "Rejected",
    "ReorderingStarted",
    "ReorderingStopped",
    "ScanError",
    "Scanned",
    "ScannerCrashed",
    "ScannerStarted",
    "SenderBlocked",
    "ServiceStartFailed",
    "ServiceStarted",
    "ServiceStopped",
    "ServiceStopping",
    "SpamListBlock",
    "SubjectBlocked",
    "SubmitterRefused",
    "UnauthorizedAccess",
    "VirusLogged",
]

AnyEvent = (
    SystemEvents
    | AccessEvents
    | DefinitionsEvents
    | SmtpEvents
    | MessageEvents
    | QueueEvents
    | ContentEvents
    | QuarantineEvents
    | NoticesEvents
)
