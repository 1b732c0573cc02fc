"""Where updates come from: http and https servers, ftp servers, directories (also of a file server).

A source may be anything from a good mirror to an attacker: TUF's client verifies what comes from it, and a source
itself is bounded here, in octets by what the client asks for, and in time: a stall ends it, and so does a trickle.
Nothing is cached or asked conditionally: what is asked each time is one file of less than a kilobyte (timestamp.json).
"""

import contextlib
import ftplib
import os
import socket
import stat
import tempfile
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

import msgspec
import urllib3
from tuf.api.exceptions import (
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    SlowRetrievalError,
)
from tuf.ngclient import FetcherInterface
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from engine import VERSION

SCHEMES: Final = ("https", "http", "ftp", "file")
_CHUNK_LEN: Final = 64 * 1024
_FTP_LINES: Final = 10_000  # that a server may say in one session: some forty files at most, six lines each
_LONGEST_S: Final = 86_400.0  # for one file, whatever length was signed
_NOT_FOUND: Final = 404


class BadSource(ValueError):
    """What is written as a source is none. The text says why."""


class Stopped(Exception):
    """It was asked to end."""


class Patience(msgspec.Struct, frozen=True):
    """stall_s: seconds without an octet, or for a connection. rate: octets a second that a transfer must have at least,
    after the first grace_s seconds.
    """

    stall_s: float = 30.0
    grace_s: float = 60.0
    rate: int = 32 * 1024


class Source(FetcherInterface):
    """One source while it is used; close it afterwards. Paths are relative to its base.

    name: what is shown of it, without a password. Raises DownloadError and what it is derived to, Stopped; an OSError
    comes only from writing to `scratch`.
    """

    def __init__(self, name: str, scratch: Path, patience: Patience, stopped: Callable[[], bool]) -> None:
        self.name = name
        self.received = 0  # octets, all files together
        self.patience = patience
        self._scratch = scratch
        self._stopped = stopped

    @abstractmethod
    def _fetch(self, url: str) -> Iterator[bytes]: ...

    def _abort(self) -> None:
        """End what waits for the peer just now; called by another thread."""

    def close(self) -> None:
        """Give up what is held for the next file."""

    @contextlib.contextmanager
    def download_file(self, url: str, max_length: int) -> Iterator[IO[bytes]]:
        """A file without a name that holds what lies at the path, at most max_length octets."""
        allowed_s = min(self.patience.grace_s + max_length / self.patience.rate, _LONGEST_S)
        ends = time.monotonic() + allowed_s
        watch = threading.Timer(allowed_s, self._abort)  # also for answers that come an octet at a time
        watch.daemon = True
        watch.start()
        try:
            with tempfile.TemporaryFile(dir=self._scratch) as file:
                for chunk in self._guarded(url, ends):
                    if file.tell() + len(chunk) > max_length:
                        raise DownloadLengthMismatchError(f"{url}: more than {max_length} octets")
                    file.write(chunk)
                file.seek(0)
                watch.cancel()
                yield file
        finally:
            watch.cancel()

    def _guarded(self, url: str, ends: float) -> Iterator[bytes]:
        """Failures of the source as DownloadError, also in the middle of the file."""
        try:
            for chunk in self._fetch(url):
                self.received += len(chunk)
                if self._stopped():
                    raise Stopped
                if time.monotonic() > ends:
                    break
                yield chunk
        except (TimeoutError, urllib3.exceptions.TimeoutError) as error:
            if isinstance(error, urllib3.exceptions.NewConnectionError):  # one of its timeouts, for what it says
                raise DownloadError(f"{url}: {reason(error)}") from error
            raise SlowRetrievalError(f"{url}: no answer for {self.patience.stall_s:g} seconds") from error
        except (OSError, EOFError, ftplib.Error, urllib3.exceptions.HTTPError) as error:
            if time.monotonic() <= ends:
                raise DownloadError(f"{url}: {reason(error)}") from error
        if time.monotonic() > ends:
            raise SlowRetrievalError(f"{url}: slower than {self.patience.rate} octets a second")


class FolderSource(Source):
    """A directory of this machine, or of a file server that is mounted here."""

    def __init__(self, base: Path, scratch: Path, patience: Patience, stopped: Callable[[], bool]) -> None:
        super().__init__(str(base), scratch, patience, stopped)
        self._base = base

    def _fetch(self, url: str) -> Iterator[bytes]:
        try:
            fd = os.open(self._base / url, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except (FileNotFoundError, NotADirectoryError):
            raise DownloadHTTPError(f"{url}: there is no such file", _NOT_FOUND) from None
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise DownloadError(f"{url}: is no file")
        with open(fd, "rb", buffering=0) as file:
            while chunk := file.read(_CHUNK_LEN):
                yield chunk


class HttpSource(Source):
    """No proxies, no redirects: a mirror cannot send the gateway to places of its choice."""

    def __init__(self, base: SplitResult, scratch: Path, patience: Patience, stopped: Callable[[], bool]) -> None:
        super().__init__(_shown(base), scratch, patience, stopped)
        self._path = base.path
        headers = {"user-agent": f"Mailward/{VERSION}", "accept-encoding": "identity"}
        if base.username is not None:
            pair = f"{unquote(base.username)}:{unquote(base.password or '')}"
            headers |= urllib3.make_headers(basic_auth=pair)
        kind = HTTPSConnectionPool if base.scheme == "https" else HTTPConnectionPool
        timeout = urllib3.Timeout(connect=patience.stall_s, read=patience.stall_s)
        self._pool = kind(base.hostname or "", base.port, timeout=timeout, headers=headers, retries=False)
        self._opened = remembering(self._pool)

    def _fetch(self, url: str) -> Iterator[bytes]:
        response = self._pool.urlopen("GET", f"{self._path}/{url}", redirect=False, preload_content=False)
        whole = False
        try:
            if 300 <= response.status < 400:
                where = _shown(urlsplit(response.headers.get("location", "")))
                raise DownloadError(f"{url}: the server sends us to {where!r}, and redirects are not followed")
            if response.status != 200:
                raise DownloadHTTPError(f"{url}: the server answers {response.status}", response.status)
            while chunk := response.read1(_CHUNK_LEN, decode_content=False):
                yield chunk
            whole = True
        finally:
            if whole:
                response.release_conn()
            else:
                response.close()

    def _abort(self) -> None:
        shut(self._opened)

    def close(self) -> None:
        self._pool.close()


class _BoundedFtp(ftplib.FTP):
    """An answer may have as many lines as the server likes; not here."""

    _lines = 0

    def getline(self) -> str:
        self._lines += 1
        if self._lines > _FTP_LINES:
            raise ftplib.error_proto("the server does not stop talking")
        return super().getline()


class FtpSource(Source):
    """Passive mode; one connection for all files."""

    def __init__(self, base: SplitResult, scratch: Path, patience: Patience, stopped: Callable[[], bool]) -> None:
        super().__init__(_shown(base), scratch, patience, stopped)
        self._base = base
        self._ftp: ftplib.FTP | None = None
        self._data: socket.socket | None = None

    def _connected(self) -> ftplib.FTP:
        if self._ftp is None:
            self._ftp = ftp = _BoundedFtp(timeout=self.patience.stall_s)
            try:
                ftp.connect(self._base.hostname or "", self._base.port or ftplib.FTP_PORT)
                ftp.login(unquote(self._base.username or ""), unquote(self._base.password or ""))
                ftp.voidcmd("TYPE I")
            except BaseException:
                self.close()
                raise
        return self._ftp

    def _fetch(self, url: str) -> Iterator[bytes]:
        ftp = self._connected()
        whole = False
        try:
            with self._asked(ftp, f"{unquote(self._base.path)}/{url}") as self._data:
                while chunk := self._data.recv(_CHUNK_LEN):
                    yield chunk
            ftp.voidresp()
            whole = True
        except DownloadHTTPError:
            whole = True
            raise
        finally:
            if not whole:  # what it says next belongs to this file
                self.close()

    def _asked(self, ftp: ftplib.FTP, path: str) -> socket.socket:
        try:
            return ftp.transfercmd(f"RETR {path}")
        except ftplib.error_perm as error:
            if str(error).startswith("550"):
                raise DownloadHTTPError(f"{path}: there is no such file", _NOT_FOUND) from None
            raise

    def _abort(self) -> None:
        _shut(self._data)
        _shut(self._ftp.sock if self._ftp is not None else None)

    def close(self) -> None:
        if self._ftp is not None:
            self._ftp.close()
            self._ftp = None


def parse(text: str) -> SplitResult:
    """A source as people write it: an address, or the absolute path of a directory. Raises BadSource."""
    if text.startswith("/"):
        return SplitResult("file", "", text, "", "")
    try:
        found = urlsplit(text)
        host, _ = found.hostname, found.port
    except ValueError:
        raise BadSource(f"{text!r} is no address") from None
    if found.scheme not in SCHEMES:
        raise BadSource(
            f"{text!r} is neither an address with {', '.join(SCHEMES)} nor the absolute path of a directory"
        )
    if found.scheme == "file":
        if found.netloc not in ("", "localhost"):
            raise BadSource(f"{text!r} names a host: mount its directory here, and give the path of it")
        return SplitResult("file", "", unquote(found.path), "", "")
    if not host or found.query or found.fragment or any(ord(sign) <= 32 or ord(sign) == 127 for sign in unquote(text)):
        raise BadSource(f"{text!r} is not an address such as {found.scheme}://host/directory")
    return found._replace(path=found.path.rstrip("/"))


def shown(text: str) -> str:
    """A source without its password. Raises BadSource."""
    return _shown(parse(text))


def open_source(text: str, scratch: Path, patience: Patience, stopped: Callable[[], bool]) -> Source:
    """scratch: a directory for what comes. Nothing is connected before the first file. Raises BadSource."""
    base = parse(text)
    if base.scheme == "file":
        return FolderSource(Path(base.path), scratch, patience, stopped)
    kind = FtpSource if base.scheme == "ftp" else HttpSource
    return kind(base, scratch, patience, stopped)


def _host(base: SplitResult) -> str:
    return base.netloc.rpartition("@")[2]


def _shown(base: SplitResult) -> str:
    if base.scheme == "file":
        return base.path
    user = f"{base.username}@" if base.username else ""
    return urlunsplit((base.scheme, user + _host(base), base.path, "", ""))


def remembering(pool: HTTPConnectionPool) -> list[Any]:
    """What the pool connects from now on: to be shut by another thread, since timeouts are for each octet."""
    opened: list[Any] = []
    made = pool.ConnectionCls

    def remembered(*args: Any, **named: Any) -> Any:
        connection = made(*args, **named)
        opened.append(connection)
        return connection

    pool.ConnectionCls = remembered  # type: ignore[assignment]
    return opened


def shut(opened: list[Any]) -> None:
    """End what waits for a peer just now."""
    for connection in opened:
        _shut(connection.sock)


def _shut(connection: socket.socket | None) -> None:
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


def reason(error: Exception) -> str:
    """What went wrong, in words of the system or the server."""
    cause = error.__cause__ if isinstance(error, urllib3.exceptions.HTTPError) and error.__cause__ else error
    return (cause.strerror if isinstance(cause, OSError) else None) or str(cause) or type(cause).__name__
