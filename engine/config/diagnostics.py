"""What is kept for technicians: logs of SMTP conversations and copies of queued messages (DIAG-01..13)."""

from enum import StrEnum
from typing import Annotated

import msgspec

from engine.config.base import Section


class SaveQueueFiles(StrEnum):
    """DIAG-01: which messages are copied. Each value includes those before it."""

    DISABLE = "disable"
    ON_CRASH = "on-crash"
    ON_SCAN_ERROR = "on-scan-error"
    ALL = "all"


class LogLevel(StrEnum):
    """DIAG-04."""

    DISABLE = "disable"
    ON_ERROR = "on-error"
    ALL = "all"


class ErrorClass(StrEnum):
    """Which errors a log is kept for (DIAG-05..08, DIAG-13)."""

    ALL = "all"
    COMMUNICATION = "communication"
    PROTOCOL = "protocol"
    LOCAL = "local"
    UNSUPPORTED = "unsupported"


class DataStream(StrEnum):
    """What a log shows of the content of messages (DIAG-09)."""

    IGNORE = "ignore"
    SUMMARIZE = "summarize"
    ECHO = "echo"


class ConversationLog(Section, frozen=True):
    """SMTP conversations of one direction (DIAG-03)."""

    level: LogLevel = LogLevel.DISABLE
    errors: ErrorClass = ErrorClass.ALL
    data: DataStream = DataStream.IGNORE


class Diagnostics(Section, frozen=True):
    """max_mb and keep_days: of all files together (DIAG-02)."""

    save_queue_files: SaveQueueFiles = SaveQueueFiles.DISABLE
    max_mb: Annotated[int, msgspec.Meta(ge=16, le=1024 * 1024)] = 1024
    keep_days: Annotated[int, msgspec.Meta(ge=1, le=365)] = 7
    inbound: ConversationLog = ConversationLog()
    outbound: ConversationLog = ConversationLog()
