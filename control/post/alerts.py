"""The texts of alerts (ALR-01..15): each names host and time and, where there is one, client, directory or message.

They are plain text made of our words and of single values that are cleaned and cut: no value makes a line of its own.
"""

import datetime
from collections.abc import Iterable
from typing import Final

from control.post.mail import Letter
from engine import events
from engine.policy.metatags import clean

# name of the alert: subject and what happened
_TEXTS: Final = {
    "start": ("Gateway started", "The gateway is up."),
    "start_after_crash": (
        "Gateway restarted after a crash",
        "The gateway is up again. The run before did not end cleanly: look into the service's log for the reason.",
    ),
    "stop": ("Gateway stopped", "The gateway is being shut down. It takes no mail until it is started again."),
    "low_disk": (
        "Disk space low",
        "Less than a tenth of the disk is free where this directory lies. Without space no mail can be accepted:\n"
        "remove what is not needed, or make the disk larger.",
    ),
    "low_memory": (
        "Memory low",
        "Less than a tenth of the server's memory is available. Look for what takes it, or give the server more.",
    ),
    "definitions_updated": ("Definitions updated", "An update of the definitions has ended well: new ones are in use."),
    "definitions_old": (
        "Definitions too old",
        "The definitions in force are older than they may be: new viruses pass. The window Definitions tells when an\n"
        "update was tried last, and what came of it.",
    ),
    "found_later": (
        "Virus found after delivery",
        "New definitions name a file that was delivered before they came. Warn its recipients; the window Definitions\n"
        "lists them all.",
    ),
    "configuration_changed": ("Configuration changed", "Settings were changed, and are in force."),
    "suspect_message": (
        "Suspect message held",
        "A message was set aside in the hold queue, because it could not be processed. Nobody has received it.\n"
        "Look at it there, and drop it, forward it, or have it processed again.",
    ),
    "scan_error": (
        "Message could not be taken apart",
        "An error occurred while a message was taken apart. What becomes of such mail is told by antivirus.unscanned.",
    ),
    "file_access": ("File access error", "A file could not be used."),
    "smtp_violation": ("SMTP protocol violation", "A client broke the SMTP protocol, and was refused."),
    "http_violation": ("HTTP protocol violation", "A client sent the pages something that they had to refuse."),
    "failed_logons": ("Repeated failed logons", "Several logons to the pages failed one after the other."),
    "connection_failure": (
        "Cannot reach mail server",
        "A connection to a mail server failed. Mail for it waits, and is tried again.",
    ),
    "unauthorized": (
        "Unauthorized access attempt",
        "Somebody without the right to it tried to use the pages, and was refused.",
    ),
    "certificate": (
        "Certificate expires soon",
        "The TLS certificate of the pages and of STARTTLS is about to expire, or has expired: browsers warn of it.\n"
        "Make a request in the window Certificates, send it to the authority, and install the answer there.",
    ),
    "quarantine": (
        "Quarantine needs attention",
        "Infected files pile up here, or could not be put aside. Mail goes on. The window Quarantine tells how full\n"
        "it is and what the central server says.",
    ),
    "block_list": (
        "Block list cannot be used",
        "A DNS block list gives no usable answers. It is passed over for a while, and mail goes on without it.",
    ),
}
# what else the alert of a name may be about
_OTHERS: Final[dict[type[events.Event], tuple[str, str]]] = {
    events.DefinitionsRefused: (
        "Definitions update failed",
        "New definitions were refused three times in a row. Those before stay in use, and get older.",
    ),
    events.DefinitionsUpdateSession: (
        "Definitions update failed",
        "Three updates of the definitions failed one after the other. Those in force stay in use, and get older.",
    ),
    events.DefinitionsRolledBack: (
        "Definitions taken back",
        "New definitions did not work well, and the gateway went back to those before by itself. Mail goes on.",
    ),
    events.CertificateNotRenewed: (
        "Certificate not renewed",
        "The authority was asked for a certificate by ACME, and issued none. The one in force stays until then.\n"
        "The window Certificates, part Status, tells when, and lets you ask at once.",
    ),
}
_LEAVES: Final = frozenset({"time", "process"})
_LABELS: Final = {
    "smtp_id": "SMTP ID",
    "client": "Client",
    "connection_id": "Connection ID",
    "free_percent": "Free",
    "changed": "Settings",
}
_HIDDEN: Final = frozenset({"after_crash", "recovered", "suspect", "result", "within_days"})


def letter(event: events.Event, name: str, time: float, to: tuple[str, ...], host: str) -> Letter:
    """The mail of an alert. time: of the event, seconds since 1970."""
    subject, what = _OTHERS.get(type(event)) or _TEXTS[name]
    lines = [f"Host: {clean(host)}", f"Time: {_time(time)}", *_details(event)]
    return Letter(name, to, subject, f"{what}\n\n" + "\n".join(lines) + "\n", getattr(event, "smtp_id", ""))


def _time(time: float) -> str:
    """In the zone of the server, which it names."""
    return datetime.datetime.fromtimestamp(time, datetime.UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S %z (%Z)")


def _details(event: events.Event) -> Iterable[str]:
    """Every field of the event that says something, one line each."""
    for field in event.__struct_fields__:
        value = getattr(event, field)
        if field in _LEAVES or field in _HIDDEN or (value in ("", (), 0) and field != "free_percent"):
            continue
        label = _LABELS.get(field) or field.replace("_", " ").capitalize()
        yield f"{label}: {clean(_text(field, value))}"


def _text(field: str, value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return f"{value:.1f} %" if field == "free_percent" else str(value)
