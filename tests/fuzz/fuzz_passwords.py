"""What is encrypted, and what says passwords: octets as a text, a zip entry, an Office document, a stream of a PDF,
a 7z or RAR archive."""

import hashlib
from unittest.mock import patch

from engine import limits
from engine.scan import zip_file
from engine.scan.formats import (
    odf_crypt,
    office,
    office_crypt,
    office_locked,
    office_rc4,
    rar_crypt,
    rar_old_crypt,
    seven_zip,
    seven_zip_crypt,
)
from engine.scan.formats.pdf_security import Handler, Security
from engine.scan.formats.pdf_syntax import Dict, Malformed, Name, parse
from engine.scan.keyring import Keyring
from engine.scan.passwords import Texts, candidates
from engine.scan.zip_crypt import Locked
from tests.engine.scan.formats.rooms import Room
from tests.oracles import odf_crypt as odf
from tests.oracles import office_rc4 as old
from tests.oracles import rar_crypt as new
from tests.oracles import rar_old_crypt as older
from tests.oracles.office_crypt import agile, standard
from tests.oracles.seven_zip_crypt import sealed
from tests.oracles.zipcrypto import zipped_with_password

_FILTERS = b"/CF << /StdCF << /CFM /%s >> >> /StmF /StdCF /StrF /StdCF"
_HEADER, _CRYPT = old.modern("x")
_SLIDES = old.slides(_HEADER, _CRYPT, [old.atom(1000, b"slide"), old.atom(1006, b"")])
_KEYS = (office_rc4.Keys(b"k" * 20, hashlib.sha1, 16), office_rc4.Keys(b"k" * 5, hashlib.md5, 5))
SEEDS: list[bytes] = [
    _HEADER,
    old.old("x")[0],
    old.workbook(_HEADER, _CRYPT, (0x42, b"\xb0\4"), (0x85, b"abcdef"), (0xFC, b"zebra"), (0x0A, b"")),
    old.obfuscated("x", (0x42, b"\xb0\4"), (0x85, b"abcdef"), (0xFC, b"zebra"), (0x0A, b"")),
    _SLIDES["Current User"][16:20] + _SLIDES["PowerPoint Document"],
    old.picture(_CRYPT, b"octets") + old.picture(_CRYPT, b"more", 0xF01A, 0x217),
    old.properties(_CRYPT, {"a": b"words", "b": b"more"}),
    sealed({"a": b"words", "b": b"more"}, "x", packed=False),
    sealed({"a": b"words", "b": b"more"}, "x", salt=b"salt"),
    sealed({"a": b"words", "b": b"more"}, "x", names=True),
    new.archive(new.file("a", b"words", "x"), new.file("b", b"more")),
    new.archive(new.file("a", b"words", "x", tweaked=False), password="x"),
    older.archive(older.file("a", b"words", "x"), older.file("b", b"more")),
    older.archive(older.file("a", b"words", "x"), password="x"),
    odf.package({"a": b"words", "b": b"more"}, "x"),
    odf.data(bytes(32), 10, False).encode(),
    "Hi,\nthe password is: X7-99!\nPasswort „geheim“, пароль: кот, パスワード：abc\n".encode(),
    b"<style>p{}</style><p>Password:<b>12</b>34&amp;</p><td>PIN</td><td>77</td>",
    zipped_with_password({"a.txt": b"words"}, b"x"),
    agile(b"words", "x", 2)["EncryptionInfo"],
    standard(b"words", "x")["EncryptionInfo"],
    b"<< /Filter /Standard /V 4 /R 4 /O (o) /U (u) /P -4 " + _FILTERS % b"AESV2" + b">>",
    b"<< /Filter /Standard /V 5 /R 6 /O (o) /U ("
    + b"u" * 48
    + b") /UE ("
    + b"e" * 32
    + b") "
    + _FILTERS % b"AESV3"
    + b">>",
]


def one_input(data: bytes) -> None:
    _text(data)
    _entry(data)
    _package(data)
    _document(data)
    _old_document(data)
    _archive(data)


def _text(data: bytes) -> None:
    texts = Texts()
    for page in (False, True):
        texts.add(data, page)
    words = candidates(texts.seen[0][:100], [texts.seen[1][:50]], texts, ("usual",))
    assert len(words) <= limits.PASSWORDS
    assert all(len(word.encode("utf-8", "replace")) <= limits.PASSWORD_LEN for word in words)


def _entry(data: bytes) -> None:
    directory = zip_file.read(data)
    entries = [entry for entry in directory.entries[:4] if entry.readable] if directory is not None else []
    entries.append(zip_file.Entry(b"", 1, 8, 0, len(data), 9, 0, 0))
    for entry in entries:
        locked = Locked(data, entry)
        if locked.method >= 0:
            opened = locked.opened("x", lambda plain, inner: zip_file.unpack(plain, inner, 1 << 16))
            assert opened is None or len(opened.data) <= 1 << 16


def _package(data: bytes) -> None:
    lock = office_crypt.read(data)
    if isinstance(lock, office_crypt.Agile) and lock.rounds <= 64:
        lock.opens("x", lambda: None)
    for key in (office_crypt.Key(b"k" * 16), office_crypt.Key(b"k" * 32, b"salt", office_crypt.HASHES["SHA512"])):
        assert len(key.package(data, lambda: None)[0]) <= len(data)


def _document(data: bytes) -> None:
    try:
        encrypt = parse(data, 0)[0]
    except Malformed:
        encrypt = None
    if isinstance(encrypt, Dict):
        handler = Handler(encrypt, [b"id"], lambda value: value)
        if handler.usable:
            handler.opens("")
            handler.opens("x")
    head = Dict()
    for kind in (b"XRef", b"EmbeddedFile", b"Metadata", b"x"):
        head[b"Type"] = Name(kind)
        for method in range(4):
            security = Security(b"k" * 32, {b"a": method}, (b"a", b"a", b"a"), True)
            assert security.readings(head, None)
            assert len(security.plain(method, -1, 99999, data)) <= len(data)
            assert len(security.string(1 << 33, 0, data)) <= len(data)


def _old_document(data: bytes) -> None:
    room = Room()
    lock = office_rc4.read(data)
    keys = [*_KEYS, *([lock.opens("x")] if lock is not None else [])]
    book = office.workbook(data, room)
    seal = office_locked.file_pass(book.file_pass if book.encrypted else data)
    mask = seal.opens("x") if seal is not None else None
    for key in (mask, office_rc4.Mask(b"0123456789abcdef"), *keys):
        if key is not None:
            assert len(office_locked.workbook(data, book.behind_pass, key, room)) == len(data)
    found = office_locked.slides(bytes(16) + data[:4], data[4:], room)
    assert found is None or len(found.objects) <= office_locked.OBJECTS
    of_slides = found.lock.opens("x") if found is not None else None
    if found is not None and of_slides is not None:
        assert len(office_locked.presentation(data[4:], found, of_slides, room)[0]) == len(data) - 4
    for key in keys:
        if key is not None:
            assert len(office_locked.pictures(data, key, room)[0]) == len(data)
            inner = office_locked.properties(data, key, room) or []
            assert sum(len(octets) for _, octets in inner) <= len(data)
            plain = office_locked.word(data, 9, key, room)
            assert len(plain) == len(data)
            assert sum(len(one.data) for one in office_locked.embedded(plain, room)) <= len(data)
    list(office_locked.embedded(data, room))


def _archive(data: bytes) -> None:
    room = Room(1 << 20)
    room.keyring = Keyring(["y", "x"])
    with patch.object(limits, "PASSWORD_ROUNDS", 64):
        lock = seven_zip_crypt.Lock(room)
        header = seven_zip.read(data, 0, lock.header)
        plain = lock.archive(data, 0, header) if header is not None and header.streams is not None else None
        list(odf_crypt.members(data, room))
        for one in odf_crypt.read(data)[0]:
            one.opens("x", data[: len(data) // 16 * 16])
        rars = [rar_crypt.archive(data, 0, room), rar_old_crypt.archive(data, 0, room)]
    for rar in rars:
        assert rar is None or len(rar.octets) <= 2 * len(data) + 64
    if header is not None and plain is not None:
        again = seven_zip.read(plain, 0)
        assert again is not None and again.names == header.names
        assert not any(folder.encrypted for folder in again.folders)
