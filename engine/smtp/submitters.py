"""Who may hand in mail at a submission listener: the file of names and hashes, and the comparison of passwords.

    # comments and empty lines may stand between
    anna:$argon2id$v=19$m=65536,t=3,p=4$...

The file is read again when it has changed. One that cannot be read leaves nobody: every AUTH gets 454 until it can.

A comparison takes 64 MiB and a twentieth of a second, so there is one at a time in each relay, in a thread of its own,
and a bounded number waits. An unknown name costs what a known one does. Each failure of a client makes its next attempt
wait, twice as long as the one before, over all its connections and all relays (client_table.py); who would have to
wait too long is sent away. No more clients can fail within AUTH_FORGOTTEN_S than there is room for.
"""

import asyncio
import logging
import unicodedata
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import argon2

from engine import durable
from engine.definitions import Mark, mark_of
from engine.limits import (
    AUTH_DELAY_S,
    AUTH_FORGOTTEN_S,
    AUTH_PATIENCE_S,
    AUTH_WAITING,
    SUBMITTER_NAME_LEN,
    SUBMITTERS_FILE_LEN,
)
from engine.passwords import Passwords
from engine.relay_rule import plain_address
from engine.replies import Reply
from engine.smtp.auth import Credentials
from engine.smtp.client_limits import client_key
from engine.smtp.client_table import Clients, Failures
from engine.smtp.command import is_text

_FIRST_DELAY_S: Final = 1.0

log = logging.getLogger("mailward.smtp")


class BadSubmitters(Exception):
    """The file cannot be used: why, in words for the operator."""


def prepared(password: str) -> str:
    """RFC 8265 s4.2: keyboards write one character in several ways."""
    return unicodedata.normalize("NFC", password)


def name_error(name: str) -> str:
    """What is wrong with a name; empty: nothing."""
    if not name or len(name.encode()) > SUBMITTER_NAME_LEN:
        return f"has to have 1 to {SUBMITTER_NAME_LEN} octets"
    if ":" in name or name.startswith("#") or name != name.strip() or not is_text(name):
        return "must not contain a colon or control characters, nor begin with # or begin or end with a space"
    return ""


def load(path: Path) -> dict[str, str]:
    """Hash by name. Raises BadSubmitters."""
    try:
        with path.open("rb") as file:
            content = file.read(SUBMITTERS_FILE_LEN + 1)
        if len(content) > SUBMITTERS_FILE_LEN:
            raise BadSubmitters(f"{path} has more than {SUBMITTERS_FILE_LEN} octets")
        return dict(_entries(path, content.decode().split("\n")))
    except OSError as error:
        raise BadSubmitters(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise BadSubmitters(f"{path} is not UTF-8") from None


def _entries(path: Path, lines: Iterable[str]) -> Iterable[tuple[str, str]]:
    seen = set()
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, hashed = line.strip().partition(":")
        if error := name_error(name):
            raise BadSubmitters(f"{path}:{number}: the name {error}")
        try:
            parameters = argon2.extract_parameters(hashed)
        except argon2.exceptions.InvalidHashError:
            parameters = None
        if parameters is None or parameters.type is not argon2.Type.ID:
            raise BadSubmitters(f"{path}:{number}: behind the name and a colon there has to be an argon2id hash")
        if name in seen:
            raise BadSubmitters(f"{path}:{number}: {name} was there before")
        seen.add(name)
        yield name, hashed


def save(path: Path, accounts: dict[str, str]) -> None:
    """Whole or not at all; only the service account may read it. Raises OSError."""
    durable.put(path, "".join(f"{name}:{hashed}\n" for name, hashed in sorted(accounts.items())).encode())


class Submitters:
    """Of one relay. path: replace it when settings change; None: nobody. clock: seconds, monotonic."""

    def __init__(
        self,
        clock: Callable[[], float],
        clients: Clients,
        passwords: Callable[[], Passwords] = Passwords,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """pause: waits for so many seconds."""
        self.path: Path | None = None
        self._clock = clock
        self._clients = clients
        self._pause = pause
        self._make_passwords = passwords
        self._passwords: Passwords | None = None
        self._executor = ThreadPoolExecutor(1, "passwords")  # starts its thread with the first password
        self._waiting = 0
        self._accounts: dict[str, str] = {}
        self._seen: tuple[Path, Mark | None] | None = None

    def knows(self, name: str) -> bool:
        """Whether there was an account of this name when the file was read last."""
        return name in self._accounts

    async def check(self, address: str, credentials: Credentials) -> Reply | None:
        """None: they are right; else what to say. address: of the client."""
        client = self._clients.tag(client_key(plain_address(address)))
        while delay_s := self._delay_s(client):
            if delay_s > AUTH_PATIENCE_S:
                return Reply.AUTH_LATER
            await self._pause(delay_s)
        if self._waiting >= AUTH_WAITING:
            return Reply.AUTH_LATER
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            right = await loop.run_in_executor(self._executor, self._compare, credentials)
        except BadSubmitters as error:
            log.error("nobody can log on: %s", error)
            return Reply.AUTH_LATER
        except asyncio.CancelledError:  # the client did not wait for it, and cost as much
            self._failed(client)
            raise
        finally:
            self._waiting -= 1
        if right:
            return None
        self._failed(client)
        return Reply.BAD_CREDENTIALS

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _compare(self, credentials: Credentials) -> bool:
        """In the thread."""
        self._read()
        if self._passwords is None:
            self._passwords = self._make_passwords()
        return self._passwords.matches(self._accounts.get(credentials.name, ""), prepared(credentials.password))

    def _read(self) -> None:
        path = self.path
        if path is None:
            raise BadSubmitters("smtp.submitters names no file")
        seen = (path, mark_of(path))
        if seen != self._seen:
            self._seen, self._accounts = None, {}
            self._accounts = load(path)
            self._seen = seen

    # --- failures ----------------------------------------------------------------------------------

    def _delay_s(self, client: int) -> float:
        return max(0.0, self._clients.failures(client).until - self._clock())

    def _failed(self, client: int) -> None:
        now = self._clock()
        known = self._clients.failures(client)
        if now - known.last > AUTH_FORGOTTEN_S:
            known = Failures()
        delay_s = min(AUTH_DELAY_S, _FIRST_DELAY_S * 2.0 ** min(known.number, 10))
        self._clients.set_failures(client, Failures(known.number + 1, max(known.until, now) + delay_s, now))
