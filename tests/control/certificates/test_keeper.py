"""Request, installation and restoring: one change at a time, and every error leaves what is in force."""

import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, load_pem_private_key, pkcs12

from control.certificates import keeper as files
from control.certificates.keeper import Keeper
from control.certificates.material import Unfit
from control.certificates.request import Fields, KeyKind
from engine import certificate
from engine.certificate import Source
from engine.layout import Layout
from tests.control.certificates.authority import Authority, new_key, pem, root
from tests.control.certificates.conftest import SETTINGS

FIELDS = Fields("gate.example.com", "Example Ltd", state="Devon", country="GB")
NAMES = ("gate.example.com", "pages.example.com")


def answer(authority: Authority, keeper: Keeper) -> bytes:
    """What the authority sends back to the request that waits."""
    waiting = keeper.waiting()
    assert waiting is not None
    asked = x509.load_pem_x509_csr(waiting.pem.encode())
    return pem(authority.issue(asked.public_key(), *waiting.names), authority.certificate)


def refusal(keeper: Keeper, octets: bytes, password: str = "") -> str:
    with pytest.raises(Unfit) as caught:
        keeper.install(octets, password)
    return str(caught.value)


def state(layout: Layout) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in layout.tls.iterdir()}


def test_request_and_installation(keeper: Keeper, layout: Layout, authority: Authority) -> None:
    """CERT-04, CERT-06, CERT-08, CERT-09: request, submit, install, and it is in force."""
    made = keeper.installed()
    assert made is not None and made.source is Source.SELF_MADE and made.self_signed
    waiting = keeper.ask(FIELDS)
    assert waiting.pem.startswith("-----BEGIN CERTIFICATE REQUEST-----\n")
    assert waiting.pem.endswith("-----END CERTIFICATE REQUEST-----\n")
    assert waiting.names == NAMES
    assert keeper.waiting() == waiting
    assert keeper.installed() == made
    done = keeper.install(answer(authority, keeper))
    assert done.remarks == ()
    assert done.installed == keeper.installed()
    assert done.installed.source is Source.REQUEST
    assert done.installed.issuer == "CN=Root of tests"
    assert done.installed.names == NAMES
    assert done.installed.key_installed == waiting.made
    assert done.installed.key == "EC, secp256r1"
    assert [one.subject for one in done.installed.chain] == ["Root of tests"]
    assert keeper.waiting() is None
    certificate.context_of(layout.tls / certificate.FILE_NAME)
    assert keeper.previous() == made


def test_the_key_never_leaves(keeper: Keeper, layout: Layout) -> None:
    """CERT-04: it is nowhere in what is shown, and only the service account reads its file."""
    waiting = keeper.ask(FIELDS)
    path = layout.tls / files.REQUEST
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert b"PRIVATE KEY" in path.read_bytes()
    assert "PRIVATE" not in repr(waiting)


def test_installation_without_a_request(keeper: Keeper, authority: Authority) -> None:
    """CERT-09: an earlier step is missing, and that is said."""
    foreign = pem(authority.issue(new_key().public_key(), *NAMES))
    assert "make a request first" in refusal(keeper, foreign)
    keeper.ask(FIELDS)
    assert "was not made for the request that waits" in refusal(keeper, foreign)
    assert keeper.forget_request()
    assert not keeper.forget_request()
    assert "make a request first" in refusal(keeper, foreign)


def test_every_refusal_leaves_all_as_it_was(keeper: Keeper, layout: Layout, authority: Authority) -> None:
    """CERT-06"""
    keeper.ask(FIELDS)
    waiting = keeper.waiting()
    assert waiting is not None
    public = x509.load_pem_x509_csr(waiting.pem.encode()).public_key()
    key = new_key()
    before = state(layout)
    for octets in (
        b"",
        b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
        pem(authority.issue(public, *NAMES, days=-0.5)),
        pem(authority.issue(public, *NAMES, begins=0.5)),
        pem(authority.issue(new_key().public_key(), *NAMES)),
        pem(key, authority.issue(new_key().public_key(), *NAMES)),
        pem(key),
    ):
        assert refusal(keeper, octets)
        assert state(layout) == before


def test_what_openssl_cannot_use_is_refused(
    keeper: Keeper, layout: Layout, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CERT-06: the last check is the one that handshakes do, on the file itself."""
    before = state(layout)
    swapped = certificate.composed

    def mixed(origin: certificate.Origin, key: bytes, chain: bytes) -> bytes:
        return swapped(origin, pem(new_key()), chain)

    monkeypatch.setattr(certificate, "composed", mixed)
    key = new_key()
    assert "cannot be used for TLS" in refusal(keeper, pem(key, authority.issue(key.public_key(), *NAMES)))
    assert state(layout) == before


def test_a_disk_that_refuses_leaves_all_as_it_was(
    keeper: Keeper, layout: Layout, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CERT-06"""
    key = new_key()
    before = state(layout)

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("engine.durable.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        keeper.install(pem(key, authority.issue(key.public_key(), *NAMES)))
    assert state(layout) == before


def test_upload_with_a_key(keeper: Keeper, authority: Authority) -> None:
    """CERT-07: PEM and PKCS#12, and no request is needed."""
    key = new_key()
    issued = authority.issue(key.public_key(), *NAMES)
    done = keeper.install(pem(key, issued))
    assert done.installed.source is Source.UPLOAD
    other = new_key()
    issued = authority.issue(other.public_key(), *NAMES)
    packed = pkcs12.serialize_key_and_certificates(
        b"x", other, issued, [authority.certificate], BestAvailableEncryption(b"sesame")
    )
    done = keeper.install(packed, "sesame")
    assert done.installed.names == NAMES
    assert [one.subject for one in done.installed.chain] == ["Root of tests"]


def test_a_renewal_for_the_same_key_keeps_the_date_of_the_key(layout: Layout, authority: Authority) -> None:
    """CERT-08: an authority may answer the same request again."""
    now = certificate.origin_of((layout.tls / certificate.FILE_NAME).read_bytes())
    assert now is not None
    time = float(now.installed)
    keeper = Keeper(layout, lambda: SETTINGS, lambda: time)
    waiting = keeper.ask(FIELDS)
    first = answer(authority, keeper)
    keeper.install(first)
    time += 1000
    done = keeper.install(first)
    assert done.installed.source is Source.REQUEST
    assert done.installed.key_installed == waiting.made
    assert (done.installed.installed - done.installed.key_installed).total_seconds() == 1000
    key = load_pem_private_key((layout.tls / certificate.FILE_NAME).read_bytes().partition(b"\n-----BEGIN C")[0], None)
    done = keeper.install(pem(key) + first)
    assert done.installed.key_installed == waiting.made


def test_going_back(keeper: Keeper, layout: Layout, authority: Authority) -> None:
    with pytest.raises(Unfit, match="none from before"):
        keeper.restore()
    made = keeper.installed()
    key = new_key()
    done = keeper.install(pem(key, authority.issue(key.public_key(), *NAMES)))
    assert keeper.restore().installed == made
    assert keeper.installed() == made
    assert keeper.previous() == done.installed
    assert keeper.restore().installed == done.installed
    certificate.context_of(layout.tls / certificate.FILE_NAME)


def test_going_back_to_one_that_has_expired_is_refused(layout: Layout, authority: Authority) -> None:
    time = certificate_time(layout)
    keeper = Keeper(layout, lambda: SETTINGS, lambda: time)
    for days in (1, 90):
        key = new_key()
        keeper.install(pem(key, authority.issue(key.public_key(), *NAMES, days=days)))
    time += 2 * 86_400
    before = state(layout)
    with pytest.raises(Unfit, match="expired on"):
        keeper.restore()
    assert state(layout) == before


def certificate_time(layout: Layout) -> float:
    origin = certificate.origin_of((layout.tls / certificate.FILE_NAME).read_bytes())
    assert origin is not None
    return float(origin.installed)


def test_a_request_whose_key_is_in_use_waits_no_more(keeper: Keeper, layout: Layout, authority: Authority) -> None:
    """As after a stop between the two files."""
    keeper.ask(FIELDS)
    asked = (layout.tls / files.REQUEST).read_bytes()
    keeper.install(answer(authority, keeper))
    (layout.tls / files.REQUEST).write_bytes(asked)
    assert keeper.waiting() is None


@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN CERTIFICATE-----\n", b"\xff" * 9])
def test_files_that_cannot_be_read(keeper: Keeper, layout: Layout, authority: Authority, content: bytes | None) -> None:
    """None of them keeps a better one from being installed."""
    for name in (certificate.FILE_NAME, files.PREVIOUS, files.REQUEST):
        path: Path = layout.tls / name
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
    assert keeper.installed() is None
    assert keeper.previous() is None
    assert keeper.waiting() is None
    key = new_key()
    assert keeper.install(pem(key, authority.issue(key.public_key(), *NAMES))).installed == keeper.installed()


def test_one_put_there_by_hand(keeper: Keeper, layout: Layout) -> None:
    own = root("gate.example.com")
    path = layout.tls / certificate.FILE_NAME
    path.write_bytes(pem(own.certificate, own.key))
    found = keeper.installed()
    assert found is not None
    assert found.source is None
    assert found.installed == found.key_installed


def test_rsa(keeper: Keeper, authority: Authority) -> None:
    keeper.ask(Fields("gate.example.com", "Example Ltd", state="Devon", country="GB", key=KeyKind.RSA))
    assert keeper.install(answer(authority, keeper)).installed.key == "RSA, 3072 bits"
