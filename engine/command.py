"""The relay's command socket: what people do to queued messages from the command line and the pages.

One JSON object a line each way, over a Unix socket that only the service account may open:
`{"op": "drop", "ids": ["..."]}` is answered by `{"ok": true, "count": 1}` or `{"ok": false, "error": "..."}`.
What can be done to messages: retry, hold, release, requeue, drop, forward (`to` one address, `subject`). A relay does
it to those that are its own, leaves the others alone, and says in `failed` which of its own it could not, and why.
`retry` without ids means every message of the slow queue, or all that wait for `domain`. Commands of one relay are done
one after the other.

`submit` queues mail of our own: `to` are its recipients, `content` its octets in base64, `id` any word that names it:
a word that was submitted before is answered with success and nothing is queued, so that asking again does no harm.
`submit-item` queues mail of our own in the same way, with a file of the quarantine in it: `content` goes before the
file, `tail` behind it, both in base64; `item` is its id there, `sha256` what it must be. The answer has the SMTP ID.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from engine.queue.errors import QueueError

OWN_MAIL_LEN = 256 * 1024  # octets of one mail of our own: texts of settings and a few values of limited length
OWN_MAIL_RECIPIENTS = 1000  # RFC 5321 s4.5.3.1.8 asks for 100 at least
LINE_LEN = 1024 * 1024  # a mail in base64 and its recipients
IDS = 500  # messages of one batch: a second or so of work, for which other commands wait
ON_MESSAGES = ("retry", "hold", "release", "requeue", "drop", "forward")
OPERATIONS = (*ON_MESSAGES, "lengths", "submit", "submit-item")

log = logging.getLogger(__name__)


class Command(msgspec.Struct, forbid_unknown_fields=True):
    op: str
    id: str = ""
    to: tuple[str, ...] = ()
    content: bytes = b""
    ids: tuple[str, ...] = ()
    subject: str = ""
    domain: str = ""
    item: str = ""
    sha256: str = ""
    tail: bytes = b""


class Answer(msgspec.Struct, omit_defaults=True):
    """again: it failed for now only, and may be asked for later. failed: of a batch, ids with reasons. id: SMTP ID."""

    ok: bool
    error: str = ""
    count: int = 0
    again: bool = False
    failed: tuple[tuple[str, str], ...] = ()
    id: str = ""


class CommandFailed(Exception):
    """Why an operation was not done, for the person who asked."""


class CommandServer:
    """Serves one relay. perform: does it and answers how many messages it touched, or raises CommandFailed."""

    def __init__(self, path: Path, perform: Callable[[Command], Awaitable[Answer]]) -> None:
        self._path = path
        self._perform = perform
        self._one = asyncio.Lock()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, self._path, limit=LINE_LEN)
        self._path.chmod(0o660)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(msgspec.json.encode(await self._answer(line)) + b"\n")
                await writer.drain()
        except (ValueError, ConnectionError) as error:  # ValueError: a line over the limit
            log.warning("command socket: %s", error)
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> Answer:
        try:
            command = msgspec.json.decode(line, type=Command)
            if command.op not in OPERATIONS:
                raise CommandFailed(f"unknown operation {command.op!r}: use one of {', '.join(OPERATIONS)}")
            if len(command.content) + len(command.tail) > OWN_MAIL_LEN or len(command.to) > OWN_MAIL_RECIPIENTS:
                raise CommandFailed(
                    f"mail of our own has at most {OWN_MAIL_LEN} octets, {OWN_MAIL_RECIPIENTS} recipients"
                )
            if len(command.ids) > IDS:
                raise CommandFailed(f"a batch has at most {IDS} messages")
            async with self._one:
                return await self._perform(command)
        except msgspec.MsgspecError as error:
            return Answer(False, f"not a command: {error}")
        except CommandFailed as error:
            return Answer(False, str(error))
        except QueueError as error:
            return Answer(False, f"the queue refuses it now: {error}", again=True)
        except Exception as error:
            log.exception("command failed: %r", line)
            return Answer(False, f"internal error: {error!r}", again=True)


def send(path: Path, command: Command, timeout_s: float = 30.0) -> Answer:
    """Ask a running relay. Raises ConnectionError or FileNotFoundError if none listens there, TimeoutError."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(timeout_s)
        sock.connect(str(path))
        sock.sendall(msgspec.json.encode(command) + b"\n")
        with sock.makefile("rb") as file:
            line = file.readline(LINE_LEN)
    if not line:
        raise ConnectionError("the relay closed the command socket without an answer")
    return msgspec.json.decode(line, type=Answer)
