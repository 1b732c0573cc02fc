"""Metadata of a source of definitions: hostile roots and timestamps fail in one way, and nothing is fetched."""

import atexit
import contextlib
import tempfile
from pathlib import Path

from control.updates.fetch import UpdateFailed, fetch
from control.updates.trust import NotARoot, examine
from tests.control.updates.publisher import Gateway, Publisher

_FOLDER = tempfile.TemporaryDirectory(prefix="mailward-fuzz-")
atexit.register(_FOLDER.cleanup)
_PUBLISHER = Publisher(Path(_FOLDER.name) / "publisher")
_GATEWAY = Gateway(Path(_FOLDER.name), _PUBLISHER.root)
_METADATA = _PUBLISHER.metadata
_NAMES = ("timestamp.json", "2.root.json")
_SNAPSHOT = (_METADATA / "1.snapshot.json").read_bytes()

SEEDS = [
    b"\0" + (_METADATA / "timestamp.json").read_bytes(),
    b"\1" + _PUBLISHER.root,
    b"\0" + _PUBLISHER.root,
    b"\0" + _SNAPSHOT,
    b"\1" + b"[" * 2000,
    b"\0" + _SNAPSHOT.replace(b'"version":1', b'"version":1e999'),
    b"\0" + (_METADATA / "timestamp.json").read_bytes().replace(b'"keyid"', b'"keyid":{},"k"'),
]


def one_input(data: bytes) -> None:
    with contextlib.suppress(NotARoot):
        examine(data[1:])
    path = _METADATA / _NAMES[data[:1] == b"\1"]
    before = path.read_bytes() if path.exists() else None
    path.write_bytes(data[1:])
    try:
        with contextlib.suppress(UpdateFailed):
            fetch([str(_PUBLISHER.repository.directory)], _GATEWAY.trusted, _GATEWAY.directory)
    finally:
        if before is None:
            path.unlink()
        else:
            path.write_bytes(before)
    assert not list(_GATEWAY.directory.iterdir())
