"""What is encrypted, and what says passwords: octets as a text, a zip entry, an Office package, a stream of a PDF."""

from engine import limits
from engine.scan import zip_file
from engine.scan.formats import office_crypt
from engine.scan.formats.pdf_security import Handler, Security
from engine.scan.formats.pdf_syntax import Dict, Malformed, Name, parse
from engine.scan.passwords import Texts, candidates
from engine.scan.zip_crypt import Locked
from tests.oracles.office_crypt import agile, standard
from tests.oracles.zipcrypto import zipped_with_password

_FILTERS = b"/CF << /StdCF << /CFM /%s >> >> /StmF /StdCF /StrF /StdCF"
SEEDS: list[bytes] = [
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


def _text(data: bytes) -> None:
    texts = Texts()
    for page in (False, True):
        texts.add(data, page)
    words = candidates(texts.seen[0][:100], [texts.seen[1][:50]], texts, ("usual",))
    assert len(words) <= limits.PASSWORDS
    assert all(len(word.encode("utf-8", "replace")) <= limits.PASSWORD_LEN for word in words)


def _entry(data: bytes) -> None:
    directory = zip_file.read(data)
    entries = directory.entries[:4] if directory is not None else []
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
    for key in (office_crypt.Key(b"k" * 16), office_crypt.Key(b"k" * 32, b"salt", office_crypt.HASHES[b"SHA512"])):
        assert len(key.package(data, 100, lambda: None)[0]) <= 100


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
            assert len(security.stream(-1, 99999, data, head, None)) <= len(data)
            assert len(security.string(1 << 33, 0, data)) <= len(data)
