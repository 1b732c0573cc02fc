"""Every setting, typed: the one declaration that forms, validation, API and defaults come from (PROC-15).

A Struct for each table of the file, in the module of its subject; `descriptions.py` has the words for each field and
`fields.py` all of them as data. `file.py` reads and writes: values by `read.py`, places by `lines.py`. `checks.py` says
what types cannot, with the syntax of lists in `entries.py` and of texts in `metatags.py`.
"""

from engine.config.antivirus import (
    Antivirus,
    HeuristicsLevel,
    LeftoverAction,
    ScannedFiles,
    UnrepairableAction,
    UnscannedAction,
    VirusAction,
)
from engine.config.base import ConfigError, Problem, Section
from engine.config.blocking import (
    MODERN_RISKY_NAMES,
    RISKY_NAMES,
    Action,
    Authentication,
    Blocking,
    BlockList,
    BlockLists,
    Characters,
    ContainerAction,
    ContainerLimits,
    Dmarc,
    Encrypted,
    FileNames,
    Forward,
    ListAction,
    MessageAction,
    Senders,
    Size,
    SubjectLines,
    WhiteList,
)
from engine.config.certificates import Acme
from engine.config.checks import problems, remarks
from engine.config.delivery import Delivery, Grant, Relay, Route, RouteTls, Routing, TlsPolicy
from engine.config.diagnostics import (
    ConversationLog,
    DataStream,
    Diagnostics,
    ErrorClass,
    LogLevel,
    SaveQueueFiles,
)
from engine.config.entries import relay_entry_error
from engine.config.file import FILE_NAME, dump, load, parse, save
from engine.config.notices import Alerts, Kind, Notice, Notices, Notifications, Outbreak
from engine.config.quarantine import Quarantine, QuarantinedFiles
from engine.config.settings import Settings
from engine.config.signon import Oidc
from engine.config.smtp import (
    Dns,
    FurtherListener,
    Listener,
    ListenMode,
    ListenTls,
    Logging,
    Pages,
    PlainPages,
    Processes,
    Smtp,
    Web,
)
from engine.config.updates import Days, Frequency, Updates

__all__ = [
    "FILE_NAME",
    "MODERN_RISKY_NAMES",
    "RISKY_NAMES",
    "Acme",
    "Action",
    "Alerts",
    "Antivirus",
    "Authentication",
    "BlockList",
    "BlockLists",
    "Blocking",
    "Characters",
    "ConfigError",
    "ContainerAction",
    "ContainerLimits",
    "ConversationLog",
    "DataStream",
    "Days",
    "Delivery",
    "Diagnostics",
    "Dmarc",
    "Dns",
    "Encrypted",
    "ErrorClass",
    "FileNames",
    "Forward",
    "Frequency",
    "FurtherListener",
    "Grant",
    "HeuristicsLevel",
    "Kind",
    "LeftoverAction",
    "ListAction",
    "ListenMode",
    "ListenTls",
    "Listener",
    "LogLevel",
    "Logging",
    "MessageAction",
    "Notice",
    "Notices",
    "Notifications",
    "Oidc",
    "Outbreak",
    "Pages",
    "PlainPages",
    "Problem",
    "Processes",
    "Quarantine",
    "QuarantinedFiles",
    "Relay",
    "Route",
    "RouteTls",
    "Routing",
    "SaveQueueFiles",
    "ScannedFiles",
    "Section",
    "Senders",
    "Settings",
    "Size",
    "Smtp",
    "SubjectLines",
    "TlsPolicy",
    "UnrepairableAction",
    "UnscannedAction",
    "Updates",
    "VirusAction",
    "Web",
    "WhiteList",
    "dump",
    "load",
    "parse",
    "problems",
    "relay_entry_error",
    "remarks",
    "save",
]
