"""Encrypted PDFs that say one thing to one reader and another to the next: nothing of them passes as examined unless
every reading of it was."""

import hashlib
from itertools import product

import pytest

from engine.scan.ciphers import cbc
from engine.scan.formats.item import Member, Odd
from engine.scan.formats.pdf import members
from engine.scan.formats.pdf_security import hashed
from engine.scan.keyring import Keyring
from tests.engine.scan.formats.pdf_locked import Lock, hexed
from tests.engine.scan.formats.pdf_material import attached, document, flate, object_stream, stream, thing
from tests.engine.scan.formats.rooms import Found, Room
from tests.engine.scan.material import EICAR, walk_file, zipped

RC4 = b"/CF << /StdCF << /CFM /V2 /AuthEvent /DocOpen /Length 16 >> >> /StmF /StdCF /StrF /StdCF"
AES = RC4.replace(b"/V2", b"/AESV2")
CATALOG = thing(1, b"<< /Type /Catalog /Names << /EmbeddedFiles << /Names [(a) 2 0 R] >> >> >>")
ARCHIVE = zipped({"eicar.com": EICAR})
SCRIPT = b"app.alert('hello')"
ENCRYPTED = ("encrypted", "pdf")


def opened(buf: bytes, *words: str) -> Found:
    room = Room()
    room.keyring = Keyring(words)
    return Found(members, buf, room)


def contents(found: Found) -> list[bytes]:
    return [bytes(one.data) for one in found.items if isinstance(one, Member)]


def severe(found: Found) -> bool:
    return bool(found.gaps) or any(isinstance(one, Odd) and one.severe for one in found.items)


def locked(lock: Lock, *things: bytes) -> bytes:
    return document(CATALOG, *things, trailer=lock.trailer)


def test_the_maker() -> None:
    """What the others build upon: honest documents of this maker are read, and nothing is odd about them."""
    lock = Lock()
    file = thing(2, b"<< /Type /Filespec /F %s /EF << /F 3 0 R >> >>" % hexed(lock.rc4(2, b"invoice.exe")))
    found = opened(locked(lock, file, stream(3, lock.rc4(3, EICAR), b"")))
    assert EICAR in contents(found) and found.files["invoice.exe"].also == ()
    lock = Lock(AES)
    found = opened(locked(lock, stream(3, lock.aes(3, flate(EICAR)))))
    assert contents(found) == [EICAR] and found.odd == {"pdf-encrypted-without-password"} and not severe(found)


@pytest.mark.parametrize("head", [b"/Filter /ASCIIHexDecode", b""])
def test_a_dictionary_that_is_not_in_force(head: bytes) -> None:
    """AV-02: it lies in a comment, or in a trailer that a later one replaces; the document is not encrypted at all."""
    lie = b"% trailer << " + Lock().trailer + b" >>\n"
    honest = document(CATALOG, stream(3, ARCHIVE.hex().encode() + b">" if head else ARCHIVE, head))
    assert ARCHIVE in contents(opened(honest + lie)) and walk_file(honest + lie, "a.pdf").facts.matches
    script = thing(2, b"<< /S /JavaScript /JS (app.alert\\050'hello'\\051) >>")
    assert SCRIPT in contents(opened(document(thing(1, b"<< /OpenAction 2 0 R >>"), script) + lie))
    file = opened(attached(EICAR) + lie)
    assert [one for one in file.items if isinstance(one, Member) and "invoice.exe" in (one.name, *one.also)]


HEADS = (
    b"/Type /XRef /W [1 1 1]",
    b"/Type /Metadata",
    b"/Type /EmbeddedFile",
    b"/Filter /Crypt /DecodeParms << /Name /Identity >>",
    b"/Filter [/Crypt] /DecodeParms [<< /Name /Nobody >>]",
    b"/Filter /Crypt /DecodeParms << /Name /Identity >> /DecodeParms << /Name /StdCF >>",
)
FILTERS = (RC4, RC4 + b" /EFF /Identity", RC4.replace(b"/StmF /StdCF", b"/StmF /Identity"))


@pytest.mark.parametrize(("head", "filters"), list(product(HEADS, FILTERS)))
def test_words_about_one_stream(head: bytes, filters: bytes) -> None:
    """AV-02: readers differ in which of them keep a stream from being decrypted, and in which have it decrypted."""
    lock = Lock(filters + b" /EncryptMetadata false")
    for body in (lock.rc4(3, ARCHIVE), ARCHIVE):
        assert ARCHIVE in contents(opened(locked(lock, stream(3, body, head))))


def test_a_crypt_filter_of_nobody() -> None:
    """ENC-07: that of another handler, which one stream names, leads to what is not read here."""
    lock = Lock(RC4.replace(b"/CF << ", b"/CF << /Other << /CFM /Secret >> "))
    body = stream(3, b"x" * 64, b"/Filter /Crypt /DecodeParms << /Name /Other >>")
    assert ENCRYPTED in opened(locked(lock, body)).gaps


DECOYS = (
    b"3 0 obj << /Length %d /A (7 0 obj <<) >>\nstream\n",
    b"3 0 obj << /Length %d /A (endobj 7 0 obj << (\\() >> ) >>\nstream\n",
    b"3 0 obj << /Length %d >> % 7 3 obj\nstream\n",
    b"3 0 obj << /Length %d /A endobj 7 0 obj << >> >>\nstream\n",
    b"3 0 obj << /Length %d /A [endobj 7 0 obj << >> ] >>\nstream\n",
    b"7 0 obj 1 endobj 3.0 0 obj << /Length %d >>\nstream\n",
    b"7 0 obj 1 endobj 3e0 0 obj << /Length %d >>\nstream\n",
    b"7 0 obj 1 endobj 3 % 0\n 0 obj << /Length %d >>\nstream\n",
    b"7 0 obj 1 endobj 3 " + b" " * 50 + b"0 obj << /Length %d >>\nstream\n",
    b"7 0 obj 1 endobj 1" + b"3 ".rjust(40) + b"0 obj << /Length %d >>\nstream\n",
    b"7 0 obj 1 endobj 3 000000 obj << /Length %d >>\nstream\n",
)


@pytest.mark.parametrize("decoy", DECOYS)
def test_which_object_it_is(decoy: bytes) -> None:
    """AV-02: keys depend on the numbers of objects, so it must be beyond doubt where each begins."""
    lock = Lock()
    head = decoy.replace(b"%d", b"%d" % len(ARCHIVE))
    found = opened(locked(lock, head + lock.rc4(3, ARCHIVE) + b"\nendstream\nendobj\n"))
    assert severe(found) or ARCHIVE in contents(found)


@pytest.mark.parametrize("decoy", [one.replace(b"/Length %d", b"/B 1").partition(b">>\nstream")[0] for one in DECOYS])
def test_which_object_a_string_is_of(decoy: bytes) -> None:
    lock = Lock()
    script = b" /S /JavaScript /JS " + hexed(lock.rc4(3, SCRIPT))
    found = opened(locked(lock, decoy.partition(b">>")[0] + script + b" >>\nendobj\n", thing(9, b"null")))
    assert severe(found) or SCRIPT in contents(found)


def test_objects_that_are_beyond_doubt() -> None:
    """Strings with parentheses, comments and arrays are in honest documents, too."""
    lock = Lock()
    odd = thing(5, b"<< /A (a (nested \\) one)) /B <4142> /C [(x) <<>> ] % what (is this\n /D << /E /F >> >>")
    found = opened(locked(lock, odd, stream(3, lock.rc4(3, flate(EICAR)))))
    assert EICAR in contents(found) and not severe(found)


def test_an_encryption_dictionary_of_two_minds() -> None:
    """ENC-07: readers go by the table, or by what comes last: of several objects of one number, or keys said twice."""
    real, decoy = Lock(AES), Lock(RC4)
    body = stream(3, real.aes(3, ARCHIVE), b"")
    once = thing(4, real.dictionary)
    for others, opens in (
        ((), True),
        ((once,) * 6, True),
        ((once,) * 7, False),
        ((thing(4, decoy.dictionary),), False),
    ):
        data = document(CATALOG, once, *others, body, trailer=real.trailer.replace(real.dictionary, b"4 0 R"))
        assert (ARCHIVE in contents(opened(data)) and not severe(opened(data))) is opens
    twice = real.trailer.replace(b"/CFM /AESV2", b"/CFM /AESV2 /CFM /V2")
    assert ENCRYPTED in opened(document(CATALOG, body, trailer=twice)).gaps
    inside = object_stream(8, {4: decoy.dictionary})
    data = document(CATALOG, once, body, inside, trailer=real.trailer.replace(real.dictionary, b"4 0 R"))
    assert ENCRYPTED in opened(data).gaps


def test_a_key_that_no_cipher_takes() -> None:
    """SCAN-09: five octets for AES; it is no fault of ours."""
    lock = Lock(RC4.replace(b"/V2", b"/AESV3"), revision=2)
    assert ENCRYPTED in opened(locked(lock, stream(3, bytes(64), b""))).gaps


def test_a_stream_of_no_object() -> None:
    """SCAN-09: it has a key as any other, and raises nothing."""
    data = document(trailer=Lock().trailer).replace(b"trailer", b"<< /Length 5 >>\nstream\nhello\nendstream\ntrailer")
    assert severe(opened(data))


def test_padding_that_is_none() -> None:
    """AV-02: of AES, readers keep the last octets if they are no padding."""
    lock = Lock(AES)
    body = b"0123456789abcde" + b"X" + b"0123456789abcde\x10"
    found = opened(locked(lock, stream(3, lock.aes(3, body, padded=False), b"")))
    assert body in contents(found)


def _six(user: bytes, owner: bytes, keys: tuple[bytes, bytes]) -> bytes:
    """A dictionary of revision 6 with these two passwords, which lead to these keys."""
    salt = b"12345678"

    def part(password: bytes, key: bytes, more: bytes) -> tuple[bytes, bytes]:
        check = hashed(password, salt, more) + salt + salt
        return check, cbc(hashed(password, salt, more), bytes(16)).encrypt(key)

    said_user, user_key = part(user, keys[0], b"")
    said_owner, owner_key = part(owner, keys[1], said_user)
    entries = said_user, user_key, said_owner, owner_key
    return (
        b"/Encrypt << /Filter /Standard /V 5 /R 6 /Length 256 /P -4 /U %s /UE %s /O %s /OE %s /CF << /StdCF"
        b" << /CFM /AESV3 >> >> /StmF /StdCF /StrF /StdCF >>" % tuple(map(hexed, entries))
    )  # fmt: skip


def test_the_owner_has_no_password() -> None:
    """ENC-07: then readers open it unasked, by what the owner's entry says; if both entries open, they must agree."""
    one, other = hashlib.sha256(b"one").digest(), hashlib.sha256(b"other").digest()
    body = bytes(16) + cbc(other, bytes(16)).encrypt(EICAR.ljust(80, b" "))

    def found(user: bytes, owner: bytes, keys: tuple[bytes, bytes], *words: str) -> Found:
        return opened(document(CATALOG, stream(3, body, b""), trailer=_six(user, owner, keys)), *words)

    assert EICAR.ljust(80, b" ") in contents(found(b"secret", b"", (one, other)))
    assert EICAR.ljust(80, b" ") in contents(found(b"", b"", (other, other)))
    assert EICAR.ljust(80, b" ") in contents(found(b"secret", b"boss", (one, other), "boss"))
    assert ENCRYPTED in found(b"", b"", (one, other)).gaps
    assert ENCRYPTED in found(b"secret", b"boss", (other, other)).gaps


@pytest.mark.parametrize("mark", [b"", b"%P/F-1.7", b"GIF89a", b"\0" * 2000])
def test_a_document_without_its_mark(mark: bytes) -> None:
    """AV-02: Poppler, PDF.js and others open it all the same, by its name or type."""
    data = attached(EICAR).replace(b"%PDF-1.7", mark)
    assert walk_file(data, "a.PDF").facts.matches
    assert not walk_file(b"an obj" + bytes(99), "a.pdf").facts.unscanned


@pytest.mark.parametrize("word", [b"nothing", b"{", b"R", b"2x", b"nothing /Y"])
def test_a_word_that_means_nothing(word: bytes) -> None:
    """AV-02: for most readers it is a value; what follows was taken for that, and the filter for no filter."""
    head = b"/Type /EmbeddedFile /X " + word + b" /Filter /FlateDecode"
    assert EICAR in contents(opened(document(CATALOG, stream(3, flate(EICAR), head))))
    lock = Lock(AES.replace(b"/AuthEvent /DocOpen", b"/AuthEvent " + word))
    found = opened(locked(lock, stream(3, lock.aes(3, ARCHIVE), b"")))
    assert ARCHIVE in contents(found) or severe(found)


@pytest.mark.parametrize("method", [b"", b"/CFM /None", b"/CFM null", b"/CFM (AESV2)", b"/DocOpeFM /AESV2"])
def test_a_crypt_filter_without_a_method(method: bytes) -> None:
    """ENC-07, AV-02: by the specification it leaves all as it is; Poppler decrypts."""
    lock = Lock(AES.replace(b"/CFM /AESV2", method))
    assert ENCRYPTED in opened(locked(lock, stream(3, lock.aes(3, ARCHIVE), b""))).gaps


@pytest.mark.parametrize("form", ["table", "stream", "stream with a predictor"])
@pytest.mark.parametrize("base", [0, 7])
def test_a_table_that_points_into_a_number(form: str, base: int) -> None:
    """AV-02: its reader sees 3 0 obj where 43 0 obj stands, which has another key."""

    def document_with(offset: int) -> bytes:
        row = offset.to_bytes(3, "big")
        rows = b"\2" + bytes(4) + b"\1" + row + b"\0"
        if form == "table":
            table = b"xref\n3 1\n%010d 00000 n \n" % offset
        else:
            predicted = b"".join(b"\0" + rows[at : at + 5] for at in (0, 5)) if "predictor" in form else rows
            said = b" /DecodeParms << /Predictor 12 /Columns 5 >>" if "predictor" in form else b""
            table = stream(9, flate(predicted), b"/Type /XRef /W [1 3 1] /Filter /FlateDecode" + said)
        return b"%" * base + locked(lock, stream(43, lock.rc4(3, ARCHIVE), b""), table)

    lock = Lock()
    at = document_with(0).index(b"43 0 obj") - base
    assert severe(opened(document_with(at + 1)))
    assert not severe(opened(document_with(at)))


@pytest.mark.parametrize(
    "head",
    [b"/F /FlateDecode", b"/F [/Fl]", b"/X 9 << /Filter /FlateDecode", b"/X 9 << /Y << /Z 1 >> /Filter /FlateDecode",
     b"[Nothing 293 /Filter /FlateDecode", b"/F /FlateDecode /Filter null"],
)  # fmt: skip
def test_a_filter_that_only_readers_find(head: bytes) -> None:
    """AV-02: by its short name, or behind the mark of a container where a key should be, which Poppler and PDF.js pass
    over. The packed octets were matched only."""
    packed = stream(3, flate(EICAR), b"/Type /EmbeddedFile " + head)
    assert EICAR in contents(opened(document(CATALOG, packed)))


def test_a_file_outside_is_no_filter() -> None:
    found = opened(document(CATALOG, stream(3, EICAR, b"/Type /EmbeddedFile /F (other.bin)")))
    assert EICAR in contents(found) and found.odd == {"pdf-embedded-file"}


@pytest.mark.parametrize(("before", "unit", "behind"), [(b"", b"%", b""), (b"(", b"\\(", b"("), (b"(", b"a\\(", b"")])
def test_what_is_never_closed_costs_no_more_than_its_length(before: bytes, unit: bytes, behind: bytes) -> None:
    """PROC-23: each mark was looked for the end of anew: a minute for 100 KB, hours for this."""
    body = b"5 0 obj\n" + before + unit * (600_000 // len(unit)) + behind
    data = document(CATALOG, body + b" 7 0 obj null endobj\n", trailer=Lock().trailer)
    assert severe(opened(data))
