"""What a publisher says of a revision of the definitions: signed with it, shown to people, compared by gateways.

A repository has one target for each layout of the compiled image, so that gateways of an older and a newer version
take from the same place; the target's custom data is a Revision.
"""

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import msgspec

from signatures.image import LAYOUT
from signatures.model import FAMILIES

VIRUS: Final = "virus"
SPAM: Final = "spam"
KINDS: Final = {VIRUS: (FAMILIES[0], FAMILIES[2]), SPAM: (FAMILIES[1],)}  # DEF-14: kind -> families of signatures
HIGHEST: Final = 2**53 - 1  # what every reader of JSON takes as it is
NOTHING: Final = hashlib.sha256().hexdigest()
_Text = Annotated[str, msgspec.Meta(max_length=200)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=HIGHEST)]
_Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class Part(msgspec.Struct, frozen=True):
    """One kind of definitions (DEF-14). date: when it changed last."""

    date: datetime
    signatures: _Count


class Delta(msgspec.Struct, frozen=True):
    """A target that makes this revision of another one. number, base: of that one, and the SHA-256 of its file.

    Number 0, and NOTHING: of no file at all.
    """

    number: _Count
    base: _Digest
    target: _Text


class Revision(msgspec.Struct, frozen=True):
    """number: rises with each revision. date: when it was published. image: the revision of the compiled image.

    signatures: how many. parts: by kind. deltas: newest first. note: the publisher's words.
    """

    number: Annotated[int, msgspec.Meta(ge=1, le=HIGHEST)]
    date: datetime
    image: _Text
    signatures: _Count
    parts: Annotated[dict[_Text, Part], msgspec.Meta(max_length=10)] = {}
    deltas: Annotated[tuple[Delta, ...], msgspec.Meta(max_length=100)] = ()
    note: Annotated[str, msgspec.Meta(max_length=2000)] = ""

    @property
    def date_us(self) -> int:
        """Microseconds since 1970."""
        return round(self.date.timestamp() * 1_000_000)


def target_name(layout: int = LAYOUT) -> str:
    """Of the target that gateways which read this layout of the image take."""
    return f"layout-{layout}/definitions.mwd"


def digest_of(path: Path) -> str:
    """SHA-256 of a file. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
