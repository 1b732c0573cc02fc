"""The certificate that is made at the first start, and the file that holds it."""

import ssl
import stat
import threading
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from engine.certificate import FILE_NAME, Source, composed, context_of, origin_of, own_names, put, server_context
from engine.config import Settings, Smtp, Web


def read(directory: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate((directory / FILE_NAME).read_bytes())


def names_of(made: x509.Certificate) -> list[str]:
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]


def test_a_certificate_is_made_and_kept(tmp_path: Path) -> None:
    context = server_context(tmp_path, "gate.example", "www.gate.example")
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    made = read(tmp_path)
    assert names_of(made) == ["gate.example", "www.gate.example"]
    public = made.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey) and public.curve.name == "secp256r1"
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]
    origin = origin_of((tmp_path / FILE_NAME).read_bytes())
    assert origin is not None
    assert origin.source is Source.SELF_MADE
    assert origin.key_made == origin.installed
    server_context(tmp_path, "other.example")
    assert read(tmp_path) == made


def test_an_address_is_named_as_one(tmp_path: Path) -> None:
    server_context(tmp_path, "2001:db8::1")
    assert names_of(read(tmp_path)) == ["2001:db8::1"]


def test_a_long_hostname(tmp_path: Path) -> None:
    server_context(tmp_path, ".".join(["a" * 60] * 3))


def test_a_name_beyond_ascii_is_named_by_its_a_label(tmp_path: Path) -> None:
    server_context(tmp_path, "bücher.example")
    assert names_of(read(tmp_path)) == ["xn--bcher-kva.example"]


def test_it_is_made_for_all_names_of_the_gateway(tmp_path: Path) -> None:
    settings = Settings(smtp=Smtp(hostname="gate.example"), web=Web(names=("pages.example",)))
    server_context(tmp_path, *own_names(settings))
    assert names_of(read(tmp_path)) == ["gate.example", "pages.example", "localhost"]


def test_relays_that_start_together_agree(tmp_path: Path) -> None:
    threads = [threading.Thread(target=server_context, args=(tmp_path, "gate.example")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_a_key_that_does_not_fit_is_told(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        server_context(tmp_path / name, "gate.example")
    end = b"-----END PRIVATE KEY-----\n"
    one, other = ((tmp_path / name / FILE_NAME).read_bytes().split(end) for name in ("one", "other"))
    mixed = tmp_path / FILE_NAME
    mixed.write_bytes(one[0] + end + other[1])
    with pytest.raises(ssl.SSLError):
        context_of(mixed)


def test_a_file_without_first_lines_of_ours_has_no_known_origin(tmp_path: Path) -> None:
    server_context(tmp_path, "gate.example")
    content = (tmp_path / FILE_NAME).read_bytes()
    bare = content[content.index(b"-----BEGIN") :]
    assert origin_of(bare) is None
    assert origin_of(b"") is None
    assert origin_of(b"source: elsewhere\nkey_made: 1\ninstalled: 1\n") is None
    origin = origin_of(content)
    assert origin is not None
    assert composed(origin, b"", bare) == content


def test_what_is_put_is_private_and_nothing_else_is_left(tmp_path: Path) -> None:
    """CERT-04"""
    path = tmp_path / FILE_NAME
    path.write_bytes(b"before")
    path.chmod(0o644)
    put(path, b"after")
    assert path.read_bytes() == b"after"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == [FILE_NAME]
    blocked = tmp_path / "blocked"
    (blocked / "full").mkdir(parents=True)
    with pytest.raises(OSError):
        put(blocked, b"x")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["blocked", FILE_NAME]
