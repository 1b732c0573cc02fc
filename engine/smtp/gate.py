"""What SMTP sessions ask of the relay they belong to. The relay implements Gate; tests do too."""

from asyncio import Future
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from engine.config import Acceptance, Settings
from engine.events import Event
from engine.queue.record import Received
from engine.relay_rule import Field
from engine.replies import Reply
from engine.smtp.auth import Credentials

if TYPE_CHECKING:
    from engine.processing.offers import Offer
    from engine.queue.state import MessageState
    from engine.queue.store import Draft


@dataclass(slots=True)
class ClientInfo:
    """The peer of one connection. Owned by the connection; the gate may keep confirmed names here.

    address: IPv4 or IPv6 text, a mapped IPv4 address as IPv4. helo: what it said last in HELO or EHLO, printable.
    tls: empty, or version and cipher. tls_names: of its certificate, if that was verified. names: confirmed by PTR and
    address record (RELAY-08); None: not asked yet. proxy: address of the host that said who the client is, or empty.
    submitter: name of the account that it logged on to (RELAY-14), or empty.
    """

    address: str
    port: int
    connection_id: str
    helo: str = ""
    tls: str = ""
    tls_names: tuple[str, ...] = ()
    names: tuple[str, ...] | None = None
    proxy: str = ""
    submitter: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said to a RCPT.

    blank: fills that of the reply, printable ASCII. fields: the recipient is accepted, and the message refused at its
    end unless it carries one of them. instead: an address that takes the place of the accepted one.
    """

    reply: Reply = Reply.RECIPIENT_OK
    blank: str = ""
    fields: tuple[Field, ...] = ()
    instead: str = ""


ACCEPTED: Final = Answer()


class Gate(Protocol):
    """All of it is called in the event loop of the relay. Events and the `rejected` ones of a Reply's reason are
    written by the edge, not by the gate, but for those of an offer; a method that raises costs the client a 451."""

    @property
    def settings(self) -> Settings:
        """Those in force now."""

    def refuse_connection(self) -> Reply | None:
        """Asked at connect and at each MAIL (DLV-02): None, or a 421 to say before closing."""

    def mail(self, client: ClientInfo, reverse_path: str) -> Future[Answer] | None:
        """A mail transaction begins: what is to be said of its sender is being found out, or None.

        It is said at each RCPT whose recipient is accepted (DNSBL-06); never raises, and is cancelled with the
        transaction.
        """

    def rcpt(self, client: ClientInfo, reverse_path: str, forward_path: str) -> Answer | Awaitable[Answer]:
        """Whether this recipient is accepted.

        Paths are checked mailboxes without angle brackets, reverse_path may be empty;
        engine.smtp.address.domain_of gives the destination. An awaitable only where an answer has to be waited for:
        the connection takes no input meanwhile.
        """

    async def authenticate(self, client: ClientInfo, credentials: Credentials) -> Reply | None:
        """Whether these are right: None, or what to say. May take its time; the connection takes no input meanwhile."""

    def wants_certificate(self, client: ClientInfo) -> bool:
        """Asked at STARTTLS: whether a relay grant hangs on the certificate of this client."""

    def room(self) -> Future[None] | None:
        """Asked before `begin`: None, or what the client has to wait for, because mail comes faster than it leaves."""

    def begin(self, received: Received) -> "Draft":
        """A message begins; may raise QueueFull."""

    def accepted(self, message: "MessageState", client: ClientInfo) -> None:
        """The message is durable; 250 is said next."""

    def offer(self, draft: "Draft", accept: Acceptance, client: ClientInfo) -> "Offer | None":
        """The message is whole, and its client waits for what becomes of it; None: it cannot be waited for now."""

    def event(self, event: Event) -> None:
        """Write to the journal, which stamps the time."""

    def next_smtp_id(self) -> str: ...

    def next_connection_id(self) -> str: ...
