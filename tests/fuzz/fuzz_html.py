"""HTML: octets as a text, as the data of a URI, and as a literal of a script. All is bounded, nothing is raised."""

import base64

from cext.html import next_mark, next_mark_scalar, next_run
from engine.scan.formats.html import members
from tests.engine.scan.formats.pdf_material import Room

SEEDS: list[bytes] = [
    b'<a href="data:a/b;base64,TVqQAAMAAAAEAAAA" download="x.exe">x</a><img src=data:,%41&#66;>',
    b"<script>a.download = 'x.iso'; atob(\"PGh0bWw+\"); b='" + b"TVqQAAMA" * 40 + b"'</script>",
    "<html>data:;base64,AAAA".encode("utf-16"),
]
_ROOM = 1 << 14


def one_input(data: bytes) -> None:
    for text in (data, b'<a href="data:;base64,' + data, b"atob('" + base64.b64encode(data * 8) + b"')"):
        assert all(len(getattr(item, "data", b"")) <= _ROOM for item in members(text, Room(_ROOM)))
    at = 0
    while (mark := next_mark(data, at)) is not None:
        assert mark == next_mark_scalar(data, at) and at < mark[0] <= len(data)
        at = mark[0]
    at = 0
    while (run := next_run(data, at, 4)) is not None:
        assert at <= run[0] and run[0] + 4 <= run[1] <= len(data)
        at = run[1]
