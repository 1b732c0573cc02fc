"""Antivirus policy, and mail that cannot be examined."""

from enum import StrEnum

from engine.config.base import Section


class VirusAction(StrEnum):
    REPAIR = "repair"
    DELETE = "delete"
    LOG = "log"


class UnrepairableAction(StrEnum):
    DELETE = "delete"
    LOG = "log"


class LeftoverAction(StrEnum):
    DROP = "drop"
    LOG = "log"


class UnscannedAction(StrEnum):
    """SCAN-07."""

    DELIVER = "deliver"
    DROP = "drop"
    BOUNCE = "bounce"
    HOLD = "hold"


class ScannedFiles(StrEnum):
    """SCAN-01..03."""

    ALL = "all"
    LISTED = "listed"
    OTHERS = "others"


class HeuristicsLevel(StrEnum):
    """AV-03."""

    OFF = "off"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Antivirus(Section, frozen=True):
    """Antivirus settings (AV-01..10) and what happens to mail that cannot be processed (SCAN-07)."""

    enabled: bool = True
    detected: VirusAction = VirusAction.REPAIR  # AV-04
    unrepairable: UnrepairableAction = UnrepairableAction.DELETE  # AV-05
    left_over: LeftoverAction = LeftoverAction.DROP  # AV-06
    add_text: bool = True  # AV-07
    text: str = (
        "Mailward removed the attachment {$FILE} from this message because it contained: {$VIRUSINFO}.\n"
        "If you need the file, ask the sender for a clean copy.\n"
    )
    unscanned: UnscannedAction = UnscannedAction.HOLD  # SCAN-07
    heuristics: HeuristicsLevel = HeuristicsLevel.MEDIUM  # AV-03
    heuristics_exempt: tuple[str, ...] = ()  # names of verdicts, SHA-256 of files
    files: ScannedFiles = ScannedFiles.ALL  # SCAN-01
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    try_passwords: bool = False  # ENC-01
    usual_passwords: tuple[str, ...] = (
        "infected",
        "password",
        "1234",
        "12345",
        "123456",
        "0000",
        "1111",
        "virus",
        "malware",
        "secret",
    )
    definitions: str = "definitions/starter.mwd"  # relative to the root
