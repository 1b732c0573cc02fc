"""SMTP transactions through the session, without sockets and disk: what one message costs in commands and replies."""

from engine.config import Blocking, Characters, Settings, Smtp
from engine.relay_rule import Field
from engine.smtp.effect import Effect
from engine.smtp.gate import ACCEPTED, Answer, ClientInfo
from engine.smtp.session import Session

COUNT = 200
LINE = b"some text in a line, seventy octets or so, as mail has it all the time\r\n"
MESSAGE = b"Subject: x\r\nX-Tenant: t\r\n\r\n" + LINE * 57
GRANTED = Answer(fields=(Field("x-tenant", "t"),))


class Transactions:
    """plain: as most mail comes. characters: CHAR-01 on. header: a relay grant hangs on a field (RELAY-01)."""

    params = ("plain", "characters", "header", "bdat")
    param_names = ("way",)

    def setup(self, way: str) -> None:
        characters = Characters(enabled=way == "characters")
        settings = Settings(smtp=Smtp(hostname="gate.example"), blocking=Blocking(characters=characters))
        client = ClientInfo("192.0.2.1", 4242, "connection1")
        self.session = Session(client, settings, "gate.example", lambda: None)
        self.answer = GRANTED if way == "header" else ACCEPTED
        envelope = b"MAIL FROM:<a@c.example> SIZE=4000\r\nRCPT TO:<b@local.example>\r\n"
        self.groups = (envelope + b"DATA\r\n", MESSAGE + b".\r\n")
        if way == "bdat":
            self.groups = (envelope, b"BDAT %d LAST\r\n%s" % (len(MESSAGE), MESSAGE))
        self.stored = 0
        self._feed(b"EHLO c.example\r\n")
        self._transaction()
        if self.stored != len(MESSAGE):
            raise AssertionError("the message was not taken as it was sent")

    def time_transactions(self, way: str) -> None:
        for _ in range(COUNT):
            self._transaction()

    def _transaction(self) -> None:
        for group in self.groups:
            self._feed(group)

    def _feed(self, octets: bytes) -> None:
        session = self.session
        session.feed(octets)
        while (effect := session.next()) is not None:
            if effect is Effect.CONTENT:
                self.stored += len(session.content)
            elif effect is Effect.RECIPIENT:
                session.answer_recipient(self.answer)
            elif effect is Effect.BEGIN:
                session.received("ID", 0)
                session.answer_begin(None)
            elif effect is Effect.COMMIT:
                session.answer_commit(None, "ID")
            elif effect not in (Effect.SENDER, Effect.TURN):
                raise AssertionError(f"{effect} is not what this is about")
        session.take_replies()
