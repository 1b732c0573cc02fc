"""Mail of our own that tells people (NTF, ALR)."""

from engine.events.base import Event, MessageEvent


class NotificationWanted(MessageEvent, tag="notification-wanted"):
    """Somebody has to be told (NTF-00): control/post/postman.py writes the mail and keeps the rates.

    kind: a value of engine.config.Kind. audience: sender or administrator. to: the sender's address; empty for
    administrators. values: metatags of META-01..05, without braces, and what stands for them.
    """

    kind: str
    audience: str
    to: str = ""
    values: dict[str, str] = {}


class AlertSent(Event, tag="alert-sent"):
    """Mail of our own went out. kind: name of an alert, `outbreak`, or kind and audience of a notification."""

    kind: str
    recipients: int
    smtp_id: str = ""


class AlertSuppressed(Event, tag="alert-suppressed"):
    """It was not written, and why: one an hour has gone out already, nobody is named to get it (NTF-13, NTF-15)."""

    kind: str
    reason: str
    smtp_id: str = ""


NoticesEvents = NotificationWanted | AlertSent | AlertSuppressed
