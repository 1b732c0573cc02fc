"""The certificate that is made at the first start."""

import ssl
import stat
import threading
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from engine.smtp.tls import CERTIFICATE, KEY, server_context


def read(directory: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate((directory / CERTIFICATE).read_bytes())


def test_a_certificate_is_made_and_kept(tmp_path: Path) -> None:
    context = server_context(tmp_path, "gate.example")
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    made = read(tmp_path)
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["gate.example"]
    public = made.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey) and public.curve.name == "secp256r1"
    assert stat.S_IMODE((tmp_path / KEY).stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == [CERTIFICATE, KEY]
    server_context(tmp_path, "other.example")
    assert read(tmp_path) == made


def test_an_address_is_named_as_one(tmp_path: Path) -> None:
    server_context(tmp_path, "2001:db8::1")
    names = read(tmp_path).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name) for name in names.get_values_for_type(x509.IPAddress)] == ["2001:db8::1"]


def test_a_long_hostname(tmp_path: Path) -> None:
    server_context(tmp_path, ".".join(["a" * 60] * 3))


def test_relays_that_start_together_agree(tmp_path: Path) -> None:
    threads = [threading.Thread(target=server_context, args=(tmp_path, "gate.example")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    server_context(tmp_path, "gate.example")
    assert sorted(path.name for path in tmp_path.iterdir()) == [CERTIFICATE, KEY]


def test_a_key_that_does_not_fit_is_told(tmp_path: Path) -> None:
    server_context(tmp_path, "gate.example")
    (tmp_path / "other").mkdir()
    server_context(tmp_path / "other", "gate.example")
    (tmp_path / "other" / KEY).replace(tmp_path / KEY)
    with pytest.raises(ssl.SSLError):
        server_context(tmp_path, "gate.example")


def test_a_certificate_is_made_for_the_key_that_is_there(tmp_path: Path) -> None:
    server_context(tmp_path, "gate.example")
    key = (tmp_path / KEY).read_bytes()
    (tmp_path / CERTIFICATE).unlink()
    server_context(tmp_path, "gate.example")
    assert (tmp_path / KEY).read_bytes() == key
