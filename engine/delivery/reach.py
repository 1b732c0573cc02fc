"""Which address of a host to connect to: families in turn with a short head start for each (after RFC 8305).

A connection that hangs costs HEAD_START_S, not the time-out, and is remembered: such an address is tried after the
others for SLOW_S.
"""

import asyncio
import os
import random
import socket
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from engine import limits

HEAD_START_S: Final = 0.25  # RFC 8305 s5
SLOW_S: Final = 600.0


class Connected(NamedTuple):
    """failed: addresses that refused meanwhile, and why. rest: those that came to nothing so far, or were not tried."""

    address: str
    sock: socket.socket
    failed: dict[str, str]
    rest: list[str]


class Unreachable(Exception):
    """No address took a connection. failed: why, by address."""

    def __init__(self, failed: dict[str, str]) -> None:
        super().__init__("; ".join(failed.values()))
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

    async def first(self, addresses: Sequence[str], port: int, timeout_s: float) -> Connected:
        """Connect to the first of these, in this order, that takes a connection. Raises Unreachable."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        waiting = list(addresses)
        begun: dict[asyncio.Task[socket.socket], str] = {}
        failed: dict[str, str] = {}
        try:
            while waiting or begun:
                if waiting:
                    address = waiting.pop(0)
                    begun[loop.create_task(_connect(address, port))] = address
                left_s = deadline - loop.time()
                if left_s <= 0:
                    break
                done, _ = await asyncio.wait(
                    begun, timeout=min(HEAD_START_S, left_s) if waiting else left_s, return_when=asyncio.FIRST_COMPLETED
                )
                for task in sorted(done, key=lambda one: one.exception() is not None):
                    address = begun.pop(task)
                    error = task.exception()
                    if error is None:
                        self.answered(address)
                        for other in begun.values():
                            self.failed(other)
                        return Connected(address, task.result(), failed, [*begun.values(), *waiting])
                    self.failed(address)
                    failed[address] = _words(error)
            for address in [*begun.values(), *waiting]:
                self.failed(address)
                failed[address] = f"no answer within {timeout_s:g} s"
            raise Unreachable(failed)
        finally:
            for task in begun:
                task.cancel()
                task.add_done_callback(_close)


def _words(error: BaseException) -> str:
    """As the system says it: event loops have words of their own."""
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else str(error)


async def _connect(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        await asyncio.get_running_loop().sock_connect(sock, (address, port))
    except BaseException:
        sock.close()
        raise
    return sock


def _close(task: "asyncio.Task[socket.socket]") -> None:
    """Of one that connected after all, in the moment it was cancelled."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()
