"""What is remembered in a file survives that the file cannot be read for a while."""

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from control.authentication import SESSION_COOKIE
from control.certificates import renewal
from control.kept import Kept
from control.updates import memory as memories
from engine import config
from engine.config import Acme, Settings, Web
from engine.config.updates import Updates
from engine.layout import Layout
from tests.control.asgi import House

ACME = Acme(enabled=True, terms_agreed=True, directory="https://127.0.0.1:1/d", names=("a.example",))
SETTINGS = Settings(web=Web(acme=ACME), updates=Updates(sources=("/nowhere",)))


class _Count(msgspec.Struct, frozen=True):
    count: int = 0


class _Fault:
    """Reading files of these names fails."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: set[str] = set()
        self._whole = Path.read_bytes
        monkeypatch.setattr(Path, "read_bytes", lambda path: self._read(path))

    def _read(self, path: Path) -> bytes:
        if path.name in self.names:
            raise OSError(5, os.strerror(5), str(path))
        return self._whole(path)


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch) -> _Fault:
    return _Fault(monkeypatch)


def test_nothing_is_written_over_what_cannot_be_read(
    tmp_path: Path, fault: _Fault, caplog: pytest.LogCaptureFixture
) -> None:
    """PROC-14: told once, and gone on with when it can be read."""
    path = tmp_path / "file.json"
    Kept(path, _Count).keep(_Count(7))
    fault.names.add(path.name)
    kept = Kept(path, _Count)
    with pytest.raises(OSError, match=r"cannot be read .Input/output error.: check the disk"):
        kept.keep(_Count(1))
    assert not kept.is_read() and kept.value == _Count()
    assert len(caplog.records) == 1
    fault.names.clear()
    assert kept.is_read() and kept.value == _Count(7) and not kept.problem
    kept.keep(_Count(8))
    path.write_bytes(b"{")
    assert Kept(path, _Count).is_read() and "makes no sense" in caplog.text


def test_memories_that_cannot_be_read(tmp_path: Path, fault: _Fault) -> None:
    """PROC-14, CERT-05, DEF-07: nothing is asked for nor fetched, the API says why, and both go on by themselves."""
    layout = Layout(tmp_path)
    layout.make()
    config.save(SETTINGS, layout.config)
    files: dict[Path, Any] = {
        layout.tls / renewal.FILE_NAME: renewal.Memory(failures=3, problem="before"),
        layout.control / memories.FILE_NAME: memories.Memory(begun="schedule", in_force="1"),
    }
    for path, value in files.items():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(msgspec.json.encode(value))
    before = {path: path.stat().st_ino for path in files}
    fault.names |= {path.name for path in files}
    house = House(tmp_path)
    try:
        context = house.context
        context.renewal.step()
        context.updates.step()
        assert {path: path.stat().st_ino for path in files} == before
        context.accounts.set_password("admin", "correct horse battery")
        cookies = {SESSION_COOKIE: context.sessions.begin("admin", "192.0.2.1")}
        told = house.request("GET", "/api/v1/certificates", cookies).text
        assert "acme.json cannot be read" in told and "Until then nothing is asked for" in told
        assert "updates.json cannot be read" in house.request("GET", "/api/v1/definitions/updates", cookies).text
        assert "updates.json cannot be read" in house.request("GET", "/definitions/updates", cookies).text
        with pytest.raises(OSError, match=r"updates.json cannot be read"):
            context.updates.now("admin")
        fault.names.clear()
        context.renewal.step()
        assert context.renewal.memory.failures == 4
        context.updates.step()
        assert context.updates.memory.history[0].user == "schedule" and not context.updates.problem
    finally:
        house.close()
