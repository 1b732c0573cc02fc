"""Which address of equally preferred hosts to connect to: each with a short head start (after RFC 8305).

A connection that hangs costs HEAD_START_S, not the time-out, and is remembered: such an address is tried after the
others for SLOW_S. One that refuses costs nothing, and is not.
"""

import asyncio
import os
import random
import socket
import time
from collections.abc import Callable, Sequence
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from engine import limits

HEAD_START_S: Final = 0.25  # RFC 8305 s5
SLOW_S: Final = 600.0


class Place(Protocol):
    """address: its text, or the path of a socket of this machine."""

    @property
    def address(self) -> str: ...
    @property
    def port(self) -> int: ...


P = TypeVar("P", bound=Place)


class Connected(NamedTuple, Generic[P]):
    """failed: places that refused meanwhile, and why. rest: those that came to nothing so far, or were not tried."""

    place: P
    sock: socket.socket
    failed: list[tuple[P, str]]
    rest: list[P]


class Unreachable(Exception, Generic[P]):
    """No place took a connection. failed: why."""

    def __init__(self, failed: list[tuple[P, str]]) -> None:
        super().__init__("; ".join(words for _, words in failed))
        self.failed = failed


class Reach:
    """What is known of addresses. Bounded by limits.ADDRESSES_SLOW: the oldest goes."""

    def __init__(self, rng: random.Random, clock: Callable[[], float] = time.monotonic) -> None:
        self._rng = rng
        self._clock = clock
        self._slow: dict[str, float] = {}  # address -> until when

    def ordered(self, addresses: Sequence[str]) -> list[str]:
        """At random, IPv6 and IPv4 in turn, IPv6 first; those that did not answer a short time ago come last."""
        if len(addresses) < 2:
            return list(addresses)
        shuffled = list(addresses)
        self._rng.shuffle(shuffled)
        wide = [one for one in shuffled if ":" in one]
        narrow = [one for one in shuffled if ":" not in one]
        turns = [one for pair in zip(wide, narrow, strict=False) for one in pair]
        turns += wide[len(narrow) :] + narrow[len(wide) :]
        return sorted(turns, key=self.is_slow)  # stable

    def is_slow(self, address: str) -> bool:
        return self._slow.get(address, 0.0) > self._clock()

    def failed(self, address: str) -> None:
        self._slow.pop(address, None)
        self._slow[address] = self._clock() + SLOW_S
        if len(self._slow) > limits.ADDRESSES_SLOW:
            del self._slow[next(iter(self._slow))]

    def answered(self, address: str) -> None:
        self._slow.pop(address, None)

    async def first(self, places: Sequence[P], timeout_s: float) -> Connected[P]:
        """Connect to the first of these, in this order, that takes a connection. Raises Unreachable."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        waiting = list(places)
        begun: dict[asyncio.Task[socket.socket], P] = {}
        failed: list[tuple[P, str]] = []
        try:
            while waiting or begun:
                if waiting:
                    place = waiting.pop(0)
                    begun[loop.create_task(_connect(place))] = place
                left_s = deadline - loop.time()
                if left_s <= 0:
                    break
                done, _ = await asyncio.wait(
                    begun, timeout=min(HEAD_START_S, left_s) if waiting else left_s, return_when=asyncio.FIRST_COMPLETED
                )
                for task in sorted(done, key=lambda one: one.exception() is not None):
                    place = begun.pop(task)
                    error = task.exception()
                    if error is None:
                        self.answered(place.address)
                        for other in begun.values():
                            self.failed(other.address)
                        return Connected(place, task.result(), failed, [*begun.values(), *waiting])
                    failed.append((place, _words(error)))
            for place in begun.values():
                self.failed(place.address)
            failed += [(place, f"no answer within {timeout_s:g} s") for place in (*begun.values(), *waiting)]
            raise Unreachable(failed)
        finally:
            for task in begun:
                task.cancel()
                task.add_done_callback(_close)


def _words(error: BaseException) -> str:
    """As the system says it: event loops have words of their own."""
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else str(error)


async def _connect(place: Place) -> socket.socket:
    here = place.address.startswith("/")
    family = socket.AF_UNIX if here else socket.AF_INET6 if ":" in place.address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        await asyncio.get_running_loop().sock_connect(sock, place.address if here else (place.address, place.port))
    except BaseException:
        sock.close()
        raise
    return sock


def _close(task: "asyncio.Task[socket.socket]") -> None:
    """Of one that connected after all, in the moment it was cancelled."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()
