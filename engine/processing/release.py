"""A file of the quarantine goes to somebody after all, in a mail of our own (QRN-06).

Mail of our own is not examined, so this mail is exempt from being blocked again; it is made here, of exactly the file
that was ordered, known by its digest, so that the exemption reaches no other octets. Its digest stands in the word
that names the mail in the queue. Anybody else's mail with the same file is blocked as before.
"""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from engine.command import Command, CommandFailed
from engine.config.entries import address_error
from engine.delivery.reply import printable
from engine.quarantine import sealed
from engine.quarantine.folder import Entry, Folder

FETCHED: Final = "releases"  # files that the central server had, until their mail is queued
_LINE_LEN: Final = 57  # octets that a line of base64 holds (RFC 2045 s6.8)
_LINES: Final = 1000  # at once

Send = Callable[[Sequence[str], AsyncIterator[bytes], str], Awaitable[str]]


class Release:
    """directory: of the local quarantine. send: queues mail of our own, named by a word, and gives its SMTP ID.

    own_address: that nothing is ever delivered to (SMTP-11).
    """

    def __init__(self, directory: Path, send: Send, own_address: Callable[[], str]) -> None:
        self._folders = (Folder(directory), Folder(directory / FETCHED))
        self._send = send
        self._own_address = own_address

    async def send(self, command: Command) -> str:
        """Returns the SMTP ID, when it is durable. Raises CommandFailed, QueueError."""
        if not command.to:
            raise CommandFailed("the file is to go to nobody: name a recipient")
        for to in command.to:
            if error := address_error(to):
                raise CommandFailed(f"{printable(to)!r} {error}")
            if to.lower() == self._own_address():
                raise CommandFailed(f"{to} is the address that Mailward sends from: mail to it is never delivered")
        try:
            folder, entry = await asyncio.to_thread(self._find, command.item)
            word = f"quarantine {command.sha256} {command.id}"
            return await self._send(command.to, self._mail(command, folder, entry), word)
        except (OSError, sealed.Unreadable) as error:
            raise CommandFailed(f"the file cannot be read: {error}") from None

    def _find(self, item: str) -> tuple[Folder, Entry]:
        for folder in self._folders:
            entry = folder.find(item)
            if entry is not None:
                return folder, entry
        raise CommandFailed(f"there is no file {printable(item)} in the quarantine any more")

    async def _mail(self, command: Command, folder: Folder, entry: Entry) -> AsyncIterator[bytes]:
        """Raises CommandFailed behind the last octets if they are not the ones that were ordered."""
        _, pieces = await asyncio.to_thread(folder.content, entry)
        yield command.content
        digest = hashlib.sha256()
        rest = b""
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            digest.update(piece)
            rest += piece
            whole = len(rest) - len(rest) % _LINE_LEN
            for octets in _encoded(rest[:whole]):
                yield octets
            rest = rest[whole:]
        if digest.hexdigest() != command.sha256:
            raise CommandFailed("the file is not the one that was ordered: its digest is another")
        for octets in _encoded(rest):
            yield octets
        yield command.tail


def _encoded(octets: bytes) -> Iterator[bytes]:
    for at in range(0, len(octets), _LINES * _LINE_LEN):
        yield base64.encodebytes(octets[at : at + _LINES * _LINE_LEN]).replace(b"\n", b"\r\n")
