"""`mailward sink`: a development mailbox that keeps every delivered message as a file. Not for production.

The only place besides tests and benches that touches aiosmtpd.
"""

import asyncio
import itertools
import os
import signal
import time
from pathlib import Path
from typing import Any

import click
import msgspec
from aiosmtpd.smtp import SMTP

from control.cli.options import HOST_PORT
from engine.config import Listener


class Envelope(msgspec.Struct):
    """Beside NAME.eml lies NAME.json with this."""

    reverse_path: str
    forward_paths: list[str]
    peer: str
    size: int


class Mailbox:
    """aiosmtpd handler: content in NAME.eml, envelope in NAME.json; the .json appears last, both complete."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = itertools.count(1)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        name = f"{time.time_ns()}-{next(self._count)}"
        content = bytes(envelope.original_content)
        sender = Envelope(
            (envelope.mail_from or "").removeprefix("<").removesuffix(">"),
            list(envelope.rcpt_tos),
            str(session.peer[0]),
            len(content),
        )
        for suffix, data in ((".eml", content), (".json", msgspec.json.encode(sender))):
            part = self._folder / f".{name}{suffix}"
            part.write_bytes(data)
            os.replace(part, self._folder / f"{name}{suffix}")
        return "250 2.0.0 kept"


@click.command()
@click.option("--listen", type=HOST_PORT, required=True)
@click.option("--dir", "folder", type=click.Path(file_okay=False, path_type=Path), required=True)
def sink(listen: Listener, folder: Path) -> None:
    """A development mailbox: accepts everything, keeps each message and its envelope as a file."""
    folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(run(listen, folder))


async def run(listen: Listener, folder: Path) -> None:
    loop = asyncio.get_running_loop()
    mailbox = Mailbox(folder)
    server = await loop.create_server(
        lambda: SMTP(mailbox, enable_SMTPUTF8=True, ident="Mailward sink", data_size_limit=0), listen.host, listen.port
    )
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    click.echo(f"sink listens on {listen}, keeps mail in {folder}")
    await ended.wait()
    server.close()
