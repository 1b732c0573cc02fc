"""A message that somebody brings, taken apart where it can do no harm: a process in the scanner's sandbox.

`examined()` starts it, gives it settings, definitions and the message, and gets what the gateway's scanner would have
said. A process that dies or takes too long is an answer too: the message cannot be examined (SCAN-09).
"""

import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Final

import msgspec

from engine import definitions, limits
from engine.config import Settings
from engine.queue.record import Disposition
from engine.scan.facts import Cause, Facts, Unscanned
from engine.scan.service import Outcome, examine
from engine.scanner import protocol, sandbox
from engine.scanner.worker import preload

AT_ONCE: Final = 2  # processes
START_S: Final = 20.0  # for a machine under load to start one
_ANSWER_LEN: Final = 64 * limits.MIB
_TURNS: Final = threading.BoundedSemaphore(AT_ONCE)
_HEAD: Final = struct.Struct("!I")  # the length of the settings that go before the message


class Busy(Exception):
    """Other messages are being tried, and take their time."""


def examined(data: bytes, settings: Settings, image: Path) -> Outcome:
    """image: the compiled definitions. Raises Busy, DefinitionsRefused, OSError."""
    patience_s = START_S + protocol.deadline_s(settings)
    if not _TURNS.acquire(timeout=patience_s):
        raise Busy
    try:
        definitions.from_file(image)  # says what is wrong with them before another process stumbles over it
        plain = msgspec.json.encode(settings)
        answer = _ask(_HEAD.pack(len(plain)) + plain, data, image, time.monotonic() + patience_s)
        return msgspec.msgpack.decode(answer, type=Outcome)
    except (ConnectionError, TimeoutError, msgspec.DecodeError):
        detail = "what is in it made the scanner end, or take too long"
        return Outcome(
            facts=Facts(unscanned=[Unscanned("", Cause.ENGINE, detail)]),
            disposition=Disposition(settings.antivirus.unscanned.value),
            reason=f"cannot be scanned: {detail}",
        )
    finally:
        _TURNS.release()


def _ask(head: bytes, data: bytes, image: Path, deadline: float) -> bytes:
    """Raises ConnectionError, TimeoutError."""
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-P", "-s", "-m", "control.rehearsal.sandboxed", str(theirs.fileno()), str(image)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        try:
            for piece in (head, data):
                ours.settimeout(max(0.01, deadline - time.monotonic()))
                ours.sendall(piece)
            ours.shutdown(socket.SHUT_WR)
            return _answer(ours, deadline)
        finally:
            process.kill()
            process.wait()


def _answer(ours: socket.socket, deadline: float) -> bytes:
    answer = bytearray()
    while len(answer) <= _ANSWER_LEN:
        ours.settimeout(max(0.01, deadline - time.monotonic()))
        piece = ours.recv(1 << 16)
        if not piece:
            break
        answer += piece
    return bytes(answer)


# --- inside of the sandbox ------------------------------------------------------------------------


def _main(fd: int, image: Path) -> int:
    channel = socket.socket(fileno=fd)
    with channel.makefile("rb") as file:
        (length,) = _HEAD.unpack(file.read(_HEAD.size))
        settings = msgspec.json.decode(file.read(length), type=Settings)
        data = file.read()
    loaded = definitions.from_file(image)
    preload()
    sandbox.enter(fd)
    signal.setitimer(signal.ITIMER_PROF, protocol.deadline_s(settings))
    outcome = examine(data, loaded, settings)
    outcome.splices = []  # what a cleaned message would look like is not asked for
    answer = memoryview(msgspec.msgpack.encode(outcome))
    while answer:
        answer = answer[os.write(fd, answer) :]
    return os.EX_OK


if __name__ == "__main__":
    os._exit(_main(int(sys.argv[1]), Path(sys.argv[2])))
