"""Samples for an analysis service: only what is approved, over an interface that docs/samples.md describes."""

import contextlib
import hashlib
import io
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest
import pyzipper

from control.operation import Conflict
from control.quarantine_server import samples, settings
from control.quarantine_server.samples import About, Samples
from engine.config import ConfigError
from tests.control.quarantine_server.shelf import ACTOR, Shelf

CONTENT = b"a harmless marker"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Service:
    """What it is asked, and what it answers: status and body in turn, the last again and again."""

    answers: list[tuple[int, bytes]]
    asked: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""


@contextlib.contextmanager
def serving(*answers: tuple[int, bytes]) -> Iterator[Service]:
    service = Service(list(answers))

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            service.asked.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            status, said = service.answers.pop(0) if len(service.answers) > 1 else service.answers[0]
            self.send_response(status)
            self.send_header("content-length", str(len(said)))
            self.send_header("location", "http://127.0.0.1:9/elsewhere")
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    service.url = f"http://127.0.0.1:{server.server_port}/in/"
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    one = Shelf(tmp_path / "root")
    one.put(CONTENT, 1, viruses=("Heuristic.Dropper",), reasons=("it starts a shell",))
    yield one
    one.store.close()


def sender(shelf: Shelf, url: str, **more: object) -> Samples:
    given = msgspec.convert({"enabled": True, "url": url, "timeout_s": 5, **more}, settings.Samples)
    return Samples(shelf.store, shelf.desk, given, shelf.root, lambda: shelf.now)


def state(shelf: Shelf) -> tuple[str, str]:
    entry = shelf.store.entry(1)
    assert entry is not None
    return entry.sample, entry.sample_answer


def test_what_is_sent(shelf: Shelf) -> None:
    """QRN-08: after somebody's approval, once, and nothing of it says whose mail it was."""
    with serving((202, b'{"text": "thank <b>you</b>"}')) as service:
        (shelf.root / "token").write_text("secret\n")
        out = sender(shelf, service.url, token_file="token")
        assert not out._one() and service.asked == []
        out.approve(ACTOR, 1)
        with pytest.raises(Conflict):
            out.approve(ACTOR, 1)
        assert out._one() and not out._one()
    ((path, header, body),) = service.asked
    assert path == f"/in/{SHA256}" and header["content-type"] == "application/zip"
    assert header["authorization"] == "Bearer secret"
    with pyzipper.AESZipFile(io.BytesIO(body)) as archive:
        archive.setpassword(b"infected")
        assert archive.read("sample") == CONTENT
        about = archive.read("about.json")
    assert msgspec.json.decode(about, type=About).reasons == ("it starts a shell",)
    for word in (b"invoice", b"mallory", b"bob@", b"1N4ABCDEV0001"):
        assert word not in about
    assert state(shelf) == ("sent", "thank <b>you</b>")
    assert "approved it as a sample" in [deed.deed for deed in shelf.store.index.deeds(1)]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((409, b""), "sent"),
        ((200, b"\xff" * 100_000), "sent"),
        ((302, b""), "refused"),
        ((413, b'{"text": "too large"}'), "refused"),
        ((401, b"[[[["), "refused"),
        ((503, b""), "waiting"),
        ((429, b""), "waiting"),
    ],
)
def test_answers(shelf: Shelf, answer: tuple[int, bytes], expected: str) -> None:
    """QRN-08: no redirection is followed, and no answer breaks anything."""
    with serving(answer) as service:
        out = sender(shelf, service.url)
        out.approve(ACTOR, 1)
        assert out._one()
    assert state(shelf)[0] == expected


def test_tries_again_and_then_no_more(shelf: Shelf) -> None:
    """QRN-08: with growing pauses, until TRIES; then somebody may approve it anew."""
    out = sender(shelf, "http://127.0.0.1:1/")  # nobody is there
    out.approve(ACTOR, 1)
    pauses = []
    for _ in range(samples.TRIES):
        before = shelf.now
        while not out._one():
            shelf.now += 60_000_000
        pauses.append((shelf.now - before) // 1_000_000)
    assert pauses[:4] == [0, 60, 120, 240] and max(pauses) <= samples.LONGEST_S
    assert state(shelf)[0] == "failed"
    shelf.now += 10**12
    assert not out._one()
    out.approve(ACTOR, 1)
    assert out._one()


def test_bounds_and_switches(shelf: Shelf) -> None:
    """QRN-08: off unless it is set up; not what is too large; nothing by itself unless that is set."""
    with pytest.raises(Conflict, match=r"\[samples\]"):
        sender(shelf, "", enabled=False).approve(ACTOR, 1)
    entry = shelf.desk.one(1)
    sender(shelf, "http://127.0.0.1:1/").propose(entry)
    assert state(shelf)[0] == ""
    large = msgspec.structs.replace(entry, item=msgspec.structs.replace(entry.item, size=(1 << 20) + 1))
    automatic = sender(shelf, "http://127.0.0.1:1/", automatic=True, max_mb=1)
    automatic.propose(large)
    named = msgspec.structs.replace(entry, verdict="infected", names=("Trojan.Known",))
    automatic.propose(named)
    assert state(shelf)[0] == ""
    automatic.propose(msgspec.structs.replace(entry, verdict="infected", names=("Heuristic.Dropper",)))
    assert state(shelf)[0] == "waiting"


@pytest.mark.parametrize("url", ["", "http://analysis.example.com/", "ftp://x/", "http://127.0.0.1.example.com/"])
def test_samples_go_over_encrypted_connections_only(url: str) -> None:
    """QRN-08: but to a service on the same machine."""
    with pytest.raises(ConfigError, match=r"samples\.url"):
        settings.parse(f'[samples]\nenabled = true\nurl = "{url}"\n')
    assert settings.parse('[samples]\nenabled = true\nurl = "http://127.0.0.1:8000/"\n').samples.enabled
