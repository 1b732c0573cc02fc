"""Encrypted PDFs as qpdf writes them, in all revisions of the standard security handler."""

import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from bench.growth_locked import TRAILER
from engine.scan.formats.item import Member, Odd, Opened
from engine.scan.formats.pdf import members
from engine.scan.keyring import Keyring
from tests.engine.scan.formats.pdf_material import document, flate, stream, thing
from tests.engine.scan.formats.rooms import Found, Room
from tests.engine.scan.material import EICAR, walk_file

WAYS = {
    "rc4-40": ("--allow-weak-crypto", "40"),
    "rc4-128": ("--allow-weak-crypto", "128"),
    "aes-128": ("--allow-weak-crypto", "128", "--use-aes=y"),
    "metadata in the clear": ("--allow-weak-crypto", "128", "--use-aes=y", "--cleartext-metadata"),
    "aes-256 of Acrobat 9": ("--allow-weak-crypto", "256", "--force-R5"),
    "aes-256": ("256",),
}
PLAIN = document(
    thing(1, b"<< /Type /Catalog /Pages 4 0 R /Names << /EmbeddedFiles << /Names [(a) 2 0 R] >> >>"
          b" /OpenAction << /S /JavaScript /JS (app.alert\\(1\\)) >> >>"),
    thing(2, b"<< /Type /Filespec /F (invoice.exe) /EF << /F 3 0 R >> >>"),
    stream(3, flate(EICAR), b"/Type /EmbeddedFile /Filter /FlateDecode"),
    thing(4, b"<< /Type /Pages /Count 1 /Kids [5 0 R] >>"),
    thing(5, b"<< /Type /Page /Parent 4 0 R /MediaBox [0 0 9 9] /Contents [6 0 R 7 0 R] >>"),
    stream(6, flate(b"BT (seen) Tj ET")),
    stream(7, b""),
)  # fmt: skip


@cache
def encrypted(way: str, user: str = "", objects: str = "preserve") -> bytes:
    weak, *options = WAYS[way] if WAYS[way][0].startswith("--") else ("", *WAYS[way])
    with TemporaryDirectory() as folder:
        plain, out = Path(folder, "a.pdf"), Path(folder, "b.pdf")
        plain.write_bytes(PLAIN)
        command = ["qpdf", f"--object-streams={objects}", "--warning-exit-0", *filter(None, [weak])]
        command += ["--encrypt", user, "owner", *options, "--", str(plain), str(out)]
        subprocess.run(command, check=True, capture_output=True)
        return out.read_bytes()


def opened(buf: bytes, *words: str) -> Found:
    room = Room()
    room.keyring = Keyring(words)
    return Found(members, buf, room)


def contents(found: Found) -> list[bytes]:
    """Of all members: by chance, a stream has octets in a further reading too, under the same name."""
    return [bytes(one.data) for one in found.items if isinstance(one, Member)]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("objects", ["disable", "generate"])
def test_what_opens_without_a_password_is_read(way: str, objects: str) -> None:
    """ENC-07, SCAN-07: as every reader does, whatever the settings say; nobody needs a password, so it is not
    encrypted. Streams in which there is nothing are no damage."""
    found = opened(encrypted(way, "", objects))
    assert found.files["invoice.exe"] and {EICAR, b"app.alert(1)"} <= set(contents(found))
    assert any(b"(seen) Tj" in one for one in contents(found))
    assert not found.gaps and not found.unread
    assert {"pdf-encrypted-without-password", "pdf-embedded-file", "pdf-javascript"} <= found.odd
    assert "pdf-stream-damaged" not in found.odd


@pytest.mark.parametrize("way", WAYS)
def test_a_password(way: str) -> None:
    """ENC-01, ENC-07: one that fits opens it; without it the document is encrypted."""
    data = encrypted(way, "Secret7")
    assert EICAR in contents(opened(data, "wrong", "Secret7"))
    assert any(isinstance(one, Opened) for one in opened(data, "Secret7").items)
    for closed in (opened(data), opened(data, "wrong", "secret7")):
        assert closed.gaps == [("encrypted", "pdf")] and "invoice.exe" not in closed.files


def test_in_the_walk() -> None:
    """ENC-07: infected is infected, and what nobody has to open is no encrypted container."""
    walk = walk_file(encrypted("aes-256"), "a.pdf")
    assert [one.name for one in walk.facts.matches] and not walk.root.encrypted and not walk.facts.unscanned
    assert walk_file(encrypted("aes-256", "x"), "a.pdf").root.encrypted


def test_two_encryption_dictionaries_stay_closed() -> None:
    """A reader may take either: what only one of them decrypts must not pass as read."""
    data = encrypted("aes-128", "", "disable")
    other = data + b"\ntrailer << /Encrypt << /Filter /Standard /V 1 /R 2 /O (x) /U (y) /P -4 >> >>\n%%EOF\n"
    assert ("encrypted", "pdf") in opened(other).gaps


def test_an_encryption_dictionary_behind_a_name_with_escapes() -> None:
    data = encrypted("aes-128", "", "disable").replace(b"/Encrypt", b"/#45ncrypt")
    assert ("encrypted", "pdf") in opened(data).gaps


def test_damage_is_severe_in_what_was_decrypted() -> None:
    """Octets that a key of ours does not make sense of may make sense with a reader's."""
    data = encrypted("rc4-128", "", "disable")
    at = data.index(b"/EmbeddedFile")
    at = data.index(b"stream", at) + len(b"stream\n")
    broken = data[:at] + bytes(octet ^ 0xA5 for octet in data[at : at + 50]) + data[at + 50 :]
    assert Odd("pdf-stream-damaged", True) in opened(broken).items


@pytest.mark.parametrize("way", ["rc4-128", "aes-256"])
def test_what_is_decrypted_has_to_fit_into_the_room(way: str) -> None:
    """CONT-11: where it does not, the document was not examined; nothing is held beyond."""
    found = Found(members, encrypted(way, "", "disable"), Room(octets=40))
    assert ("limit", "work for one PDF") in found.gaps and "invoice.exe" not in found.files


def test_trailers_by_one() -> None:
    """pdf._ENCRYPTS are looked at; a dictionary behind them was not compared, so all stays closed."""
    data = encrypted("rc4-128", "", "disable")
    lock = b"trailer << /Encrypt << /Filter /Standard /V 1 /R 2 /O (x) /U (y) /P -4 >> >>\n"
    same = data[data.rindex(b"/Encrypt") :].split(b" /", 1)[0].split(b" >>")[0]
    assert EICAR in contents(opened(data + b"trailer << " + same + b" >>\n" * 1))
    more = data + (b"trailer << " + same + b" >>\n") * 63
    assert EICAR in contents(opened(more))
    assert ("encrypted", "pdf") in opened(more + lock).gaps


def test_identifiers_by_one() -> None:
    """pdf._IDS besides the one that counts are tried."""
    data = encrypted("rc4-128", "", "disable")
    for others, opens in ((4, True), (5, False)):
        more = b"".join(b"trailer << /ID [(%d) (x)] >>\n" % number for number in range(others))
        assert ("invoice.exe" in opened(data + more).files) is opens


def test_strings_outside_of_objects() -> None:
    """SCAN-07: they have no number of which a key could be made, which must not lead into an error."""
    found = opened(document(trailer=TRAILER) + b"trailer\n<< /JS (words) " + TRAILER + b">>\n")
    assert not found.refused and "pdf-javascript" in found.odd
