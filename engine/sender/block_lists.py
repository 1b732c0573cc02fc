"""The client of DNS block lists (RFC 5782)."""

import time
from collections.abc import Callable

from engine.config import BlockLists
from engine.dns import Resolver
from engine.events import Event
from engine.policy.evidence import Listing


class BlockListClient:
    """One for each relay: it remembers which lists are usable."""

    def __init__(
        self, resolver: Resolver, event: Callable[[Event], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """event: writes to the journal (BlockListUnusable). clock: seconds, monotonic."""

    async def ask(self, address: str, settings: BlockLists) -> tuple[Listing, ...]:
        """What each list that is switched on says about the client, within settings.timeout_s. Never raises."""
        return ()
