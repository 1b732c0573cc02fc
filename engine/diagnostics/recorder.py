"""Begins the log of a conversation where the settings of its direction want one; else costs its caller one None."""

from collections.abc import Callable
from typing import Final

from engine import VERSION
from engine.config import ConversationLog, DataStream, Diagnostics, LogLevel
from engine.diagnostics import files
from engine.diagnostics.conversation import Conversation, shown
from engine.diagnostics.room import Room
from engine.journal import timestamp
from engine.smtp.gate import ClientInfo

_CONTENT: Final = "content: "
ECHO_MARK: Final = f"{_CONTENT}{DataStream.ECHO}\n".encode()  # in the head of a log that holds mail


class Recorder:
    """Of one relay. clock: nanoseconds since 1970. What is under way goes on with the settings it was begun with."""

    def __init__(self, room: Room, settings: Diagnostics, clock: Callable[[], int]) -> None:
        self._room = room
        self._clock = clock
        self.apply(settings)

    def apply(self, settings: Diagnostics) -> None:
        self._inbound = None if settings.inbound.level is LogLevel.DISABLE else settings.inbound
        self._outbound = None if settings.outbound.level is LogLevel.DISABLE else settings.outbound

    def inbound(self, client: ClientInfo) -> Conversation | None:
        if self._inbound is None:
            return None
        return self._begin(files.INBOUND, self._inbound, client.address, client.connection_id, 0)

    def outbound(self, server: str, connection_id: str, number: int) -> Conversation | None:
        """One attempt. server: as the journal names it. number: which one it is on this connection, from 1 on."""
        if self._outbound is None:
            return None
        return self._begin(files.OUTBOUND, self._outbound, server, connection_id, number)

    def _begin(self, kind: str, settings: ConversationLog, peer: str, connection_id: str, number: int) -> Conversation:
        now = timestamp(self._clock())
        name = files.name_of(files.stamp(now), kind, connection_id, peer, "log", number)
        head = (
            f"Mailward {VERSION}, {kind} conversation {connection_id} with {shown(peer.encode())}\n"
            f"begun {now}, level {settings.level}, errors {settings.errors}, {_CONTENT}{settings.data}\n"
        )
        return Conversation(head, settings, self._clock, self._room.new(name))
