"""Mail that the gateway itself writes: notifications, outbreak alert, alerts for system events."""

from enum import StrEnum

from engine.config.base import Positive, Section


class Kind(StrEnum):
    """What a notification is about (NTF-00). The values are the names of settings."""

    VIRUS = "virus"
    CONTENT = "content"
    CONTAINER = "container"
    ENCRYPTED = "encrypted"
    SPAM = "spam"


class Notice(Section, frozen=True):
    """One notification: whether it is sent, its subject and its text with metatags (META-01..06)."""

    enabled: bool = False
    subject: str = ""
    text: str = ""


class VirusToSender(Notice, frozen=True):
    subject: str = "Your message contained a virus"
    text: str = "A virus was found in a message from this address.\n\n{$VIRUSINFO}\n"


class VirusToAdministrator(Notice, frozen=True):
    subject: str = "Virus detected"
    text: str = "A virus was found in a message.\n\n{$MSGINFO}\n{$DISPOSITION}\n\n{$VIRUSINFO}\n"


class VirusNotices(Section, frozen=True):
    """virus found: NTF-01, NTF-06."""

    sender: VirusToSender = VirusToSender()
    administrator: VirusToAdministrator = VirusToAdministrator()


class ContentToSender(Notice, frozen=True):
    subject: str = "Your message broke a content rule"
    text: str = "A message from this address broke a content rule.\n\n{$MSGINFO}\n\n{$CONTENTINFO}\n"


class ContentToAdministrator(Notice, frozen=True):
    subject: str = "Content rule violated"
    text: str = "A message broke a content rule.\n\n{$MSGINFO}\n{$DISPOSITION}\n\n{$CONTENTINFO}\n"


class ContentNotices(Section, frozen=True):
    """content violation: NTF-02, NTF-08."""

    sender: ContentToSender = ContentToSender()
    administrator: ContentToAdministrator = ContentToAdministrator()


class ContainerToSender(Notice, frozen=True):
    subject: str = "Your attachment is too large"
    text: str = "An attachment of your message is too large, or grows too much when it is unpacked.\n\n{$MSGINFO}\n"


class ContainerToAdministrator(Notice, frozen=True):
    subject: str = "Container limit exceeded"
    text: str = "An attachment exceeded a limit for containers.\n\n{$MSGINFO}\n{$DISPOSITION}\n\n{$CONTENTINFO}\n"


class ContainerNotices(Section, frozen=True):
    """container limit: NTF-03, NTF-09."""

    sender: ContainerToSender = ContainerToSender()
    administrator: ContainerToAdministrator = ContainerToAdministrator()


class EncryptedToSender(Notice, frozen=True):
    subject: str = "Your attachment is encrypted"
    text: str = "Your message holds data that is encrypted or protected by a password.\n\n{$MSGINFO}\n"


class EncryptedToAdministrator(Notice, frozen=True):
    subject: str = "Encrypted container found"
    text: str = "A message holds an encrypted container.\n\n{$MSGINFO}\n{$DISPOSITION}\n"


class EncryptedNotices(Section, frozen=True):
    """encrypted container: NTF-04, NTF-10."""

    sender: EncryptedToSender = EncryptedToSender()
    administrator: EncryptedToAdministrator = EncryptedToAdministrator()


class SpamToSender(Notice, frozen=True):
    subject: str = "Your message was not allowed"
    text: str = "The domain or host that your message came from is not permitted here.\n\n{$MSGINFO}\n"


class SpamToAdministrator(Notice, frozen=True):
    subject: str = "Spam rule violated"
    text: str = "A message matched a rule against spam.\n\n{$MSGINFO}\n{$DISPOSITION}\n\n{$SPAMINFO}\n"


class SpamNotices(Section, frozen=True):
    """sender list and DNSBL: NTF-05, NTF-11."""

    sender: SpamToSender = SpamToSender()
    administrator: SpamToAdministrator = SpamToAdministrator()


Notices = VirusNotices | ContentNotices | ContainerNotices | EncryptedNotices | SpamNotices


class Notifications(Section, frozen=True):
    """NTF-00..17. administrators: who gets alerts and administrator notifications (ACC-07, NTF-13)."""

    administrators: tuple[str, ...] = ()
    virus: VirusNotices = VirusNotices()
    content: ContentNotices = ContentNotices()
    container: ContainerNotices = ContainerNotices()
    encrypted: EncryptedNotices = EncryptedNotices()
    spam: SpamNotices = SpamNotices()

    def of(self, kind: Kind) -> Notices:
        """The two notifications of one kind."""
        found: Notices = getattr(self, kind)
        return found


class Outbreak(Section, frozen=True):
    """OUT-01..05. pause: delivery is paused when the alert is sent (DLV-01)."""

    enabled: bool = False
    messages: Positive = 10
    minutes: Positive = 10
    recipients: tuple[str, ...] = ()
    subject: str = "Possible virus outbreak"
    text: str = (
        "More infected messages than usual were found within a short time: the outbreak threshold was exceeded.\n"
    )
    pause: bool = False


class Alerts(Section, frozen=True):
    """ALR-01..15, each its own check box. They go to notifications.administrators."""

    start: bool = False  # ALR-01
    start_after_crash: bool = False  # ALR-02
    stop: bool = False  # ALR-03
    low_disk: bool = False  # ALR-04
    low_memory: bool = False  # ALR-05
    definitions_updated: bool = False  # ALR-06
    definitions_old: bool = False  # by updates.oldest_days
    found_later: bool = False  # by digests of what was delivered (updates.digest_days)
    configuration_changed: bool = False  # ALR-07
    suspect_message: bool = False  # ALR-08
    scan_error: bool = False  # ALR-09
    file_access: bool = False  # ALR-10
    smtp_violation: bool = False  # ALR-11
    http_violation: bool = False  # ALR-12
    failed_logons: bool = False  # ALR-13
    connection_failure: bool = False  # ALR-14
    unauthorized: bool = False  # ALR-15
    certificate: bool = False  # it expires soon, or cannot be renewed (CERT-08)
    quarantine: bool = False  # QRN-05
    block_list: bool = False  # a DNS block list cannot be used: mail goes on without it (DNSBL-09)


RECOMMENDED_ALERTS = ("start_after_crash", "low_disk", "low_memory", "suspect_message", "failed_logons")
