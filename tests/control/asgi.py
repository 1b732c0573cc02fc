"""The application without a network: thousands of requests within seconds, and what it tells the journal."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from starlette.types import ASGIApp, Message

from control.accounts import Accounts, Entry, Passwords
from control.app import make_app
from control.context import Context
from engine import events
from tests.control.accounts.office import cheap


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    text: str
    cookies: list[str]


@dataclass
class House:
    """An installation and its pages, with hashes that cost nothing. told: events since it was made."""

    root: Path
    now: float = 1_790_000_000.0
    told: list[events.Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.context = Context(self.root, lambda: self.now)
        passwords = Passwords(cheap())
        self.context.accounts = Accounts(self.context.access, passwords, self.context.sessions)
        self.context.entry = Entry(self.context.access, self.context.clock, passwords)
        self.context.event = self.told.append  # type: ignore[method-assign, assignment]
        self.app: ASGIApp = make_app(self.context)
        self.runner = asyncio.Runner()

    def request(
        self,
        method: str,
        path: str,
        cookies: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        client: str = "192.0.2.1",
    ) -> Reply:
        named = {"host": "127.0.0.1:8043"} | (headers or {})
        if cookies:
            named["cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "https",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in named.items()],
            "client": (client, 40000),
            "server": ("127.0.0.1", 8043),
        }
        return self.runner.run(self._answer(scope, body))

    def send(
        self,
        path: str,
        fields: dict[str, str],
        cookies: dict[str, str],
        headers: dict[str, str] | None = None,
        client: str = "192.0.2.1",
    ) -> Reply:
        """A form."""
        kind = {"content-type": "application/x-www-form-urlencoded"}
        return self.request("POST", path, cookies, kind | (headers or {}), urlencode(fields).encode(), client)

    async def _answer(self, scope: dict[str, Any], body: bytes) -> Reply:
        sent: list[Message] = []
        given = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Message:
            return given.pop() if given else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        start = sent[0]
        pairs = [(name.decode(), value.decode()) for name, value in start["headers"]]
        cookies = [value for name, value in pairs if name == "set-cookie"]
        content = b"".join(message.get("body", b"") for message in sent[1:])
        return Reply(start["status"], dict(pairs), content.decode("utf-8", "replace"), cookies)

    def close(self) -> None:
        self.runner.close()
        self.context.close()
