"""A delta of definitions: whatever it says, no more is written than was allowed, and nothing but BadDelta is raised."""

import atexit
import io
import os

from control.updates.delta import BadDelta, apply, make

_OLD = b"".join(b"signature %d looks for this and that\n" % number for number in range(500))
_NEW = _OLD[:9000] + b"something new" + _OLD[10_000:]
_MOST = 64 * 1024


def _file(octets: bytes) -> io.BufferedRandom:
    file = os.fdopen(os.memfd_create("definitions"), "w+b")
    file.write(octets)
    file.flush()
    return file


_FILE = _file(_OLD)
atexit.register(_FILE.close)


def _seed(old: io.BufferedRandom | None) -> bytes:
    made = io.BytesIO()
    with _file(_NEW) as new:
        make(old, new, made)
    return (b"\0" if old is None else b"\1") + made.getvalue()


SEEDS = [_seed(_FILE), _seed(None), _seed(_FILE)[:40], _seed(None) + b"x"]


def one_input(data: bytes) -> None:
    old = _FILE if data[:1] == b"\1" else None
    made = io.BytesIO()
    try:
        apply(old, io.BytesIO(data[1:]), made, _MOST)
    except BadDelta:
        pass
    else:
        assert len(made.getvalue()) == int.from_bytes(data[17:25], "little")
    assert len(made.getvalue()) <= _MOST
