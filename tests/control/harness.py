"""A real control process on loopback, with a journal that tests append to as the gateway would."""

import contextlib
import http.client
import os
import re
import select
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode

import engine
from control.access import AccessDatabase
from control.accounts import Accounts, Passwords, set_password
from control.assistant import memory
from control.authentication import SESSION_COOKIE
from control.sessions import Sessions
from engine import config, events
from engine.journal import JournalWriter, timestamp
from engine.layout import Layout

PASSWORD = "correct horse battery"
REPORT_PASSWORD = "only for the reports"
PATIENCE_S = 60.0  # an upper bound for hung processes, not a measure of speed


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"did not happen in time: {what}"
        select.select([], [], [], 0.02)


@dataclass
class Reply:
    status: int
    headers: http.client.HTTPMessage
    text: str


@dataclass
class Browser:
    """A client with cookies and without scripts. It trusts any certificate."""

    port: int
    cookies: dict[str, str] = field(default_factory=dict)
    host: str = ""

    def request(
        self,
        method: str,
        path: str,
        fields: dict[str, str] | None = None,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=PATIENCE_S, context=ssl._create_unverified_context()
        )
        headers = dict(headers or {})
        headers.setdefault("host", self.host or f"127.0.0.1:{self.port}")
        if self.cookies:
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if fields is not None:
            body = urlencode(fields).encode()
        if body is not None:
            headers.setdefault("content-type", "application/x-www-form-urlencoded")
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            self._keep_cookies(response.headers)
            return Reply(response.status, response.headers, response.read().decode())
        finally:
            connection.close()

    def _keep_cookies(self, headers: http.client.HTTPMessage) -> None:
        for line in headers.get_all("set-cookie", []):
            for name, morsel in SimpleCookie(line).items():
                if morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value

    def get(self, path: str, headers: dict[str, str] | None = None) -> Reply:
        return self.request("GET", path, headers=headers)

    def token(self, path: str = "/logon") -> str:
        found = re.search(r'name="token" value="([0-9a-f]+)"', self.get(path).text)
        assert found, f"{path} has a form with a token"
        return found[1]

    def log_on(self, user: str = "admin", password: str = PASSWORD, to: str = "") -> Reply:
        fields = {"token": self.token(), "user": user, "password": password, "next": to}
        return self.request("POST", "/logon", fields)


@dataclass
class Gateway:
    """A root directory with a control process on it; `journal` writes as a relay does."""

    root: Path
    process: subprocess.Popen[bytes]
    https_port: int
    http_port: int
    lifeline: int
    journal: JournalWriter
    supervisor: JournalWriter

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.https_port}"

    def browser(self) -> Browser:
        return Browser(self.https_port)

    def session(self, user: str = "admin") -> dict[str, str]:
        """The cookies of a new session, without the time that a password costs."""
        database = AccessDatabase(self.root)
        try:
            return {SESSION_COOKIE: Sessions(database, time.time, lambda: 300.0).begin(user, "127.0.0.1")}
        finally:
            database.close()

    def admin(self) -> Browser:
        return Browser(self.https_port, self.session())

    def report(self) -> Browser:
        """Whom the built-in report-only account lets in; it is given a password and enabled anew."""
        database = AccessDatabase(self.root)
        try:
            accounts = Accounts(database, Passwords(), Sessions(database, time.time, lambda: 300.0))
            accounts.set_password("report", REPORT_PASSWORD)
            account = accounts.find("report")
            assert account is not None
            accounts.change(account, enabled=True)
        finally:
            database.close()
        return Browser(self.https_port, self.session("report"))

    def start_service(self) -> None:
        self.supervisor.write(events.ServiceStarted(version=engine.VERSION))

    def accept(self, smtp_id: str, size: int = 1000, subject: str = "", time_ns: int | None = None) -> None:
        self.journal.write(
            events.Accepted(
                time=timestamp(time_ns),
                smtp_id=smtp_id,
                reverse_path="a@example.org",
                forward_paths=("b@example.com",),
                size=size,
                client="192.0.2.7",
                connection_id="1aaaaaaaaaa00",
                subject=subject,
            )
        )


def listening() -> socket.socket:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(50)
    return sock


def make_root(root: Path, settings: config.Settings) -> Path:
    Layout(root).make()
    config.save(settings, root / config.FILE_NAME)
    set_password(root, "admin", PASSWORD)
    memory.put_off(Layout(root))
    return root


def start(root: Path) -> Gateway:
    plain, tls = listening(), listening()
    ready_r, ready_w = os.pipe()
    lifeline_r, lifeline_w = os.pipe()
    passed = (plain.fileno(), tls.fileno(), ready_w, lifeline_r)
    names = ("--http-fd", "--https-fd", "--ready-fd", "--lifeline-fd")
    options = [f"{name}={fd}" for name, fd in zip(names, passed, strict=True)]
    process = subprocess.Popen(
        [sys.executable, "-m", "control.serve", f"--root={root}", *options],
        pass_fds=passed,
        env=os.environ | {"PYTHONPATH": str(Path(engine.__file__).parent.parent)},
    )
    os.close(ready_w)
    os.close(lifeline_r)
    said = os.read(ready_r, 64)  # empty: it ended instead
    os.close(ready_r)
    assert said, f"control ended at start with status {process.wait()}"
    ports = tls.getsockname()[1], plain.getsockname()[1]
    plain.close()
    tls.close()
    journal = Layout(root).journal
    return Gateway(
        root, process, *ports, lifeline_w, JournalWriter(journal, "relay-0"), JournalWriter(journal, "supervisor")
    )


@contextlib.contextmanager
def running(root: Path, settings: config.Settings) -> Iterator[Gateway]:
    """A new root with these settings, and a control process on it."""
    gateway = start(make_root(root, settings))
    try:
        yield gateway
    finally:
        stop(gateway)


def stop(gateway: Gateway) -> None:
    if gateway.process.poll() is None:
        gateway.process.send_signal(signal.SIGTERM)
    gateway.process.wait(PATIENCE_S)
    gateway.journal.close()
    gateway.supervisor.close()
    os.close(gateway.lifeline)
