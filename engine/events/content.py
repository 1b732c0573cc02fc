"""What policy and scan found in a message, and what was done about it (RBLK)."""

from engine.events.base import ContentEvent


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


class FileDeleted(ContentEvent, tag="file-deleted"):
    virus: str
    part: str
    file: str = ""


class FileRefused(ContentEvent, tag="file-refused"):
    """Refused with its message, while the client waited."""

    virus: str
    part: str
    file: str = ""


class AttachmentDeleted(ContentEvent, tag="attachment-deleted"):
    """A top-level attachment was stripped (STAT-28)."""

    part: str
    file: str
    reason: str


class SubjectBlocked(ContentEvent, tag="subject-blocked"):
    """RBLK-05. handling, in this event and those below: drop, log, forward, hold, delete or refuse."""

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


class ScanError(ContentEvent, tag="scan-error"):
    description: str


ContentEvents = (
    VirusLogged
    | FileRepaired
    | FileDeleted
    | FileRefused
    | AttachmentDeleted
    | SubjectBlocked
    | SenderBlocked
    | SpamListBlock
    | DmarcFailed
    | ContainerLimitExceeded
    | EncryptedContainer
    | FileNameBlocked
    | ScanError
)
