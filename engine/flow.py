"""How fast messages come in, so that arrival adapts to departure (back-pressure).

Taking mail in costs less than scanning it. Without a brake a gateway under more load than it can bear takes in much
more than it delivers, until its queue has its greatest length and it has to refuse. So a message may begin at once only
while few are ahead of it: those that are accepted and not examined yet. Else its client waits for the reply to DATA,
first come first served, until one has left, or for so long as what is ahead asks for: a large message in the scanner
must not make all others wait. Nobody waits for longer than HOLD_S, so that mail comes in, slowly, also when nothing
leaves. What waits for a next hop is in the queue for good reasons, and makes nobody wait.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

AHEAD: Final = 32  # messages of one relay: enough to keep its scanners busy, and less than a second of their work
HOLD_S: Final = 10.0
FIRST_HOLD_S: Final = 0.1  # with AHEAD of them; four times as long with twice as many


class Flow:
    """ahead: how many messages are accepted and not examined yet. crowded: whether the queue is as good as full."""

    def __init__(self, ahead: Callable[[], int], crowded: Callable[[], bool]) -> None:
        self._ahead = ahead
        self._crowded = crowded
        self._held: deque[asyncio.Future[None]] = deque()

    def room(self) -> asyncio.Future[None] | None:
        """Before a message begins: None, or what to wait for."""
        if not self._held and self._ahead() < AHEAD and not self._crowded():
            return None
        loop = asyncio.get_running_loop()
        held: asyncio.Future[None] = loop.create_future()
        share = self._ahead() / AHEAD
        hold_s = HOLD_S if self._crowded() else min(HOLD_S, FIRST_HOLD_S * max(1.0, share * share))
        timer = loop.call_later(hold_s, _let_go, held)
        held.add_done_callback(lambda _: timer.cancel())
        self._held.append(held)
        return held

    def left(self) -> None:
        """A message has left the queue."""
        if self._held and self._crowded():
            self._go_on(1)

    def examined(self) -> None:
        """A message was examined."""
        if not self._held or self._crowded():
            return
        ahead = self._ahead()
        if ahead >= AHEAD:
            may_go = 1
        elif ahead > AHEAD // 2:
            may_go = 2
        else:
            may_go = len(self._held)
        self._go_on(may_go)

    def _go_on(self, may_go: int) -> None:
        while may_go and self._held:
            may_go -= _let_go(self._held.popleft())


def _let_go(held: "asyncio.Future[None]") -> bool:
    """Whether somebody still waited."""
    if held.done():
        return False
    held.set_result(None)
    return True
