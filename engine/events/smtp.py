"""Conversations with clients, next hops and block lists (RSMTP)."""

from engine.events.base import Event


class ConnectionFrom(Event, tag="connection-from"):
    result: str  # accepted, queued or refused
    client: str
    connection_id: str
    proxy: str = ""  # the host that said who the client is


class ConnectedTo(Event, tag="connected-to"):
    result: str
    server: str
    connection_id: str
    kind: str  # Actual or Cached
    tls: str = ""


class ClientCertificate(Event, tag="client-certificate"):
    """A client that was asked showed its certificate. result: verified or refused; of one that is refused nothing is
    known but why."""

    result: str
    client: str
    connection_id: str
    subject: str = ""
    sha256: str = ""
    reason: str = ""


class Disconnected(Event, tag="disconnected"):
    side: str  # client or server: who ended it
    client: str
    connection_id: str


class ConnectionClosed(Event, tag="connection-closed"):
    server: str
    connection_id: str
    last_command: str = ""
    last_response: str = ""


class ConnectionFailed(Event, tag="connection-failed"):
    """A next hop cannot be reached (ALR-14)."""

    server: str
    reason: str


class TlsResult(Event, tag="tls-result"):
    """How TLS to a domain went, once for each connection that was opened for it (RFC 8460). session: all of it but the
    reason as one word list, which is what sessions are counted by (engine.delivery.security.results)."""

    session: str
    reason: str = ""


class ProtocolViolation(Event, tag="protocol-violation"):
    client: str
    connection_id: str
    violation: str


class SubmitterRefused(Event, tag="submitter-refused"):
    """An AUTH came to nothing. submitter: the name, if there is an account of it."""

    client: str
    connection_id: str
    submitter: str
    reason: str


class Rejected(Event, tag="rejected"):
    client: str
    connection_id: str
    reason: str  # an id of engine.replies.Reason
    reverse_path: str = ""
    forward_path: str = ""
    smtp_id: str = ""  # of a message that was refused after its content was read
    reply: str = ""  # what its client was told then
    size: int = 0  # of that message


class BlockListUnusable(Event, tag="block-list-unusable"):
    """A DNS block list failed its self-test or answers errors: it is not used for a while. recovered: it is again."""

    list: str
    reason: str
    recovered: bool = False


SmtpEvents = (
    ConnectionFrom
    | ClientCertificate
    | ConnectedTo
    | Disconnected
    | ConnectionClosed
    | ConnectionFailed
    | TlsResult
    | ProtocolViolation
    | SubmitterRefused
    | Rejected
    | BlockListUnusable
)
