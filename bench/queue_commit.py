"""Messages of 4 KB made durable by concurrent writers: group commit in the log. Peer: a file for each message.

The peer does what a queue of files has to do: write, fsync, rename, fsync the directory. Both are checked afterwards:
every message is there again, whole. Disks differ much in what a sync costs; compare the two on one machine.
"""

import asyncio
import os
import shutil
import tempfile
import threading
from pathlib import Path

from engine.ids import IdMaker
from engine.queue.record import Attempt, Received, Recipient, Result
from engine.queue.state import MessageState
from engine.queue.store import Store

BODY = b"0123456789abcdef" * 256
MESSAGES = 1000


class Commit:
    params = (1, 10, 50)
    param_names = ("writers",)
    timeout = 300
    number = 1
    warmup_time = 0.0

    def setup(self, writers: int) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="bench-queue-", dir=os.environ.get("MAILWARD_BENCH_DIR")))
        self.loop = asyncio.new_event_loop()
        self.store = Store(self.root, 0, 1)
        self.loop.run_until_complete(self.store.open())
        self.ids = IdMaker(0, lambda: 1)
        self.round = 0
        self._check(writers)

    def teardown(self, writers: int) -> None:
        self.loop.run_until_complete(self.store.close())
        self.loop.close()
        shutil.rmtree(self.root)

    def _check(self, writers: int) -> None:
        kept = self.loop.run_until_complete(self._accept(writers, 100))
        self.loop.run_until_complete(self.store.close())
        self.store = Store(self.root, 0, 1)
        found = self.loop.run_until_complete(self.store.open())
        if {message.id for message in found} != {message.id for message in kept}:
            raise AssertionError("other messages came back than were accepted")
        for message in found:
            if b"".join(bytes(piece) for piece in self.store.content(message)) != BODY:
                raise AssertionError("a message came back with other octets")
            self.store.done(message)
        files = self._files(writers, 100)
        if len(files) != 100 or any(path.read_bytes() != BODY for path in files):
            raise AssertionError("the peer lost a message")

    async def _accept(self, writers: int, messages: int) -> list[MessageState]:
        kept: list[MessageState] = []

        async def one_writer() -> None:
            for _ in range(messages // writers):
                draft = self.store.begin(self._received())
                draft.write(BODY)
                kept.append(await draft.commit())

        await asyncio.gather(*(one_writer() for _ in range(writers)))
        return kept

    def _received(self) -> Received:
        recipients = (Recipient("someone@example.net"),)
        smtp_id = self.ids.next()
        return Received(smtp_id, 1, "c1", "192.0.2.1", 2525, "mx.example.org", "ESMTP", "", "a@example.org", recipients)

    def _files(self, writers: int, messages: int) -> list[Path]:
        self.round += 1
        directory = self.root / f"peer-{self.round}"
        directory.mkdir()

        def one_writer(number: int) -> None:
            for count in range(messages // writers):
                durable_file(directory, f"{number}-{count}")

        threads = [threading.Thread(target=one_writer, args=(number,)) for number in range(writers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return list(directory.iterdir())

    def time_log(self, writers: int) -> None:
        """The whole way of a message through the fast queue: durable, delivered, done."""
        for message in self.loop.run_until_complete(self._accept(writers, MESSAGES)):
            self.store.note(message, Attempt(message.id, 1, 0, Result.DELIVERED, "250 ok", "mx.example.net"))
            self.store.done(message)

    def time_peer_file_per_message(self, writers: int) -> None:
        self._files(writers, MESSAGES)


def durable_file(directory: Path, name: str) -> None:
    temporary = directory / f"{name}.tmp"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT)
    os.write(fd, BODY)
    os.fsync(fd)
    os.close(fd)
    os.rename(temporary, directory / name)
    fd = os.open(directory, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
