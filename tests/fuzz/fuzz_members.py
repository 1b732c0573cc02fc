"""Any octets as the annex of container signatures, and any text as a line of one."""

import contextlib

from engine.scan.members import Members, Told
from signatures import members
from signatures.clamav import member
from signatures.clamav.line import NotTaken

SEEDS = [
    b"Name:CL_TYPE_ZIP:*:(?i)[.](exe|scr)$:1-9:*:1:2:*:*",
    b"\x92\x91\x99\xa1A\xa3any\xc0\xa1a\xc2\xc0\xc0\xc0\xc0\x01",
]
_TOLD = Told("zip", 9, ("name.exe",), 5, 4, True, 2)


def one_input(data: bytes) -> None:
    with contextlib.suppress(ValueError, TimeoutError):
        Members(data).names(_TOLD)
    try:
        made = member.read(data.decode("utf-8", "replace"))
    except NotTaken:
        return
    with contextlib.suppress(TimeoutError):
        Members(members.annexes([made])[members.ANNEX]).names(_TOLD)
