"""What is known of a quarantined file, and what it is called on disk."""

import hmac
import re
from typing import Final

import msgspec

from engine.ids import DIGITS, ID_LEN

SUFFIX: Final = ".item"
NEW: Final = ".new"  # instead of the suffix, while it is written
_NAME: Final = re.compile(rf"([{DIGITS}]{{{ID_LEN}}})-([0-9a-f]{{32}})")


class Item(msgspec.Struct, frozen=True, omit_defaults=True):
    """id: 32 hexadecimal digits. sha256, size: of the content. name: of the file, as strangers wrote it.

    part: where it was, as in the journal. kind: by its content. reasons: why a heuristic took it. fate: what became of
    it in the mail: repaired, deleted or logged. sender: reverse-path. time: RFC 3339. revision: of the definitions.
    """

    id: str
    smtp_id: str
    sha256: str
    size: int
    name: str = ""
    part: str = ""
    kind: str = ""
    viruses: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    fate: str = ""
    sender: str = ""
    recipients: tuple[str, ...] = ()
    subject: str = ""
    time: str = ""
    revision: str = ""

    @property
    def stem(self) -> str:
        """Its name on disk without the suffix. It says nothing of the file, sorts by time and names its relay."""
        return f"{self.smtp_id}-{self.id}"


def item_id(key: bytes, smtp_id: str, part: str, sha256: str) -> str:
    """The same for the same file of the same message, which may have to be examined once more; nobody who has not the
    key of the quarantine can make one."""
    return hmac.digest(key, f"{smtp_id} {sha256} {part}".encode("utf-8", "replace"), "sha256").hex()[:32]


def ids_of(file_name: str) -> tuple[str, str] | None:
    """(SMTP ID, item id) in the name of a file, or None: it is none of ours."""
    found = _NAME.fullmatch(file_name.removesuffix(SUFFIX).removesuffix(NEW))
    return (found[1], found[2]) if found else None
