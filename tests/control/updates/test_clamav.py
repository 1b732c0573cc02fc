"""ClamAV's databases as a source: containers, increments, conditional requests, patience (DEF-09)."""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from cext.automaton import Image
from control.updates import clamav, compiling
from control.updates.clamav import DIFFS, WAIT_S, ClamavSource, Compiled
from control.updates.fetch import NoSource
from signatures.clamav import container
from tests.signatures.clamav_key import KEYS, container_signature, signature_of, signed_diff

SIGNATURE = b"%s:0:*:%s\n"


def line(name: str) -> bytes:
    return SIGNATURE % (name.encode(), f"a pattern of {name}".encode().hex().encode())


def header(name: str, version: int) -> bytes:
    return f"ClamAV-VDB:22 Nov 2026 06-00 +0000:{version}:1:90:x:x:{name}:1795240800".encode()


def info(name: str, version: int, files: dict[str, bytes]) -> bytes:
    lines = [header(name, version)]
    lines += [
        f"{file}:{len(content)}:{hashlib.sha256(content).hexdigest()}".encode() for file, content in files.items()
    ]
    listed = b"\n".join(lines) + b"\n"
    return listed + b"DSIG:" + signature_of(listed) + b"\n"


def cvd(name: str, version: int, files: dict[str, bytes]) -> bytes:
    """As sigtool makes them, signed with a key of these tests (see `server`)."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for file, content in {f"{name}.info": info(name, version, files), **files}.items():
            member = tarfile.TarInfo(file)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    body = gzip.compress(packed.getvalue(), mtime=0)
    digest = hashlib.md5(body).hexdigest()
    fields = header(name, version).replace(b":x:x:", f":{digest}:{container_signature(digest)}:".encode())
    return fields.ljust(container.HEADER_LEN) + body


class Server(ThreadingHTTPServer):
    """files: by name. refusing: a status and its Retry-After for every request. asked: (name, status) of each."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.refusing: tuple[int, str] | None = None
        self.ranges = True
        self.asked: list[tuple[str, int]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/db"

    def put(self, name: str, version: int, *names: str) -> None:
        self.files[f"{name}.cvd"] = cvd(name, version, {f"{name}.ndb": b"".join(map(line, names))})

    def diff(self, name: str, version: int, script: str, *names: str) -> None:
        """One that leads to what `put` makes of these names, if the script is right."""
        now = info(name, version, {f"{name}.ndb": b"".join(map(line, names))})
        last = f"{script}UNLINK {name}.info\nOPEN {name}.info\n".encode()
        last += b"".join(b"ADD " + one + b"\n" for one in now.splitlines()) + b"CLOSE\n"
        self.files[f"{name}-{version}.cdiff"] = signed_diff(version, last)


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        name = self.path.removeprefix("/db/")
        content = self.server.files.get(name)
        etag = f'"{hashlib.sha256(content or b"").hexdigest()[:16]}"'
        if self.server.refusing:
            self._say(self.server.refusing[0], b"", {"retry-after": self.server.refusing[1]})
        elif content is None:
            self._say(404, b"", {})
        elif self.headers["if-none-match"] == etag:
            self._say(304, b"", {})
        elif self.headers["range"] == "bytes=0-511" and self.server.ranges:
            self._say(206, content[:512], {"etag": etag})
        else:
            self._say(200, content, {"etag": etag})

    def _say(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.server.asked.append((self.path.removeprefix("/db/"), status))
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """With two databases."""
    one = Server()
    monkeypatch.setattr(clamav, "DATABASES", ("main", "daily"))
    thread = Thread(target=one.serve_forever, args=(0.01,))
    thread.start()
    one.put("main", 60, "Main.One")
    one.put("daily", 100, "Daily.One", "Daily.Two")
    yield one
    one.shutdown()
    thread.join()
    one.server_close()


class Client:
    def __init__(self, server: Server, folder: Path) -> None:
        self.folder, self.server = folder, server
        self.now = 1_000_000.0
        self.stages: list[str] = []

    def update(self) -> Compiled:
        self.now += clamav.POLITE_S
        source = ClamavSource(self.server.url, self.folder, lambda: False, keys=KEYS, clock=lambda: self.now)
        return source.update(self.stages.append)

    def finds(self, *names: str) -> list[str]:
        matcher = Image((self.folder / compiling.COMPILED).read_bytes())
        return [name for name in names if matcher.scan(f"a pattern of {name}".encode())]


@pytest.fixture
def client(server: Server, tmp_path: Path) -> Client:
    return Client(server, tmp_path / "clamav")


EVERY = ("Main.One", "Daily.One", "Daily.Two", "Daily.Three", "Daily.Four")


def test_the_whole_then_increments_then_nothing(server: Server, client: Client) -> None:
    """DEF-09: a database as a whole once, then by increments of some hundred octets, each version after the other."""
    found = client.update()
    assert (found.number, found.date) == (100, 1795240800 * 1_000_000)
    assert client.finds(*EVERY) == ["Main.One", "Daily.One", "Daily.Two"]
    server.asked.clear()
    assert client.update() == found
    assert server.asked == [("main.cvd", 304), ("daily.cvd", 304)], "asked on condition, and nothing compiled"
    server.put("daily", 102, "Daily.Two", "Daily.Three", "Daily.Four")
    three, four = line("Daily.Three").decode(), line("Daily.Four").decode()
    server.diff("daily", 101, f"OPEN daily.ndb\nADD {three}DEL 1 Daily.One\nCLOSE\n", "Daily.Two", "Daily.Three")
    server.diff("daily", 102, f"OPEN daily.ndb\nADD {four}CLOSE\n", "Daily.Two", "Daily.Three", "Daily.Four")
    server.asked.clear()
    assert client.update().number == 102
    assert [name for name, status in server.asked if status == 200] == ["daily-101.cdiff", "daily-102.cdiff"]
    assert client.finds(*EVERY) == ["Main.One", "Daily.Two", "Daily.Three", "Daily.Four"]
    assert not list(client.folder.glob("*.cdiff")) and (client.folder / "daily.cld").exists()


@pytest.mark.parametrize("way", ["not there", "too many", "spoilt", "wrong"])
def test_without_good_increments_the_whole_comes(server: Server, client: Client, way: str) -> None:
    """DEF-12: what is in force stays, and the next attempt fetches the whole where an increment was no good."""
    client.update()
    version = 101 + DIFFS if way == "too many" else 101
    server.put("daily", version, "Daily.Three")
    if way in ("spoilt", "wrong"):
        server.diff("daily", 101, "OPEN daily.ndb\nDEL 1 Daily.One\nCLOSE\n", "Daily.Three")
        if way == "spoilt":
            server.files["daily-101.cdiff"] = server.files["daily-101.cdiff"][:-4] + b"abcd"
        with pytest.raises(NoSource, match="signature is wrong" if way == "spoilt" else "did not become"):
            client.update()
        assert client.finds(*EVERY) == ["Main.One", "Daily.One", "Daily.Two"]
    assert client.update().number == version
    assert client.finds(*EVERY) == ["Main.One", "Daily.Three"]


@pytest.mark.parametrize(
    ("status", "after", "waits"), [(429, "7200", 7200), (503, "", WAIT_S[1]), (403, "1", WAIT_S[0])]
)
def test_a_server_that_asks_to_wait_is_not_asked(
    server: Server, client: Client, status: int, after: str, waits: float
) -> None:
    """Polite: Retry-After is obeyed, within bounds."""
    server.refusing = (status, after)
    with pytest.raises(NoSource, match="to wait"):
        client.update()
    asked = len(server.asked)
    assert asked == 1
    client.now += waits - clamav.POLITE_S - 1  # `update` adds the rest, but for a second
    with pytest.raises(NoSource, match="to wait"):
        client.update()
    assert len(server.asked) == asked
    server.refusing = None
    client.now += 1 - clamav.POLITE_S
    assert client.update().number == 100


def test_it_is_not_asked_again_at_once(server: Server, client: Client) -> None:
    client.update()
    asked = len(server.asked)
    client.now -= clamav.POLITE_S - 1
    client.update()
    assert len(server.asked) == asked


def test_a_server_without_ranges(server: Server, client: Client) -> None:
    server.ranges = False
    assert client.update().number == 100


def test_a_container_that_is_not_signed_by_clamav_is_refused(server: Server, client: Client) -> None:
    source = ClamavSource(server.url, client.folder, lambda: False)
    with pytest.raises(NoSource, match="digital signature is wrong"):
        source.update(client.stages.append)
    assert not list(client.folder.glob("*.cvd")), "it comes anew the next time"


def test_what_is_no_database(server: Server, client: Client) -> None:
    server.files["main.cvd"] = b"<html>" * 200
    with pytest.raises(NoSource, match="no database of ClamAV"):
        client.update()
    del server.files["main.cvd"]
    with pytest.raises(NoSource, match="not there"):
        client.update()


def test_a_database_older_than_one_that_was_here_is_refused(server: Server, client: Client) -> None:
    """DEF-16: a mirror cannot lead back to what it has kept, which is as well signed; not even after spoilt ones."""
    client.update()
    kept = server.files["daily.cvd"]
    server.put("daily", 100 + DIFFS + 1, "Daily.Three")
    client.update()
    server.files["daily.cvd"] = kept
    for _ in range(2):
        with pytest.raises(NoSource, match="older than 161"):
            client.update()
        server.files["daily.cvd"] = kept[:-1] + b"x"
    server.put("daily", 100 + 2 * DIFFS + 2, "Daily.Four")
    spoilt = server.files["daily.cvd"]
    server.files["daily.cvd"] = spoilt[:-1] + b"x"
    with pytest.raises(NoSource, match="digest"):
        client.update()
    server.files["daily.cvd"] = kept
    with pytest.raises(NoSource, match="older than 161"):
        client.update()
    server.files["daily.cvd"] = spoilt
    assert client.update().number == 222


def test_what_a_container_begins_with_is_not_believed(server: Server, client: Client) -> None:
    """DEF-16: it is not signed, so that a mirror may write there that an old one is new, and when it was built."""
    client.update()
    good = server.files["daily.cvd"]
    server.files["daily.cvd"] = good.replace(b":100:", b":999:", 1)
    with pytest.raises(NoSource, match="says that it is version 999, and is 100"):
        client.update()
    server.files["daily.cvd"] = good.replace(b":1795240800 ", b":9999999999 ", 1)
    assert client.update().date == 1795240800 * 1_000_000


def test_an_answer_without_end_is_ended(server: Server, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that says an octet now and then, so that it never stalls, does not keep all updates waiting."""
    monkeypatch.setattr(clamav, "GRACE_S", 0.2)
    shut = Event()

    def trickle(handler: Handler) -> None:
        try:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nx: ")
            for _ in range(2000):
                handler.wfile.write(b"x")
                shut.wait(0.01)
        except OSError:
            shut.set()

    monkeypatch.setattr(Handler, "do_GET", trickle)
    with pytest.raises(NoSource):
        client.update()
    assert shut.wait(30), "the client has ended it"
