"""TLSA records and the certificates of servers: whatever they hold, the answer is a reason, and none fits by chance."""

import datetime
import hashlib
from typing import Any, Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from engine.delivery.security.dane import RECORDS, Tlsas, refusal, usable


class Record(NamedTuple):
    """As dnspython has it."""

    usage: int
    selector: int
    mtype: int
    cert: bytes


def _certificate() -> bytes:
    key = ec.derive_private_key(5, ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mx.example")])
    begin = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(begin).not_valid_after(begin + datetime.timedelta(days=36_500))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("mx.example")]), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


DER: Final = _certificate()
SEEDS: Final = [
    b"\3\0\0" + DER,
    b"\2\0\0" + DER,
    b"\3\1\1" + bytes(32),
    b"\2\1\2" + bytes(64),
    b"\3\0\1" + hashlib.sha256(DER).digest(),
]


def one_input(data: bytes) -> None:
    numbers, octets = (data + bytes(3))[:3], data[3:]
    record: Any = Record(numbers[0] & 7, numbers[1] & 3, numbers[2] & 3, octets)
    records = usable([record] * (RECORDS + 1))
    assert len(records) <= 1
    chain = [octets, DER] if octets else []
    for shown in (chain, [DER, octets], [DER]):
        reason = refusal(shown, Tlsas("mx.example", records), ["mx.example"])
        assert isinstance(reason, str)
        if not records or not shown:
            assert reason
