"""The actions of the detail report: groups and words of every kind of event (RPT-17, RSYS, RSMTP, RMSG, RBLK).

A kind that no part of the gateway writes yet is offered all the same: journals of other versions may have it.
"""

from typing import Final

import msgspec

GROUPS: Final = ("System", "SMTP", "Message", "Blocking")


class Action(msgspec.Struct, frozen=True):
    """kind: name of the event in the journal. label: for people."""

    kind: str
    group: str
    label: str


_SYSTEM: Final = {
    "logon": "Logon",
    "logoff": "Logoff",
    "definitions-update-session": "Definitions update session",
    "definitions-updated": "Definitions updated",
    "definitions-loaded": "Definitions taken over by a relay",
    "definitions-refused": "Definitions refused",
    "definitions-compared": "Definitions tried on copies",
    "definitions-rolled-back": "Definitions rolled back",
    "definitions-old": "Definitions old or new again",
    "object-modified": "Object modified",
    "service-started": "Service started",
    "service-start-failed": "Service start failed",
    "service-stopping": "Service stopping",
    "service-stopped": "Service stopped",
    "reordering-started": "Reordering started",
    "reordering-stopped": "Reordering stopped",
    "slow-queue-read": "Slow queue read after a start",
    "alert-sent": "Alert sent",
    "alert-suppressed": "Alert not sent",
    "notification-wanted": "Notification wanted",
    "configuration-applied": "Configuration changed",
    "configuration-adopted": "Configuration taken over by a relay",
    "configuration-refused": "Configuration refused",
    "logging-switched": "Local logging switched",
    "process-restarted": "Process started again",
    "scanner-started": "Scanner started",
    "block-list-unusable": "Block list unusable or usable again",
    "low-disk": "Low disk space",
    "low-memory": "Low memory",
    "file-access-error": "File access error",
    "http-violation": "HTTP violation",
    "unauthorized-access": "Unauthorized access",
    "certificate-expires": "Certificate expires",
    "certificate-not-renewed": "Certificate not renewed",
    "queue-lengths": "Queue lengths",
}
_SMTP: Final = {
    "connection-from": "Connection from",
    "client-certificate": "Certificate of a client",
    "connected-to": "Connected to",
    "disconnected": "Disconnected",
    "connection-closed": "Connection closed",
    "connection-failed": "Connection failed",
    "protocol-violation": "Protocol violation",
    "tls-result": "TLS with a domain",
    "submitter-refused": "Logon for submission refused",
    "rejected": "Rejected",
}
_MESSAGE: Final = {
    "accepted": "Accepted",
    "scanned": "Examined",
    "dropped": "Dropped",
    "bounced": "Bounced",
    "held": "Held",
    "delivered": "Delivered",
    "delivery-deferred": "Delivery deferred",
    "delivery-failed": "Delivery failed",
    "notice-suppressed": "Sender not told",
    "delivery-suppressed": "Delivery suppressed",
    "converted": "Converted to 7bit",
    "forwarding": "Queued for forwarding",
    "forwarded": "Forwarded",
    "queue-moved": "Moved to another queue",
    "scanner-crashed": "Scanner crashed",
    "abandoned": "Abandoned by its client",
    "completed": "Completed",
}
_BLOCKING: Final = {
    "virus-logged": "Virus logged",
    "file-repaired": "File repaired",
    "file-deleted": "File deleted",
    "file-refused": "File refused",
    "found-later": "Found after delivery",
    "file-quarantined": "File quarantined",
    "quarantine-failed": "Not put into quarantine",
    "quarantine-transfer": "Quarantine transfer",
    "quarantine-server-failed": "Quarantine server unreachable",
    "quarantine-filling": "Quarantine nearly full",
    "quarantine-released": "Released from quarantine",
    "quarantine-item-deleted": "Deleted from quarantine",
    "attachment-deleted": "Attachment deleted",
    "subject-blocked": "Subject blocked",
    "sender-blocked": "Sender blocked",
    "file-name-blocked": "File name blocked",
    "spam-list-block": "Spam list block",
    "heuristic-spam": "Heuristic spam detection",
    "dmarc-failed": "DMARC failed",
    "container-limit-exceeded": "Container limit exceeded",
    "encrypted-container": "Encrypted container",
    "outbreak": "Outbreak",
    "scan-error": "Scan error",
}

ACTIONS: Final = {
    kind: Action(kind, group, label)
    for group, labels in zip(GROUPS, (_SYSTEM, _SMTP, _MESSAGE, _BLOCKING), strict=True)
    for kind, label in labels.items()
}


def action_of(kind: str) -> Action:
    """Of any event, also of one that this version does not know."""
    return ACTIONS.get(kind) or Action(kind, "System", kind.replace("-", " ").capitalize())


def labelled(term: str) -> frozenset[str]:
    """Kinds whose action or group has the term in its words: it stands in each of their rows (RPT-13)."""
    folded = term.casefold()
    return frozenset(
        kind
        for kind, action in ACTIONS.items()
        if folded in action.label.casefold() or folded in action.group.casefold()
    )
