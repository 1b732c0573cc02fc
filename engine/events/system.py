"""Processes, settings, certificates and what the machine is short of (RSYS)."""

from engine.events.base import Event


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


class ScannerStarted(Event, tag="scanner-started"):
    """What holds it: missing names what this kernel does not give to the sandbox. landlock: its ABI, 0 without."""

    pid: int
    seccomp: bool
    landlock: int
    missing: tuple[str, ...] = ()


class ConfigurationApplied(Event, tag="configuration-applied"):
    """changed: names of settings, never their values (ALR-07)."""

    revision: str
    changed: tuple[str, ...] = ()


class ConfigurationAdopted(Event, tag="configuration-adopted"):
    """A relay works by the new settings from now on (PROC-15). revision: as ConfigurationApplied has it."""

    revision: str = ""  # an older journal has none


class ConfigurationRefused(Event, tag="configuration-refused"):
    reason: str


class LoggingSwitched(Event, tag="logging-switched"):
    """LOG-01: from here on the journal has everything (on), or only what people are told of (RPT-18)."""

    enabled: bool


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


class FileAccessError(Event, tag="file-access-error"):
    """ALR-10."""

    path: str
    reason: str


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


SystemEvents = (
    ServiceStarted
    | ServiceStartFailed
    | ServiceStopping
    | ServiceStopped
    | ProcessRestarted
    | ScannerStarted
    | ConfigurationApplied
    | ConfigurationAdopted
    | ConfigurationRefused
    | LoggingSwitched
    | LowDisk
    | LowMemory
    | FileAccessError
    | CertificateExpires
    | CertificateNotRenewed
)
