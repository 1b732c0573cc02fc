"""A message that somebody brings, taken apart where it can do no harm: a process of `control/sandbox.py`.

`examined()` gives it settings, definitions and the message, and gets what the gateway's scanner would have said. A
process that dies or takes too long is an answer too: the message cannot be examined (SCAN-09).
"""

import os
import struct
import sys
from pathlib import Path
from typing import Final

import msgspec

from control import sandbox
from control.sandbox import Reader
from engine import definitions, limits
from engine.config import Settings
from engine.queue.record import Disposition
from engine.scan.facts import Cause, Facts, Unscanned
from engine.scan.outcome import Outcome
from engine.scanner import protocol

START_S: Final = 20.0  # for a machine under load to start one
_READER: Final = Reader("control.rehearsal.sandboxed", 64 * limits.MIB)
_HEAD: Final = struct.Struct("!I")  # the length of the settings that go before the message


def examined(data: bytes, settings: Settings, image: Path) -> Outcome:
    """image: the compiled definitions. Raises Busy, DefinitionsRefused, OSError."""
    definitions.from_file(image)  # says what is wrong with them before another process stumbles over it
    plain = msgspec.json.encode(settings)
    pieces = (_HEAD.pack(len(plain)) + plain, data)
    try:
        answer = _READER.ask(pieces, START_S + protocol.deadline_s(settings), str(image))
        return msgspec.msgpack.decode(answer, type=Outcome)
    except (ConnectionError, TimeoutError, msgspec.DecodeError):
        detail = "what is in it made the scanner end, or take too long"
        return Outcome(
            facts=Facts(unscanned=[Unscanned("", Cause.ENGINE, detail)]),
            disposition=Disposition(settings.antivirus.unscanned.value),
            reason=f"cannot be scanned: {detail}",
        )


# --- inside of the sandbox ------------------------------------------------------------------------


def _main(fd: int, image: Path) -> int:
    from engine.scan.service import examine  # not for the pages, which only ask

    octets = sandbox.given(fd)
    (length,) = _HEAD.unpack_from(octets)
    settings = msgspec.json.decode(octets[_HEAD.size : _HEAD.size + length], type=Settings)
    data = octets[_HEAD.size + length :]
    loaded = definitions.from_file(image)
    sandbox.close(fd, protocol.deadline_s(settings))
    outcome = examine(data, loaded, settings)
    outcome.splices = []  # what a cleaned message would look like is not asked for
    return sandbox.answer(fd, msgspec.msgpack.encode(outcome))


if __name__ == "__main__":
    os._exit(_main(int(sys.argv[1]), Path(sys.argv[2])))
