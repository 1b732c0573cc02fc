"""Encrypted archives in mail that says the password."""

import io
from collections.abc import Sequence
from email.message import EmailMessage

import pytest
import pyzipper

from engine.config import Antivirus, ContainerLimits
from engine.scan.facts import Cause, Verdict
from engine.scan.node import Node
from engine.scan.walk import Walk, Walker
from engine.scan.zip_crypt import Locked
from engine.scan.zip_file import Entry
from tests.engine.scan.material import EICAR, VIRUS, Clock, Matcher
from tests.oracles.zipcrypto import zipped_with_password

USUAL = Antivirus().usual_passwords
PASSWORD = "Xy-4711"


def aes(members: dict[str, bytes], password: str = PASSWORD, bits: int = 256, version: int = 2) -> bytes:
    out = io.BytesIO()
    with pyzipper.AESZipFile(out, "w", compression=pyzipper.ZIP_DEFLATED, encryption=pyzipper.WZ_AES) as archive:
        archive.setpassword(password.encode())
        archive.setencryption(pyzipper.WZ_AES, nbits=bits, force_wz_aes_version=version)
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def old(members: dict[str, bytes], password: str = PASSWORD) -> bytes:
    return zipped_with_password(members, password.encode())


def mail(attachment: bytes, text: str = "", name: str = "a.zip", before: bool = True, subject: str = "x") -> bytes:
    """before: the text stands before the attachment."""
    message = EmailMessage()
    message["Subject"] = subject
    words = EmailMessage()
    words.set_content(text or f"Hello,\nthe password is: {PASSWORD}\n")
    file = EmailMessage()
    file.set_content(attachment, maintype="application", subtype="zip", filename=name)
    message.make_mixed()
    for one in (words, file) if before else (file, words):
        message.attach(one)
    return message.as_bytes()


def walk(data: bytes, words: Sequence[str] | None = USUAL) -> Walk:
    return Walker(Matcher(), ContainerLimits(), digests=True, passwords=words, clock=Clock()).walk_message(data)


def attached(found: Walk) -> Node:
    return next(node for node in found.root.everything() if node.name == "a.zip")


@pytest.mark.parametrize(
    ("charset", "text", "password"),
    [
        ("koi8-r", "Пароль: кот2024", "кот2024"),
        ("windows-1251", "Пароль: кот2024", "кот2024"),
        ("iso-2022-jp", "パスワード：密abcd1", "密abcd1"),
        ("gb18030", "密码：hello钥9", "hello钥9"),
        ("utf-16-le", "Password: wide9", "wide9"),
        ("iso-8859-2", "Heslo: žluť9", "žluť9"),
    ],
)
def test_in_the_charset_that_the_part_declares(charset: str, text: str, password: str) -> None:
    """ENC-01."""
    words, file = EmailMessage(), EmailMessage()
    words.set_content(text.encode(charset), maintype="text", subtype="plain", params={"charset": charset})
    file.set_content(aes({"e.com": EICAR}, password), maintype="application", subtype="zip", filename="a.zip")
    whole = EmailMessage()
    whole.make_mixed()
    whole.attach(words)
    whole.attach(file)
    assert walk(whole.as_bytes(), ()).facts.verdict is Verdict.INFECTED


ARCHIVES = {
    "zipcrypto": old({"a.txt": b"words", "b.com": EICAR}),
    "aes-128": aes({"a.txt": b"words", "b.com": EICAR}, bits=128),
    "aes-192, with crc": aes({"a.txt": b"words", "b.com": EICAR}, bits=192, version=1),
    "aes-256": aes({"a.txt": b"words", "b.com": EICAR}),
}


@pytest.mark.parametrize("kind", ARCHIVES)
@pytest.mark.parametrize("before", [True, False])
def test_what_the_mail_says_opens_it(kind: str, before: bool) -> None:
    """ENC-01: members are examined as any other, wherever the password stands; it still is an encrypted archive."""
    found = walk(mail(ARCHIVES[kind], before=before))
    assert [(one.name, one.part.rpartition("/")[2]) for one in found.facts.matches] == [(VIRUS, "b.com")]
    assert not found.facts.unscanned
    assert attached(found).encrypted
    assert {one.part.rpartition("/")[2] for one in found.facts.parts if one.opened} == {"a.txt", "b.com"}
    assert {one.kind for one in found.facts.findings} == {"opened-with-password"}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_it_is_off_unless_asked_for(kind: str) -> None:
    """ENC-01: and then an encrypted archive is what it was: closed, with its names."""
    found = walk(mail(ARCHIVES[kind]), None)
    assert {(one.cause, one.detail) for one in found.facts.unscanned} == {(Cause.ENCRYPTED, "zip")}
    assert found.facts.verdict is Verdict.UNSCANNED and attached(found).encrypted
    assert not Antivirus().try_passwords


@pytest.mark.parametrize("kind", ARCHIVES)
def test_a_password_that_is_not_said(kind: str) -> None:
    found = walk(mail(ARCHIVES[kind], "I tell you by telephone."))
    assert {(one.cause, one.detail) for one in found.facts.unscanned} == {(Cause.ENCRYPTED, "zip")}
    assert not any(one.opened for one in found.facts.parts)


def test_the_usual_ones_names_and_subjects() -> None:
    assert walk(mail(old({"b.com": EICAR}, "infected"), "see there")).facts.matches
    assert walk(mail(old({"b.com": EICAR}, "zz7788"), "see there", subject="file (zz7788)")).facts.matches
    assert walk(mail(old({"b.com": EICAR}, "zz7788"), "see there", name="a_zz7788.zip")).facts.matches


def test_members_with_passwords_of_their_own() -> None:
    one, other = old({"b.com": EICAR}, "first1"), aes({"c.com": EICAR}, "second2")
    inner = old({"one.zip": one, "other.zip": other}, "outer0")
    found = walk(mail(inner, "Passwords: outer0, first1 and second2."))
    assert len(found.facts.matches) == 2 and not found.facts.unscanned


def test_extra_fields_by_one() -> None:
    """zip_crypt._EXTRA_FIELDS are looked at for the one of AES; behind more of them it is not looked for."""
    field = bytes.fromhex("019907000200414503 0800".replace(" ", ""))
    for others, found in ((63, 8), (64, -1)):
        extra = bytes.fromhex("feca0000") * others + field
        buf = bytes(30) + extra + bytes(40)
        assert Locked(buf, Entry(b"", 1, 99, 0, 40, 9, 0, 30 + len(extra))).method == found


def test_damage_behind_the_password() -> None:
    """What does not have its checksum was not opened, whatever the password was."""
    octets = bytearray(ARCHIVES["zipcrypto"])
    at = octets.index(b"b.com") + 5 + 20
    octets[at] ^= 0xFF
    found = walk(mail(bytes(octets)))
    assert not found.facts.matches
    assert [one.cause for one in found.facts.unscanned] == [Cause.ENCRYPTED]


@pytest.mark.parametrize("last", [False, True])
def test_how_it_is_packed_is_said_twice(last: bool) -> None:
    """AV-02: before the data and in the directory; readers go by either. What is packed was examined as it lies."""
    octets = bytearray(ARCHIVES["aes-256"])
    field = b"\x01\x99\x07\0\x02\0AE\x03\x08\0"
    octets[(octets.rindex(field) if last else octets.index(field)) + 9] = 0
    found = walk(mail(bytes(octets)))
    assert [one.cause for one in found.facts.unscanned] == [Cause.ENCRYPTED]
    extra = field + field[:-2] + b"\0\0"
    twice = Entry(b"", 1, 99, 0, 40, 9, 0, 30 + len(extra))
    assert Locked(bytes(30) + extra + bytes(60), twice).method == -1
