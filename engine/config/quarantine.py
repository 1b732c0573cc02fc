"""Which infected files are put aside, for how long, and where they go (QRN-01..05)."""

from enum import StrEnum
from typing import Annotated

import msgspec

from engine.config.base import Port, Section


class QuarantinedFiles(StrEnum):
    """QRN-01."""

    NOTHING = "nothing"
    UNREPAIRED = "unrepaired"
    ALL = "all"


class Quarantine(Section, frozen=True):
    """max_mb and days: of the local quarantine (QRN-05). enrollment: relative to the root (QRN-04)."""

    what: QuarantinedFiles = QuarantinedFiles.NOTHING
    max_mb: Annotated[int, msgspec.Meta(ge=16, le=1024 * 1024)] = 1024
    days: Annotated[int, msgspec.Meta(ge=1, le=3650)] = 30
    server: str = ""
    port: Port = 8453
    enrollment: str = "tls/quarantine.pem"
