"""One mail transaction (RFC 5321 s3.3): the envelope that MAIL and RCPT make, then the body behind DATA or BDAT."""

from engine.config import Settings
from engine.limits import HARD_MESSAGE_LEN, MIB
from engine.queue.record import Received, Recipient
from engine.relay_rule import Field
from engine.replies import Reply
from engine.smtp.body import ChunkBody, DataBody
from engine.smtp.command import Mail, Refused
from engine.smtp.gate import ClientInfo
from engine.smtp.header_condition import HeaderCondition


def size_limit(settings: Settings) -> int:
    """Octets of a message (SIZE-01); what is announced with SIZE (SIZE-04)."""
    size = settings.blocking.size
    return size.max_mb * MIB if size.enabled else HARD_MESSAGE_LEN


def limits_keyword(settings: Settings) -> str:
    """LIMITS (RFC 9422): recipients of a transaction and, if they are bounded, transactions of a session."""
    smtp = settings.smtp
    mails = f" MAILMAX={smtp.max_messages_per_connection}" if smtp.max_messages_per_connection else ""
    return f"LIMITS{mails} RCPTMAX={smtp.max_recipients}"


class Transaction:
    """From an accepted MAIL to its end.

    recipients: those accepted, by address. refused_any: whether others were not. conditions: fields that recipients
    were accepted on, with the first address of each. body: None as long as there may be recipients.
    """

    __slots__ = ("body", "conditions", "mail", "recipients", "refused_any")

    def __init__(self, mail: Mail) -> None:
        self.mail = mail
        self.recipients: dict[str, Recipient] = {}
        self.refused_any = False
        self.conditions: dict[tuple[Field, ...], str] = {}
        self.body: DataBody | ChunkBody | None = None

    def begin_data(self, settings: Settings) -> DataBody:
        self.body = body = DataBody(size_limit(settings), settings.smtp.max_hops, self._condition())
        return body

    def begin_chunks(self, settings: Settings) -> ChunkBody:
        self.body = body = ChunkBody(size_limit(settings), settings.smtp.max_hops, self._condition())
        return body

    def _condition(self) -> HeaderCondition | None:
        return HeaderCondition(self.conditions) if self.conditions else None

    def no_recipients(self) -> Refused:
        """What DATA and BDAT are answered without any."""
        if self.refused_any:
            return Refused(Reply.NO_VALID_RECIPIENTS, violation=False)
        return Refused(Reply.NEED_RCPT)

    def received(self, client: ClientInfo, extended: bool, smtp_id: str, time_ns: int) -> Received:
        """Trace and envelope. extended: the client said EHLO."""
        mail = self.mail
        protocol = "UTF8SMTP" if mail.smtputf8 else "ESMTP" if extended else "SMTP"
        return Received(
            id=smtp_id,
            time_ns=time_ns,
            connection_id=client.connection_id,
            client=client.address,
            client_port=client.port,
            helo=client.helo,
            protocol=protocol + ("SA" if client.submitter else "S") if client.tls else protocol,  # RFC 3848, 6531 s4.3
            tls=client.tls,
            reverse_path=mail.reverse_path,
            recipients=tuple(self.recipients.values()),
            body=mail.body or "8BITMIME",
            smtputf8=mail.smtputf8,
            require_tls=mail.require_tls,
            ret=mail.ret,
            envid=mail.envid,
            submitter=client.submitter,
        )
