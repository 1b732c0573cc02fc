"""Archives and messages in other content, Flash files that are compressed: what is handed out lies in its bounds."""

import zlib

from engine.scan.formats import appended, mail_file, swf
from tests.engine.scan.formats import archives_made as made
from tests.engine.scan.formats.rooms import Found, Room, fits

_FILES = {"a.txt": b"words " * 40}
_MAIL = b"From a@b Thu Jan  1 00:00:00 2026\nMIME-Version: 1.0\nSubject: x\n\nwords\n\n"
_FLASH = b"\x0d\x10\0\0\0"
_ARCHIVES = (made.seven_zip(_FILES), made.rar5(_FILES), made.cab(_FILES), made.lha(_FILES), made.lzip(b"words"))
SEEDS: list[bytes] = [
    *(b"\xff\xd8\xff\xe0" + archive for archive in _ARCHIVES),
    b"xx\x1f\x8b\x08\0\0\0\0\0\0\0" + zlib.compress(b"words" * 40, wbits=-15),
    _MAIL * 3,
    b"\xef\xbb\xbf" + _MAIL,
    b"%PDF-1.4\n\n" + _MAIL[34:],
    b"CWS" + _FLASH + zlib.compress(bytes(99)),
    b"ZWS" + _FLASH + b"\x20\0\0\0\x5d\0\0\1\0" + bytes(30),
]
_ROOM = 1 << 16


def one_input(data: bytes) -> None:
    for opener in (appended.members, mail_file.members, swf.unpacked):
        for item in Found(opener, data, Room(_ROOM)).items:
            assert fits(item, _ROOM)
    messages = Found(mail_file.members, data).items
    assert not mail_file.is_mailbox(data) or len(messages) > 1
