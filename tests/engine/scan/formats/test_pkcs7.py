"""S/MIME objects: signed mail is opened, encrypted mail a finding, and a closed container by option (ENC-06)."""

import datetime
import time
import zlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs7 as cms
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config import ContainerLimits
from engine.scan import magic
from engine.scan.facts import Cause, Verdict
from engine.scan.formats import pkcs7
from engine.scan.formats.item import Gap, Item, Member, NotThis
from engine.scan.keyring import Keyring
from engine.scan.walk import Walker
from tests.engine.scan.formats.rooms import within
from tests.engine.scan.material import EICAR, Clock, Matcher, kinds, paths, walk

ENTITY = b"Content-Type: text/plain\r\n\r\n" + EICAR + b"\r\n"


class Room:
    def __init__(self, octets: int = 1 << 20) -> None:
        self.octets = octets
        self.keyring = Keyring()

    def room(self, window: int = 0) -> int:
        return self.octets

    def keep(self, octets: int) -> None:
        pass

    def check_time(self) -> None:
        pass


def opened(buf: bytes, octets: int = 1 << 20) -> list[Item]:
    try:
        return list(pkcs7.members(buf, Room(octets)))
    except NotThis:
        return []


@pytest.fixture(scope="module")
def identity() -> tuple[rsa.RSAPrivateKey, x509.Certificate]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    day = datetime.datetime(2026, 1, 1)
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    built = built.serial_number(1).not_valid_before(day).not_valid_after(day + datetime.timedelta(days=9999))
    return key, built.sign(key, hashes.SHA256())


Identity = tuple[rsa.RSAPrivateKey, x509.Certificate]


def signed(identity: Identity, content: bytes, *options: cms.PKCS7Options) -> bytes:
    key, certificate = identity
    builder = cms.PKCS7SignatureBuilder().set_data(content).add_signer(certificate, key, hashes.SHA256())
    return builder.sign(serialization.Encoding.DER, [cms.PKCS7Options.Binary, *options])


def element(tag: int, content: bytes) -> bytes:
    length = len(content)
    size = bytes([length]) if length < 128 else b"\x84" + length.to_bytes(4, "big")
    return bytes([tag]) + size + content


def info(oid: str, content: bytes) -> bytes:
    return element(0x30, element(6, bytes.fromhex(oid)) + element(0xA0, content))


def inner(octets: bytes) -> bytes:
    """SignedData or CompressedData up to its content; octets: the OCTET STRING."""
    encap = element(0x30, element(6, bytes.fromhex("2a864886f70d010701")) + element(0xA0, octets))
    return element(0x30, element(2, b"\1") + element(0x31, b"") + encap)


SIGNED = "2a864886f70d010702"


def attached(octets: bytes) -> bytes:
    return (
        b'Content-Type: application/pkcs7-mime; name="smime.p7m"\r\nContent-Transfer-Encoding: binary\r\n\r\n' + octets
    )


def test_opaque_signed_mail_is_opened(identity: Identity) -> None:
    data = signed(identity, ENTITY)
    assert magic.identify(data, 0, len(data)) == "pkcs7"
    assert opened(data) == [Member("smime", ENTITY, stream=True, mime=True)]
    found = walk(attached(data))
    assert paths(found) == ["1", "1/smime.p7m/smime", "1/smime.p7m/smime/1"]
    assert found.facts.matches[0].part == "1/smime.p7m/smime/1"


def test_detached_signatures_hold_nothing_and_are_clean(identity: Identity) -> None:
    data = signed(identity, ENTITY, cms.PKCS7Options.DetachedSignature)
    assert opened(data) == []
    assert walk(attached(data)).facts.verdict is Verdict.CLEAN


def test_encrypted_mail_is_a_finding_and_by_option_a_closed_container(identity: Identity) -> None:
    builder = cms.PKCS7EnvelopeBuilder().set_data(ENTITY).add_recipient(identity[1])
    data = attached(builder.encrypt(serialization.Encoding.DER, [cms.PKCS7Options.Binary]))
    found = walk(data)
    assert kinds(found) == ["smime-encrypted"] and found.facts.verdict is Verdict.CLEAN
    strict = Walker(Matcher(), ContainerLimits(), end_to_end=True, clock=Clock()).walk_message(data)
    assert [one.cause for one in strict.facts.unscanned] == [Cause.ENCRYPTED]


def test_octet_strings_in_pieces_as_streaming_writers_make_them() -> None:
    pieces = element(4, ENTITY[:10]) + element(4, ENTITY[10:])
    for octets in (b"\x24\x80" + pieces + b"\0\0", element(0x24, pieces), element(0x24, element(0x24, pieces))):
        assert opened(info(SIGNED, inner(octets))) == [Member("smime", ENTITY, stream=True, mime=True)]
    definite = info(SIGNED, inner(b"\x24\x80" + pieces + b"\0\0"))
    indefinite = b"\x30\x80" + definite[definite.index(b"\x06\x09") :] + b"\0\0"
    assert magic.identify(indefinite, 0, len(indefinite)) == "pkcs7"
    assert len(opened(indefinite)) == 1


def test_compressed_mail_is_unpacked() -> None:
    data = info("2a864886f70d0109100109", inner(element(4, zlib.compress(ENTITY))).replace(b"\x31\0", b"\x30\0"))
    assert opened(data) == [Member("smime", ENTITY, stream=True, mime=True)]
    cut = opened(data, 20)
    assert cut == [Member("smime", ENTITY[:20], over=True, complete=False, stream=True, mime=True)]


def test_limits_on_size_and_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = info(SIGNED, inner(element(4, ENTITY)))
    assert opened(whole, len(ENTITY))[0] == Member("smime", ENTITY, stream=True, mime=True)
    assert within(opened(whole)[0], len(ENTITY) - 1) == Member("smime", ENTITY[:-1], over=True, stream=True, mime=True)
    monkeypatch.setattr(pkcs7, "PIECES", 5)
    pieces = [element(4, b"x")] * 4
    for count, complete in ((3, True), (4, False)):
        (member,) = opened(info(SIGNED, inner(b"\x24\x80" + b"".join(pieces[:count]) + b"\0\0")))
        assert isinstance(member, Member) and member.complete is complete


def test_damage_is_told_or_refused(identity: Identity) -> None:
    data = signed(identity, ENTITY)
    for end in range(0, data.index(EICAR), 3):
        for item in opened(data[:end]):
            assert isinstance(item, Gap) or (isinstance(item, Member) and not item.complete)
    assert walk(attached(data[: data.index(EICAR) + 20])).facts.verdict is Verdict.UNSCANNED


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 60))
def test_changed_octets_never_raise(noise: bytes, at: int) -> None:
    data = info(SIGNED, inner(b"\x24\x80" + element(4, b"content") + b"\0\0"))
    begun = time.process_time()
    opened(data[:at] + noise + data[at + 1 :])
    assert time.process_time() - begun < 10
