"""A web server on loopback that definitions are fetched from and brought to: as it should be, and as it should not."""

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

STALL: Final = "stall"  # half of the file, and then nothing
TRUNCATE: Final = "truncate"  # half of the file, and then the end
ENDLESS: Final = "endless"  # the file, and octets behind it for ever
DRIP: Final = "drip"  # an answer that comes an octet at a time, without end
REDIRECT: Final = "redirect"
ERROR: Final = "error"


class HttpServer:
    """Serves a folder, and takes PUT, MOVE, MKCOL, DELETE.

    faults: by the end of the path. asked: method and path of each request. stalled: set when a peer waits for ever.
    """

    def __init__(self, folder: Path, tls: ssl.SSLContext | None, host: str) -> None:
        self.folder = folder
        self._tls, self._host = tls, host
        self.faults: dict[str, str] = {}
        self.asked: list[str] = []
        self.headers: list[str] = []
        self.refused: set[str] = set()  # methods that it does not know
        self.stalled = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ready = threading.Event()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http{'s' if self._tls else ''}://{self._host}:{self.port}"

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(60)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(10)

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._ended = asyncio.Event()
        server = await asyncio.start_server(self._connected, self._host.strip("[]"), 0, ssl=self._tls)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._ended.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._request(reader, writer):
                    pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, target, _ = head.split("\r\n")[0].split(" ")
        self.asked.append(f"{method} {target}")
        self.headers.append(head.lower())
        fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        body = await reader.readexactly(int(fields.get("content-length", "0")))
        path = self.folder / unquote(target).lstrip("/")
        if method not in ("GET", "HEAD"):
            to = unquote(urlsplit(fields.get("destination", "")).path).lstrip("/")
            writer.write(f"HTTP/1.1 {self._change(method, path, body, to)} x\r\ncontent-length: 0\r\n\r\n".encode())
            await writer.drain()
            return True
        fault = next((fault for end, fault in self.faults.items() if target.endswith(end)), "")
        if fault:
            await self._misbehave(fault, path, writer)
            return False
        octets = path.read_bytes() if path.is_file() else b"not found"
        status = 200 if path.is_file() else 404
        writer.write(f"HTTP/1.1 {status} x\r\ncontent-length: {len(octets)}\r\n\r\n".encode())
        writer.write(octets if method == "GET" else b"")
        await writer.drain()
        return True

    def _change(self, method: str, path: Path, body: bytes, to: str) -> int:
        if method in self.refused:
            return 405
        if method == "MKCOL":
            made = not path.exists()
            path.mkdir(exist_ok=True)
            return 201 if made else 405
        if method == "PUT":
            path.write_bytes(body)
        elif method == "MOVE":
            path.replace(self.folder / to)
        else:
            path.unlink(missing_ok=True)
        return 204

    async def _misbehave(self, fault: str, path: Path, writer: asyncio.StreamWriter) -> None:
        octets = path.read_bytes() if path.is_file() else b""
        if fault == REDIRECT:
            writer.write(b"HTTP/1.1 302 x\r\nlocation: http://127.0.0.1:1/elsewhere\r\ncontent-length: 0\r\n\r\n")
        elif fault == ERROR:
            writer.write(b"HTTP/1.1 500 x\r\ncontent-length: 0\r\n\r\n")
        elif fault == ENDLESS:
            writer.write(b"HTTP/1.1 200 x\r\n\r\n" + octets)
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
        elif fault == DRIP:
            writer.write(b"HTTP/1.1 200 x\r\nx-slow: ")
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.01)
        else:
            writer.write(
                f"HTTP/1.1 200 x\r\ncontent-length: {len(octets)}\r\n\r\n".encode() + octets[: len(octets) // 2]
            )
            await writer.drain()
            if fault == STALL:
                self.stalled.set()
                await self._ended.wait()
        await writer.drain()


@contextlib.contextmanager
def http_server(folder: Path, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[HttpServer]:
    server = HttpServer(folder, tls, host)
    server.start()
    try:
        yield server
    finally:
        server.stop()
