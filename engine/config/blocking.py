"""Blocking policy (BLK-01): a section for each criterion. All are off but container limits and encrypted containers."""

from enum import StrEnum
from typing import Annotated

import msgspec

from engine import limits
from engine.config.base import Positive, Section

_RISKY = (
    "ad ade adp asp bas bat chm cmd com cpl crt exe hlp hta inf ins isp js jse lnk mdb mde msc msi msp mst pcd pif reg"
    " scr sct shb shs url vb vbe vbs vsd vss vst vsw ws wsc wsf wsh"
)
_MODERN_RISKY = (
    "application appref-ms appx appxbundle cab diagcab gadget img iqy iso jar jnlp library-ms msix msixbundle one"
    " onepkg ps1 ps1xml ps2 psc1 psc2 psm1 rdp search-ms settingcontent-ms slk theme themepack udl vhd vhdx website"
    " wim xll xlam xpi"
)
RISKY_NAMES = tuple(f"*.{extension}" for extension in _RISKY.split())  # section 18 of the requirements, in its order
MODERN_RISKY_NAMES = tuple(f"*.{extension}" for extension in _MODERN_RISKY.split())  # FILE-08: what came since


class Action(StrEnum):
    """What a violation leads to. Strength (PROC-19): drop, forward, hold, delete, log."""

    DROP = "drop"
    FORWARD = "forward"
    HOLD = "hold"
    DELETE = "delete"
    LOG = "log"


class MessageAction(StrEnum):
    """For criteria about a whole message (SUBJ-03, SNDR-05, CONT-08)."""

    DROP = "drop"
    LOG = "log"
    FORWARD = "forward"
    HOLD = "hold"


class ContainerAction(StrEnum):
    """ENC-02."""

    DELETE = "delete"
    DROP = "drop"
    LOG = "log"
    FORWARD = "forward"
    HOLD = "hold"


class ListAction(StrEnum):
    """DNSBL-06. reject: 554 5.7.1 at RCPT."""

    DROP = "drop"
    LOG = "log"
    FORWARD = "forward"
    HOLD = "hold"
    REJECT = "reject"


class Forward(Section, frozen=True):
    """Where a violation's message goes in place of its recipients (PROC-18, BLK-04): one address, one subject."""

    to: str = ""
    subject: str = ""


class Size(Section, frozen=True):
    """SIZE-01..04."""

    enabled: bool = False
    max_mb: Annotated[int, msgspec.Meta(ge=1, le=2047)] = 50  # SIZE-02


class SubjectLines(Section, frozen=True):
    """SUBJ-01..03. lines: `*` any text, `?` one character; else the whole subject, without regard to case."""

    enabled: bool = False
    lines: tuple[str, ...] = ()
    action: MessageAction = MessageAction.DROP
    forward: Forward = Forward()


class FileNames(Section, frozen=True):
    """FILE-01..08. names: name.ext, `*` for the name or the extension.

    in_containers: members of archives too (FILE-07). modern: also match modern_names (FILE-08). disguised: programs,
    scripts and shortcuts by content whose name claims something harmless. add_text, text: what stands in the place of
    a deleted file (FILE-04).
    """

    enabled: bool = False
    names: tuple[str, ...] = RISKY_NAMES
    modern: bool = False
    modern_names: tuple[str, ...] = MODERN_RISKY_NAMES
    in_containers: bool = False
    disguised: bool = False
    add_text: bool = True
    text: str = (
        "Mailward removed the attachment {$FILE} from this message: files of this kind are not accepted here.\n"
        "If you need the file, ask the sender to send it in another way.\n"
    )


class ContainerLimits(Section, frozen=True):
    """CONT-01..11. Each limit has a number, and can be switched off by itself (`*_on`)."""

    depth: Positive = limits.SCAN_DEPTH
    depth_on: bool = True
    file_mb: Positive = limits.SCAN_FILE_LEN // limits.MIB
    file_on: bool = True
    total_mb: Positive = limits.SCAN_TOTAL_LEN // limits.MIB
    total_on: bool = True
    files: Positive = limits.SCAN_FILES
    files_on: bool = True
    time_s: Positive = int(limits.SCAN_TIME_S)
    time_on: bool = True
    ratio: Positive = 1000  # CONT-11: octets out for one octet in, of one file
    ratio_on: bool = False
    action: MessageAction = MessageAction.DROP  # CONT-08
    forward: Forward = Forward()


class Encrypted(Section, frozen=True):
    """ENC-01..07. end_to_end: S/MIME and OpenPGP mail counts as encrypted container too (ENC-06)."""

    enabled: bool = True
    action: ContainerAction = ContainerAction.DELETE
    forward: Forward = Forward()
    end_to_end: bool = False
    add_text: bool = True
    text: str = (
        "Mailward removed the attachment {$FILE} from this message: it is encrypted and could not be examined.\n"
        "If you need the file, ask the sender to send it in another way.\n"
    )


class Senders(Section, frozen=True):
    """SNDR-01..06. addresses: user@example.com, @example.com, .example.com."""

    enabled: bool = False
    addresses: tuple[str, ...] = ()
    action: MessageAction = MessageAction.DROP
    forward: Forward = Forward()


class BlockList(Section, frozen=True):
    """One DNS block list (DNSBL-01..04). codes: answers that count, if codes_on. weight: see BlockLists.score."""

    domain: str
    enabled: bool = False
    codes_on: bool = False
    codes: tuple[str, ...] = ()
    weight: Positive = 1


class BlockLists(Section, frozen=True):
    """DNSBL-01..09. score: the weights of the lists that name a client must reach it; 1: any one suffices."""

    lists: tuple[BlockList, ...] = ()
    action: ListAction = ListAction.DROP
    forward: Forward = Forward()
    timeout_s: Annotated[int, msgspec.Meta(ge=1, le=30)] = 3  # DNSBL-09
    score: Positive = 1


class WhiteList(Section, frozen=True):
    """WL-01..05. domains: @example.com, .example.com. confirmed: only if SPF or DKIM confirms the domain (WL-05)."""

    enabled: bool = False
    domains: tuple[str, ...] = ()
    confirmed: bool = False


class Characters(Section, frozen=True):
    """CHAR-01..04."""

    enabled: bool = False
    characters: str = "%!"


class Dmarc(Section, frozen=True):
    """What to do with mail that fails DMARC, by what the domain asks for (RFC 9989 s8.3).

    corroborated: `reject` is followed only if something besides speaks against the message (SPF says fail, a block
    list names the client, no signature claims to be of the domain), and counts as `quarantine` otherwise: forwarders
    and lists break what is genuine.
    """

    enabled: bool = False
    reject: MessageAction = MessageAction.HOLD
    quarantine: MessageAction = MessageAction.LOG
    corroborated: bool = True
    forward: Forward = Forward()


class Blocking(Section, frozen=True):
    size: Size = Size()
    subject: SubjectLines = SubjectLines()
    files: FileNames = FileNames()
    containers: ContainerLimits = ContainerLimits()
    encrypted: Encrypted = Encrypted()
    senders: Senders = Senders()
    block_lists: BlockLists = BlockLists()
    white_list: WhiteList = WhiteList()
    characters: Characters = Characters()
    dmarc: Dmarc = Dmarc()


class Authentication(Section, frozen=True):
    """SPF, DKIM, DMARC and ARC: what DNS says about who sent it.

    add_results: an Authentication-Results field goes before each message, and forged ones with our name are removed
    (RFC 8601). authserv_id: our name in it; empty: smtp.hostname. trusted_sealers: domains whose ARC seal is believed.
    """

    enabled: bool = False
    add_results: bool = True
    authserv_id: str = ""
    trusted_sealers: tuple[str, ...] = ()
    timeout_s: Annotated[int, msgspec.Meta(ge=1, le=60)] = 10  # for all lookups of one message
