"""aiosmtpd as the next hop: another's reading of the protocol."""

import asyncio
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope
from aiosmtpd.smtp import Session as PeerSession

from engine.queue.record import Result
from tests.engine.delivery.peers import CONTENT, Room, mail, run, settings_for


class Box:
    """Keeps what it takes."""

    def __init__(self) -> None:
        self.taken: list[Envelope] = []

    async def handle_DATA(self, server: SMTP, session: PeerSession, envelope: Envelope) -> str:
        self.taken.append(envelope)
        return "250 2.0.0 kept"


def test_delivery_to_aiosmtpd() -> None:
    async def test(room: Room) -> None:
        box = Box()
        loop = asyncio.get_running_loop()
        protocols: list[Any] = []

        def peer() -> Any:
            protocols.append(SMTP(box, hostname="peer.example", enable_SMTPUTF8=True, loop=loop))
            return protocols[-1]

        server = await loop.create_server(peer, "127.0.0.1", 0)
        out = room.outbound(settings_for(server.sockets[0].getsockname()[1]))
        big = b"Subject: big\r\n\r\n" + b"." * 70 + b"\r\n" + b"x" * 70 + b"\r\n"
        try:
            for content in (CONTENT, big * 20_000):
                attempts = await out.deliverer.deliver(mail("a@example.com", "grün@example.com", content=content))
                assert [attempt.result for attempt in attempts] == [Result.DELIVERED] * 2
            assert len(protocols) == 1
            assert len(box.taken) == 4
            for envelope in box.taken[:2]:
                assert isinstance(envelope.content, bytes)
                assert envelope.content.endswith(CONTENT)
            assert box.taken[0].mail_from == "from@example.org"
        finally:
            await out.deliverer.close()
            server.close()

    run(test)
