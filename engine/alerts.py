"""Which events people are told of by mail, and under which setting (ALR-01..15, OUT-01, NTF-00). Pure.

One table for two readers: control/post/postman.py writes the mail, and every process writes these events to the
journal also while local logging is off, since the journal is the way by which the postman hears of them (LOG-01).
"""

from typing import Final

from engine import events
from engine.config import Settings

LOGONS: Final = 3  # failures in a row from which on each is told (ALR-13, ACC-08)

_BY_TYPE: Final[dict[type[events.Event], str]] = {
    events.ServiceStopping: "stop",
    events.LowDisk: "low_disk",
    events.LowMemory: "low_memory",
    events.CertificateExpires: "certificate",
    events.CertificateNotRenewed: "certificate",
    events.DefinitionsLoaded: "definitions_updated",
    events.DefinitionsRefused: "definitions_updated",
    events.DefinitionsUpdateSession: "definitions_updated",
    events.DefinitionsRolledBack: "definitions_updated",
    events.DefinitionsOld: "definitions_old",
    events.FoundLater: "found_later",
    events.ConfigurationApplied: "configuration_changed",
    events.Held: "suspect_message",
    events.ScanError: "scan_error",
    events.ScannerCrashed: "scan_error",
    events.FileAccessError: "file_access",
    events.ProtocolViolation: "smtp_violation",
    events.HttpViolation: "http_violation",
    events.Logon: "failed_logons",
    events.ConnectionFailed: "connection_failure",
    events.UnauthorizedAccess: "unauthorized",
    events.BlockListUnusable: "block_list",
    events.QuarantineFilling: "quarantine",
    events.QuarantineFailed: "quarantine",
    events.QuarantineServerFailed: "quarantine",
}
INFECTED: Final = (events.VirusLogged, events.FileRepaired, events.FileDeleted, events.FileRefused)
# What an update of the definitions is judged by (DEF-16): without these it would be blind, and never go back by itself.
JUDGED_BY: Final = (
    events.DefinitionsLoaded,
    events.DefinitionsRefused,
    events.DefinitionsCompared,
    events.ScannerCrashed,
)
TOLD: Final[tuple[type[events.Event], ...]] = (events.ServiceStarted, events.NotificationWanted, *INFECTED, *_BY_TYPE)


def alert_of(event: events.Event) -> str:
    """The name of the alert that this event raises, a field of `Alerts`; empty: none."""
    match event:
        case events.ServiceStarted(after_crash=crashed):
            return "start_after_crash" if crashed else "start"
        case events.Held(suspect=False) | events.Logon(result="Succeeded") | events.BlockListUnusable(recovered=True):
            return ""
        case events.DefinitionsOld(recovered=True):
            return ""
        case events.QuarantineFilling(recovered=True) | events.QuarantineServerFailed(recovered=True):
            return ""
        case events.Logon(failures=failures) if failures < LOGONS:
            return ""
    return _BY_TYPE.get(type(event), "")


def is_written(event: events.Event, settings: Settings) -> bool:
    """Whether it goes into the journal: while logging is off only what is needed all the same (LOG-01)."""
    return settings.logging.enabled or isinstance(event, JUDGED_BY) or told_to_people(event, settings)


def told_to_people(event: events.Event, settings: Settings) -> bool:
    """Whether somebody is to be told of it as things are set: then it is written although logging is off (LOG-01)."""
    match event:
        case events.NotificationWanted():
            return True
        case events.ServiceStarted():  # besides its own alerts it begins the count of definitions anew
            return any(getattr(settings.alerts, name) for name in settings.alerts.__struct_fields__)
        case events.VirusLogged() | events.FileRepaired() | events.FileDeleted() | events.FileRefused():
            return settings.outbreak.enabled
    name = alert_of(event)
    return bool(name) and getattr(settings.alerts, name)
