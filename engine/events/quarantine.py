"""The local quarantine and its way to the central server (QRN-03, QRN-05, QRN-10)."""

from engine.events.base import ContentEvent, Event, MessageEvent


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


QuarantineEvents = (
    FileQuarantined
    | QuarantineFailed
    | QuarantineFilling
    | QuarantineTransfer
    | QuarantineServerFailed
    | QuarantineItemDeleted
    | QuarantineReleased
)
