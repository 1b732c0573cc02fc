"""ClamAV's public databases as a source of definitions: fetched by increments, compiled here.

A server is asked for the first octets of NAME.cvd, on the condition that it has changed. These tell the version; from
the one that is here to it lead increments, if they are few and all there; else the whole container is fetched. What a
server asks us to wait for (Retry-After) is waited for, and it is never asked more often than every few minutes, since
these servers are paid for by others. Nothing that comes is believed before its signature was checked (compiling.py).
"""

import contextlib
import email.utils
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

import msgspec
import urllib3

from control import kept
from control.updates.compiling import COMPILED, Keys, NotCompiled, Task, compiled
from control.updates.fetch import NoSource, Problem
from control.updates.sources import remembering, shut
from engine import VERSION, durable
from engine.limits import MIB
from signatures.clamav.container import HEADER_LEN, BadContainer, header
from signatures.image import LAYOUT

DATABASES: Final = ("main", "daily", "bytecode")
STATE: Final = "state.json"
DIFFS: Final = 60  # increments; more are larger than the whole
CONTAINER_LEN: Final = 1024 * MIB
DIFF_LEN: Final = 64 * MIB
POLITE_S: Final = 300.0
WAIT_S: Final = (60.0, 14_400.0, 86_400.0)  # that a server may ask for at least, if it says nothing, and at most
STALL_S: Final = 30.0
RATE: Final = 8 * 1024  # octets a second, at least
GRACE_S: Final = 60.0
LONGEST_S: Final = 28_800.0  # for one file
_CHUNK_LEN: Final = 64 * 1024
_BUSY: Final = (403, 429, 503)  # too many requests; the public servers say 403 to whom they have shut out


class Database(msgspec.Struct, frozen=True):
    """version: that is here. etag, modified: of the answer that told it."""

    version: int = 0
    etag: str = ""
    modified: str = ""


class State(msgspec.Struct, frozen=True):
    """asked, again_at: seconds since 1970. made: by what and from which versions the compiled file was made.

    seen: the newest versions of databases whose signatures were checked; what is older is refused.
    """

    databases: dict[str, Database] = {}
    asked: float = 0.0
    again_at: float = 0.0
    made: str = ""
    date: int = 0
    seen: dict[str, int] = {}


class Compiled(msgspec.Struct, frozen=True):
    """number: the version of `daily`. date: microseconds since 1970."""

    path: Path
    number: int
    date: int


class _NotThere(Exception):
    pass


class _Unusable(Exception):
    pass


class _Wait(Exception):
    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class ClamavSource:
    """One base address. directory: for its files alone. stopped: asked while octets come."""

    def __init__(
        self,
        address: str,
        directory: Path,
        stopped: Callable[[], bool],
        *,
        polite_s: float = POLITE_S,
        keys: Keys = Keys(),  # noqa: B008 - frozen
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._base = urlsplit(address)
        host = self._base.hostname or ""
        self.name = f"{self._base.scheme}://{host}{self._base.path}" if host else self._base.path
        self._directory = directory
        self._stopped = stopped
        self._polite_s = polite_s
        self._keys = keys
        self._clock = clock
        self._state = State()

    def update(self, begun: Callable[[str], None]) -> Compiled:
        """The compiled file, also if nothing is new. Raises NoSource, OSError."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o750)
        self._state = kept.read(self._directory / STATE, State)  # without it everything is fetched anew
        now = self._clock()
        if now < self._state.again_at <= now + WAIT_S[2]:
            minutes = (self._state.again_at - now) / 60
            raise self._failed(f"it asked us to wait; it is asked again in {minutes:.0f} minutes")
        if not self._state.asked <= now < self._state.asked + self._polite_s:
            self._ask(begun)
        try:
            return self._compiled(begun)
        except NotCompiled as error:
            self._forget(error.broken)
            raise self._failed(str(error)) from None

    def _ask(self, begun: Callable[[str], None]) -> None:
        durable.sweep(self._directory)
        try:
            with self._server() as server:
                for name in DATABASES:
                    self._bring_up(server, name, begun)
        except _Wait as wait:
            self._write(msgspec.structs.replace(self._state, again_at=self._clock() + wait.seconds))
            raise self._failed(f"it asks us to wait for {wait.seconds / 60:.0f} minutes") from None
        except (_NotThere, _Unusable) as error:
            raise self._failed(str(error)) from None
        except urllib3.exceptions.HTTPError as error:
            raise self._failed(f"it cannot be reached, or breaks off: {error}") from None
        self._write(msgspec.structs.replace(self._state, asked=self._clock()))

    def _failed(self, reason: str) -> NoSource:
        return NoSource((Problem(self.name, reason),))

    # --- state --------------------------------------------------------------------------------------

    def _write(self, state: State) -> None:
        self._state = state
        durable.put(self._directory / STATE, msgspec.json.encode(state))

    def _forget(self, broken: tuple[str, ...]) -> None:
        """They have to come as a whole the next time, which need not wait."""
        left = {name: one for name, one in self._state.databases.items() if name not in broken}
        for name in broken:
            for path in self._directory.glob(f"{name}[-.]*"):
                path.unlink(missing_ok=True)
        self._write(msgspec.structs.replace(self._state, databases=left, asked=0.0, made=""))

    # --- fetching -----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _server(self) -> Iterator["_Server"]:
        pool = urllib3.PoolManager(
            1,
            headers={"user-agent": f"Mailward/{VERSION}", "accept-encoding": "identity"},
            timeout=urllib3.Timeout(connect=STALL_S, read=STALL_S),
            retries=False,
        )
        try:
            yield _Server(pool, self._base, self._stopped, self._clock)
        finally:
            pool.clear()

    def _bring_up(self, server: "_Server", name: str, begun: Callable[[str], None]) -> None:
        known = self._state.databases.get(name, Database())
        if not any((self._directory / f"{name}{suffix}").exists() for suffix in (".cld", ".cvd")):
            known = Database()
        found = server.version(f"{name}.cvd", known)
        if found is None or found.version == known.version:
            return
        if found.version < (newest := self._state.seen.get(name, 0)):
            raise _Unusable(f"it has {name} {found.version}, which is older than {newest} that was here before")
        if known.version and 0 < found.version - known.version <= DIFFS:
            begun(f"Fetching increments of {name} up to {found.version}")
            if self._increments(server, name, known.version, found.version):
                self._keep(name, found)
                return
        begun(f"Fetching {name} {found.version}")
        server.fetch(f"{name}.cvd", self._directory / f"{name}.cvd", CONTAINER_LEN)
        for old in (*self._directory.glob(f"{name}-*.cdiff"), self._directory / f"{name}.cld"):
            old.unlink(missing_ok=True)
        with (self._directory / f"{name}.cvd").open("rb") as file:
            self._keep(name, msgspec.structs.replace(found, version=header(file.read(HEADER_LEN)).version))

    def _increments(self, server: "_Server", name: str, first: int, last: int) -> bool:
        for version in range(first + 1, last + 1):
            path = self._directory / f"{name}-{version}.cdiff"
            if path.exists():
                continue
            try:
                server.fetch(path.name, path, DIFF_LEN)
            except _NotThere:
                return False
        return True

    def _keep(self, name: str, found: Database) -> None:
        self._write(msgspec.structs.replace(self._state, databases={**self._state.databases, name: found}))

    # --- compiling ----------------------------------------------------------------------------------

    def _compiled(self, begun: Callable[[str], None]) -> Compiled:
        versions = {name: one.version for name, one in self._state.databases.items()}
        if not versions:
            raise NotCompiled("no database is here")
        made = f"{VERSION} {LAYOUT} {versions}"
        path = self._directory / COMPILED
        if made != self._state.made or not path.exists():
            begun("Compiling")
            done = compiled(Task(str(self._directory), versions, self._keys), begun, self._stopped)
            for old in self._directory.glob("*.cdiff"):
                old.unlink(missing_ok=True)
            self._write(msgspec.structs.replace(self._state, made=made, date=done.date, seen=versions))
        return Compiled(path, versions.get("daily", max(versions.values())), self._state.date * 1_000_000)


class _Server:
    def __init__(
        self, pool: urllib3.PoolManager, parts: SplitResult, stopped: Callable[[], bool], clock: Callable[[], float]
    ) -> None:
        self._pool = pool
        self._stopped = stopped
        self._clock = clock
        host = parts.hostname if ":" not in (parts.hostname or "") else f"[{parts.hostname}]"
        port = f":{parts.port}" if parts.port else ""
        self._url = urlunsplit((parts.scheme, f"{host}{port}", parts.path.rstrip("/"), "", ""))
        self._opened = remembering(pool.connection_from_url(self._url))
        self._headers = dict(pool.headers)
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers |= urllib3.make_headers(basic_auth=pair)

    @contextlib.contextmanager
    def _answer(self, name: str, headers: dict[str, str], lasts_s: float) -> Iterator[urllib3.BaseHTTPResponse]:
        """lasts_s: for the whole of it, at the latest. Raises _NotThere, _Wait, _Unusable, HTTPError."""
        watch = threading.Timer(lasts_s, shut, (self._opened,))
        watch.daemon = True
        watch.start()
        try:
            with self._answered(name, headers) as response:
                yield response
        finally:
            watch.cancel()

    @contextlib.contextmanager
    def _answered(self, name: str, headers: dict[str, str]) -> Iterator[urllib3.BaseHTTPResponse]:
        response = self._pool.request(
            "GET", f"{self._url}/{name}", headers=self._headers | headers, redirect=False, preload_content=False
        )
        try:
            if response.status == 404:
                raise _NotThere(f"{name} is not there: check the address")
            if response.status in _BUSY:
                raise _Wait(_retry_after(response.headers.get("retry-after", ""), self._clock()))
            if response.status not in (200, 206, 304):
                raise _Unusable(f"it answers {response.status} to {name}")
            yield response
        finally:
            response.close()

    def version(self, name: str, known: Database) -> Database | None:
        """What it has; None: what is known. Raises as _answer."""
        asked = {"range": f"bytes=0-{HEADER_LEN - 1}"}
        if known.etag:
            asked["if-none-match"] = known.etag
        if known.modified:
            asked["if-modified-since"] = known.modified
        with self._answer(name, asked, GRACE_S) as response:
            if response.status == 304:
                return None
            first = response.read(HEADER_LEN, decode_content=False)
            try:
                version = header(first).version
            except BadContainer:
                raise _Unusable(f"{name} is no database of ClamAV") from None
            etag, modified = response.headers.get("etag", ""), response.headers.get("last-modified", "")
            return Database(version, etag[:200], modified[:200])

    def fetch(self, name: str, path: Path, most: int) -> None:
        """Raises as _answer, and OSError."""
        ends, length = time.monotonic() + GRACE_S, 0
        with (
            durable.replacing(path, 0o640) as half,
            self._answer(name, {}, LONGEST_S) as response,
            half.open("wb") as file,
        ):
            while chunk := response.read1(_CHUNK_LEN, decode_content=False):
                length += len(chunk)
                if length > most:
                    raise _Unusable(f"{name} is longer than it may be")
                if time.monotonic() > ends + length / RATE:
                    raise _Unusable(f"{name} comes too slowly")
                if self._stopped():
                    raise _Unusable("the service was stopped")
                file.write(chunk)


def _retry_after(text: str, now: float) -> float:
    """Seconds, within WAIT_S. RFC 9110 s10.2.3: a number of them, or a date."""
    least, usual, most = WAIT_S
    if text.isascii() and text.isdigit():
        wait = float(text[:9])
    else:
        date = email.utils.parsedate_to_datetime(text) if text and email.utils.parsedate(text) else None
        wait = date.timestamp() - now if date is not None else usual
    return min(max(wait, least), most)
