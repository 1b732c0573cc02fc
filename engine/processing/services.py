"""What the stages ask of the relay that they work for."""

from typing import Protocol

from engine import events
from engine.config import Settings


class Services(Protocol):
    @property
    def settings(self) -> Settings: ...
    @property
    def hostname(self) -> str: ...
    @property
    def own_address(self) -> str:
        """That our own mail comes from and where mail is never delivered to, in lower case (SMTP-09, SMTP-11)."""
        ...

    def event(self, event: events.Event) -> None: ...
    def next_smtp_id(self) -> str: ...
