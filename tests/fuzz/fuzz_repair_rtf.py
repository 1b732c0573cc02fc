"""RTF while it is cleaned: as long as before, and without an object in any reading."""

from engine.repair import rtf
from engine.scan.formats import rtf as opener
from tests.engine.repair import infected
from tests.engine.repair.documents import RTF
from tests.engine.scan.formats.rooms import Found, Room

SEEDS: list[bytes] = [
    infected.rtf(RTF),
    b"{\\rtf1{\\object{\\*\\objdata 01{\\*\\x 02}{03}\\'04\\bin2 ab05}}{\\*\\datastore 0102}}",
    b"{\\rtf1{\\*\\fldinst{D}DE\\'41}{\\*\\template \\\\\\\\a}\\objautlink}",
]


def one_input(data: bytes) -> None:
    done = rtf.cleaned(data)
    if done is not None:
        assert len(done.content) == len(data) and done.done
        left = Found(opener.members, done.content, Room()).files.values()
        assert not any(bytes(one.data).strip(b"\0") for one in left)
