"""How a gateway that waits for orders hears of a new one at once: threads say it, its request is in the event loop."""

import asyncio
import threading


class Bell:
    """Safe from any thread; `wait` is for the event loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closed = False
        self._waiting: dict[str, set[tuple[asyncio.AbstractEventLoop, asyncio.Event]]] = {}

    def ring(self, gateway: str) -> None:
        with self._lock:
            for loop, event in self._waiting.get(gateway, ()):
                loop.call_soon_threadsafe(event.set)

    async def wait(self, gateway: str, seconds: float) -> None:
        """Until it rings for this gateway, or so long."""
        mine = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            if self._closed:
                return
            self._waiting.setdefault(gateway, set()).add(mine)
        try:
            async with asyncio.timeout(seconds):
                await mine[1].wait()
        except TimeoutError:
            return
        finally:
            with self._lock:
                self._waiting[gateway].discard(mine)
                if not self._waiting[gateway]:
                    del self._waiting[gateway]

    def close(self) -> None:
        """Nobody waits any more, nor begins to: the server stops."""
        with self._lock:
            self._closed = True
            for waiting in self._waiting.values():
                for loop, event in waiting:
                    loop.call_soon_threadsafe(event.set)
