"""OpenPGP in armor: encrypted messages are a finding, signed ones are opened (ENC-06)."""

import base64
import bz2
import tracemalloc
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config import ContainerLimits
from engine.scan.facts import Cause, Verdict
from engine.scan.formats import openpgp
from engine.scan.formats.item import Gap, Item, Member, Odd
from engine.scan.walk import Walker
from tests.engine.scan.formats.rooms import Room as FoundRoom
from tests.engine.scan.formats.test_pkcs7 import Room
from tests.engine.scan.material import EICAR, Clock, Matcher, kinds, message, walk


def opened(buf: bytes, octets: int = 1 << 20) -> list[Item]:
    return list(openpgp.messages(buf, Room(octets)))


def packet(tag: int, body: bytes) -> bytes:
    return bytes([0xC0 | tag, 255]) + len(body).to_bytes(4, "big") + body


def old_packet(tag: int, body: bytes) -> bytes:
    return bytes([0x82 | tag << 2]) + len(body).to_bytes(4, "big") + body


def literal(content: bytes, name: bytes = b"a.txt") -> bytes:
    return packet(11, b"b" + bytes([len(name)]) + name + bytes(4) + content)


def armored(packets: bytes, head: bytes = b"Version: x\n", check: bytes = b"=abcd\n") -> bytes:
    body = base64.encodebytes(packets)
    return b"-----BEGIN PGP MESSAGE-----\n" + head + b"\n" + body + check + b"-----END PGP MESSAGE-----\n"


def compressed(kind: int, content: bytes) -> bytes:
    packers = {0: bytes, 1: lambda data: zlib.compress(data)[2:-4], 2: zlib.compress, 3: bz2.compress}
    return packet(8, bytes([kind]) + packers[kind](content))


@pytest.mark.parametrize("tag", [1, 3, 9, 18, 20])
@pytest.mark.parametrize("form", [packet, old_packet])
def test_encrypted_messages_are_told(tag: int, form: object) -> None:
    if tag > 15 and form is old_packet:
        return
    assert callable(form)
    assert opened(b"words\n" + armored(form(tag, b"secret"))) == [Odd("pgp-encrypted")]


def test_a_session_key_hides_nothing() -> None:
    assert opened(armored(packet(1, b"key") + literal(EICAR))) == [Odd("pgp-encrypted"), Member("a.txt", EICAR)]


def test_encrypted_mail_is_a_finding_and_by_option_a_closed_container() -> None:
    data = message(armored(packet(1, b"key") + packet(18, b"data")).decode())
    found = walk(data)
    assert kinds(found) == ["pgp-encrypted"] and found.facts.verdict is Verdict.CLEAN
    strict = Walker(Matcher(), ContainerLimits(), end_to_end=True, clock=Clock()).walk_message(data)
    assert [one.cause for one in strict.facts.unscanned] == [Cause.ENCRYPTED]
    whole = b"Content-Type: multipart/encrypted; boundary=b\r\n\r\n--b\r\n\r\nVersion: 1\r\n--b--\r\n"
    assert kinds(walk(whole)) == ["pgp-encrypted"]


@pytest.mark.parametrize("kind", [0, 1, 2, 3])
def test_signed_messages_are_opened(kind: int) -> None:
    content = packet(4, b"one pass") + literal(EICAR) + packet(2, b"signature")
    assert opened(armored(compressed(kind, content))) == [Member("a.txt", EICAR)]
    assert opened(armored(content)) == [Member("a.txt", EICAR)]
    assert walk(message(armored(compressed(kind, content)).decode())).facts.matches[0].part == "1/a.txt"


def test_partial_lengths_and_missing_ends() -> None:
    body = b"b\0" + bytes(4) + b"x" * 600
    partial = bytes([0xCB, 224 + 9]) + body[:512] + bytes([len(body) - 512]) + body[512:]
    assert opened(armored(partial)) == [Member("", b"x" * 600)]
    open_end = armored(literal(b"content"), b"", b"")
    assert opened(open_end[: open_end.index(b"-----END")]) == [Member("a.txt", b"content")]
    assert opened(armored(literal(b"content"), check=b"").replace(b"\n", b"\r\n")) == [Member("a.txt", b"content")]


def test_very_many_pieces_of_a_body() -> None:
    """CONT-07, CONT-11: time is asked for, and no more is held than what they make."""
    count = 100_000
    body = b"b\0" + bytes(4) + b"x" * count
    partial = b"\xcb" + b"".join(b"\xe0%c" % octet for octet in body[:-1]) + b"\x01" + body[-1:]
    data = armored(partial)
    room = FoundRoom()
    tracemalloc.start()
    try:
        (one,) = openpgp.messages(data, room)
        assert isinstance(one, Member) and one.data == b"x" * count
        assert room.looks > count // 5000 and tracemalloc.get_traced_memory()[1] < 20 * count
    finally:
        tracemalloc.stop()


def test_what_only_looks_like_one_is_text() -> None:
    assert opened(b"> -----BEGIN PGP MESSAGE-----\n\nabc\n") == []
    assert opened(b"-----BEGIN PGP MESSAGE-----\n\nnothing of the kind\n") == [Odd("pgp-message-broken")]
    assert opened(b"-----BEGIN PGP SIGNED MESSAGE-----\n\nwords\n-----BEGIN PGP SIGNATURE-----\n") == []


def test_limits() -> None:
    deep = literal(b"x")
    for number in range(openpgp.DEPTH + 1):
        assert (Member("a.txt", b"x") in opened(armored(deep))) is (number <= openpgp.DEPTH)
        deep = compressed(2, deep)
    assert any(isinstance(item, Gap) and item.cause is Cause.LIMIT for item in opened(armored(deep)))
    assert opened(armored(literal(b"12345")), 4) == [Member("a.txt", b"1234", over=True)]
    assert any(isinstance(item, Gap) for item in opened(armored(compressed(1, literal(bytes(9999)))), 100))
    many = armored(literal(b"x"))
    assert Odd("pgp-too-many-messages", True) not in opened(many * openpgp.MESSAGES)
    assert Odd("pgp-too-many-messages", True) in opened(many * (openpgp.MESSAGES + 1))
    for more in (0, 1):
        told = opened(armored(packet(10, b"") * (openpgp.PACKETS + more)))
        assert told == [Gap(Cause.LIMIT, f"{openpgp.PACKETS} OpenPGP packets")] * more
        inner = compressed(1, packet(10, b"") * (openpgp.PACKETS - 2))  # all layers share what there is
        told = opened(armored(inner + packet(10, b"") * (1 + more)))
        assert told == [Gap(Cause.LIMIT, f"{openpgp.PACKETS} OpenPGP packets")] * more


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_packets_never_raise(packets: bytes) -> None:
    opened(armored(packets))
    opened(b"-----BEGIN PGP MESSAGE-----\n" + packets)
