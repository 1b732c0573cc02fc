"""A mirror's directory brought to another server (DEF-09): by FTP, or by HTTP with PUT, as WebDAV servers take it.

What has a version or a digest in its name is sent if it is not there with its length. timestamp.json comes last, under
another name first, and then by a rename (MOVE for HTTP): whoever reads there sees the set before or the new one. A
server that knows no MOVE gets it by PUT; half of it is refused by those who read it, and the next upload mends it.
"""

import contextlib
import ftplib
import netrc
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, quote, unquote, urlunsplit

import urllib3

from control.updates.repository import METADATA, TARGETS, TIMESTAMP
from control.updates.sources import BadSource, Patience, parse, reason, shown

_HALF: Final = ".half-"


class NotUploaded(Exception):
    """What is there stays as it was, but for files that nothing leads to. The text names the server, and why."""


def upload(directory: Path, address: str, gone: Sequence[str] = (), patience: Patience = Patience()) -> int:  # noqa: B008
    """Bring the mirror to ftp://, http:// or https://. gone: paths that the mirror took away. Returns files sent.

    Raises NotUploaded, BadSource.
    """
    base = parse(address)
    if base.scheme == "file":
        raise BadSource(f"{address!r} is a directory: mirror into it instead")
    try:
        with contextlib.closing(
            _FtpServer(base, patience) if base.scheme == "ftp" else _WebServer(base, patience)
        ) as server:
            return _bring(directory, server, gone)
    except (OSError, EOFError, ftplib.Error, urllib3.exceptions.HTTPError, _Answer) as error:
        raise NotUploaded(f"{shown(address)}: {reason(error)}; what is there stays") from error


class _Answer(Exception):
    """What a web server should not have answered."""


class _Server(ABC):
    """Paths are relative to its directory."""

    @abstractmethod
    def folder(self, path: str) -> None:
        """Have it there."""

    @abstractmethod
    def size(self, path: str) -> int | None:
        """None: there is no such file, or it does not tell."""

    @abstractmethod
    def put(self, path: str, file: Path) -> None: ...

    @abstractmethod
    def replace(self, path: str, file: Path) -> None:
        """Have it there at once."""

    @abstractmethod
    def delete(self, path: str) -> None:
        """If it is there."""

    @abstractmethod
    def close(self) -> None: ...


def _bring(directory: Path, server: _Server, gone: Sequence[str]) -> int:
    paths = [path for name in (TARGETS, METADATA) for path in sorted((directory / name).rglob("*")) if _served(path)]
    folders = {parent for path in paths for parent in path.relative_to(directory).parents}
    for folder in sorted(folders, key=lambda one: len(one.parts)):
        server.folder(str(folder) if folder.parts else "")
    sent = 0
    for path in paths:
        name = str(path.relative_to(directory))
        if path.name != TIMESTAMP and server.size(name) != path.stat().st_size:
            server.put(name, path)
            sent += 1
    server.replace(f"{METADATA}/{TIMESTAMP}", directory / METADATA / TIMESTAMP)
    for name in gone:
        server.delete(name)
    return sent + 1


def _served(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".")


def _login(base: SplitResult) -> tuple[str, str]:
    """From the address, or from ~/.netrc, where passwords are not seen by who lists processes."""
    if base.username is not None:
        return unquote(base.username), unquote(base.password or "")
    with contextlib.suppress(OSError, netrc.NetrcParseError):
        known = netrc.netrc().authenticators(base.hostname or "")
        if known is not None:
            return known[0], known[2] or ""
    return "", ""


class _FtpServer(_Server):
    def __init__(self, base: SplitResult, patience: Patience) -> None:
        self._base = unquote(base.path)
        self._ftp = ftplib.FTP(timeout=patience.stall_s)
        try:
            self._ftp.connect(base.hostname or "", base.port or ftplib.FTP_PORT)
            self._ftp.login(*_login(base))
            self._ftp.voidcmd("TYPE I")
        except BaseException:
            self._ftp.close()
            raise

    def folder(self, path: str) -> None:
        with contextlib.suppress(ftplib.error_perm):  # it is there; if it is not, the first file in it fails
            self._ftp.mkd(f"{self._base}/{path}")

    def size(self, path: str) -> int | None:
        try:
            return self._ftp.size(f"{self._base}/{path}")
        except ftplib.error_perm:
            return None

    def put(self, path: str, file: Path) -> None:
        with file.open("rb") as octets:
            self._ftp.storbinary(f"STOR {self._base}/{path}", octets)

    def replace(self, path: str, file: Path) -> None:
        folder, _, name = path.rpartition("/")
        self.put(f"{folder}/{_HALF}{name}", file)
        self._ftp.rename(f"{self._base}/{folder}/{_HALF}{name}", f"{self._base}/{path}")

    def delete(self, path: str) -> None:
        with contextlib.suppress(ftplib.error_perm):
            self._ftp.delete(f"{self._base}/{path}")

    def close(self) -> None:
        self._ftp.close()


class _WebServer(_Server):
    def __init__(self, base: SplitResult, patience: Patience) -> None:
        host = base.netloc.rpartition("@")[2]
        self._base = urlunsplit((base.scheme, host, base.path, "", ""))
        user, password = _login(base)
        headers = urllib3.make_headers(basic_auth=f"{user}:{password}") if user else {}
        timeout = urllib3.Timeout(connect=patience.stall_s, read=patience.stall_s)
        self._pool = urllib3.PoolManager(1, headers=headers, timeout=timeout, retries=False)
        self._headers = headers

    def _ask(self, method: str, path: str, good: tuple[int, ...], file: Path | None = None, to: str = "") -> int:
        url = f"{self._base}/{quote(path)}"
        with contextlib.ExitStack() as stack:
            body = None if file is None else stack.enter_context(file.open("rb"))
            length = {} if file is None else {"content-length": str(file.stat().st_size)}
            moved = {"destination": f"{self._base}/{quote(to)}", "overwrite": "T"} if to else {}
            headers = {**self._headers, **length, **moved}
            status = self._pool.request(method, url, body=body, headers=headers, redirect=False).status
        if status not in good:
            raise _Answer(f"the server answers {status} to {method} of {path or 'the directory'}")
        return status

    def folder(self, path: str) -> None:
        self._ask("MKCOL", f"{path}/", (200, 201, 301, 405, 501))  # there already, or made when something is put there

    def size(self, path: str) -> int | None:
        response = self._pool.request("HEAD", f"{self._base}/{quote(path)}", redirect=False)
        length = response.headers.get("content-length", "")
        return int(length) if response.status == 200 and length.isdigit() else None

    def put(self, path: str, file: Path) -> None:
        self._ask("PUT", path, (200, 201, 204), file)

    def replace(self, path: str, file: Path) -> None:
        folder, _, name = path.rpartition("/")
        half = f"{folder}/{_HALF}{name}"
        self.put(half, file)
        if self._ask("MOVE", half, (200, 201, 204, 405, 501), to=path) in (405, 501):
            self.put(path, file)
            self.delete(half)

    def delete(self, path: str) -> None:
        self._ask("DELETE", path, (200, 202, 204, 404, 405))

    def close(self) -> None:
        self._pool.clear()
