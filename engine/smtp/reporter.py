"""The events of one connection (PROC-25: each carries its id)."""

from engine import events
from engine.smtp.gate import ClientInfo, Gate
from engine.smtp.session import Session
from engine.smtp.tls import Certificate


class Reporter:
    """Writes to the journal of the gate. Says what happened and changes nothing."""

    def __init__(self, gate: Gate, client: ClientInfo) -> None:
        self._gate = gate
        self._client = client

    def connection(self, result: str) -> None:
        """result: accepted, queued or refused."""
        client = self._client
        self._gate.event(
            events.ConnectionFrom(
                result=result, client=client.address, connection_id=client.connection_id, proxy=client.proxy
            )
        )

    def certificate(self, given: Certificate | None, refused: str = "") -> None:
        """What the client showed, if anything. refused: why it was not verified."""
        client = self._client
        if given is None and not refused:
            return
        subject, sha256 = given or ("", "")
        self._gate.event(
            events.ClientCertificate(
                result="refused" if refused else "verified",
                client=client.address,
                connection_id=client.connection_id,
                subject=subject,
                sha256=sha256,
                reason=refused,
            )
        )

    def disconnected(self, side: str) -> None:
        """side: who ended it, client or server."""
        client = self._client
        self._gate.event(events.Disconnected(side=side, client=client.address, connection_id=client.connection_id))

    def violation(self, words: str) -> None:
        client = self._client
        self._gate.event(
            events.ProtocolViolation(client=client.address, connection_id=client.connection_id, violation=words)
        )

    def drain(self, session: Session) -> None:
        """Violations and rejections that the session has gathered (SMTP-14, REJ-01..08)."""
        client = self._client
        for words in session.violations:
            self.violation(words)
        for rejection in session.rejections:
            self._gate.event(
                events.Rejected(
                    client=client.address,
                    connection_id=client.connection_id,
                    reason=rejection.reason,
                    reverse_path=rejection.reverse_path,
                    forward_path=rejection.forward_path,
                )
            )
        session.violations.clear()
        session.rejections.clear()
