"""A real central quarantine server on loopback, and gateways that speak to it over mutual TLS."""

import contextlib
import hashlib
import http.client
import resource
import select
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import argon2
import msgspec
import pytest
from click.testing import CliRunner

from bench.ports import free_port
from control.access import AccessDatabase
from control.cli import main
from control.quarantine_server import authority, protocol
from control.quarantine_server.context import ServerContext
from control.quarantine_server.index import Index
from control.quarantine_server.layout import ServerLayout
from control.quarantine_server.protocol import Item, OrderResult, Orders
from control.sessions import Sessions
from tests.control.harness import PASSWORD, PATIENCE_S, Browser

CHEAP = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"


def item_of(content: bytes, number: int = 1, **known: Any) -> Item:
    given: dict[str, Any] = {
        "name": "invoice.exe",
        "viruses": ("Test.Marker",),
        "sender": "mallory@example.org",
        "recipients": ("bob@example.com",),
        "subject": "your invoice",
        "smtp_id": "1N4ABCDEV0001",
        "fate": "deleted",
        "time": "2026-03-01T09:30:00.000001Z",
    }
    return Item(f"{number:032x}", hashlib.sha256(content).hexdigest(), len(content), **(given | known))


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def detail(self) -> str:
        return str(msgspec.json.decode(self.body)["detail"])


@dataclass
class Peer:
    """A gateway that is enrolled: the file that it was given, and where the server is."""

    file: Path
    port: int

    def context(self) -> ssl.SSLContext:
        _, begin, rest = self.file.read_text().partition("-----BEGIN CERTIFICATE")
        context = ssl.create_default_context(cadata=begin + rest)
        context.load_cert_chain(self.file)
        return context

    def connection(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=PATIENCE_S, context=self.context())

    def ask(self, method: str, path: str, body: bytes | None = None, kind: str = "application/json") -> Answer:
        connection = self.connection()
        try:
            connection.request(method, path, body, {"content-type": kind})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def put(self, item: Item, content: bytes) -> Answer:
        body = protocol.upload_head(item) + content
        return self.ask("PUT", f"/v1/items/{item.id}", body, protocol.UPLOAD_TYPE)

    def orders(self, wait_s: int = 0) -> tuple[protocol.Order, ...]:
        answer = self.ask("GET", f"/v1/orders?wait={wait_s}")
        assert answer.status == 200, answer.body
        return msgspec.json.decode(answer.body, type=Orders).orders

    def report(self, order: str, result: OrderResult) -> Answer:
        return self.ask("PUT", f"/v1/orders/{order}/result", msgspec.json.encode(result))


@dataclass
class House:
    root: Path
    gateways_port: int
    pages_port: int
    process: subprocess.Popen[bytes] | None = None
    peers: dict[str, Peer] = field(default_factory=dict)

    @property
    def layout(self) -> ServerLayout:
        return ServerLayout(self.root)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.pages_port}"

    def session(self, user: str = "admin") -> dict[str, str]:
        database = AccessDatabase(self.root)
        try:
            return {ServerContext.session_cookie: Sessions(database, time.time, lambda: 300.0).begin(user, "127.0.0.1")}
        finally:
            database.close()

    def admin(self) -> Browser:
        return Browser(self.pages_port, self.session())

    def peer(self, name: str = "gw1") -> Peer:
        if name not in self.peers:
            file = self.root.parent / f"{name}.pem"
            file.write_bytes(authority.enroll(self.layout, name))
            self.peers[name] = Peer(file, self.gateways_port)
        return self.peers[name]

    def numbers(self) -> list[int]:
        """Of all items, read beside the server."""
        index = Index(self.layout.index)
        try:
            with index.transaction() as connection:
                return [row[0] for row in connection.execute("SELECT number FROM item ORDER BY number")]
        finally:
            index.close()

    def start(self, file_len: int = 0) -> None:
        """file_len: octets that no file may pass, as on a disk that is full."""

        def bound() -> None:
            if file_len:
                resource.setrlimit(resource.RLIMIT_FSIZE, (file_len, file_len))

        self.process = subprocess.Popen(
            [sys.executable, "-m", "control.cli", "quarantine", "serve", "--root", str(self.root)],
            stdout=subprocess.PIPE,
            preexec_fn=bound,
        )
        assert self.process.stdout is not None
        assert select.select([self.process.stdout], [], [], PATIENCE_S)[0], "it does not get ready"
        assert self.process.stdout.readline().startswith(b"ready gateways=127.0.0.1:"), "it ended at its start"

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None and self.process.stdout is not None
        self.process.send_signal(number)
        status = self.process.wait(PATIENCE_S)
        self.process.stdout.close()
        self.process = None
        return status


def made(root: Path, *more: str, scans: bool = True) -> House:
    """A new server, not started. more: lines of its settings. scans: whether it has definitions."""
    gateways, pages = free_port(), free_port()
    password = root.parent / "password"
    password.write_text(PASSWORD)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argon2, "PasswordHasher", lambda: CHEAP)
        result = CliRunner().invoke(
            main,
            [
                *("quarantine", "init", f"--root={root}", "--name=127.0.0.1", f"--admin-password-file={password}"),
                *(f"--gateways=127.0.0.1:{gateways}", f"--pages=127.0.0.1:{pages}"),
            ],
        )
    assert result.exit_code == 0, (result.output, result.exception)
    file = ServerLayout(root).config
    file.write_text(file.read_text() + "\n".join(["", *more, ""]))
    if not scans:
        ServerLayout(root).definitions_file.unlink()
    return House(root, gateways, pages)


@contextlib.contextmanager
def running(root: Path, *more: str, file_len: int = 0, scans: bool = True) -> Iterator[House]:
    house = made(root, *more, scans=scans)
    house.start(file_len)
    try:
        yield house
    finally:
        if house.process is not None:
            assert house.stop() == 0
