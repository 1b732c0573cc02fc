"""TLS of the pages: connections go on, handshakes take what is installed, and what cannot be used changes nothing."""

import socket
import ssl
import threading
from pathlib import Path

import pytest

from control.certificates.keeper import Keeper
from control.certificates.live import LiveTls
from engine import events
from engine.certificate import FILE_NAME
from engine.layout import Layout
from tests.control.certificates.authority import Authority, new_key, pem
from tests.control.certificates.conftest import SETTINGS


class Ends:
    """Both ends of one TLS connection; the server's answers each octet with itself."""

    def __init__(self, context: ssl.SSLContext) -> None:
        ours, theirs = socket.socketpair()
        self._server = threading.Thread(target=self._serve, args=(context, theirs), daemon=True)
        self._server.start()
        trusting = ssl.create_default_context()
        trusting.check_hostname = False
        trusting.verify_mode = ssl.CERT_NONE
        self.socket = trusting.wrap_socket(ours)

    def _serve(self, context: ssl.SSLContext, sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True) as one:
            while octets := one.recv(1):
                one.sendall(octets)

    @property
    def certificate(self) -> bytes | None:
        return self.socket.getpeercert(binary_form=True)

    def works(self) -> bool:
        self.socket.sendall(b"x")
        return self.socket.recv(1) == b"x"

    def close(self) -> None:
        self.socket.close()
        self._server.join()


def issued(keeper: Keeper, authority: Authority) -> bytes:
    """Installs a new one; returns it as DER."""
    key = new_key()
    certificate = authority.issue(key.public_key(), "gate.example.com", "pages.example.com")
    keeper.install(pem(key, certificate))
    return ssl.PEM_cert_to_DER_cert(pem(certificate).decode())


def test_a_new_certificate_is_taken_while_connections_go_on(
    layout: Layout, keeper: Keeper, authority: Authority
) -> None:
    """CERT-06: without a restart."""
    told: list[events.Event] = []
    live = LiveTls(layout, lambda: SETTINGS, told.append)
    before = Ends(live.context)
    der = issued(keeper, authority)
    live.look()
    after = Ends(live.context)
    assert after.certificate == der != before.certificate
    assert before.works() and after.works()
    before.close()
    after.close()
    assert not told


@pytest.mark.parametrize("broken", [b"", b"no certificate", None])
def test_one_that_cannot_be_used_changes_nothing(
    layout: Layout, keeper: Keeper, authority: Authority, broken: bytes | None
) -> None:
    """CERT-06. None: a key that is not its own."""
    told: list[events.Event] = []
    der = issued(keeper, authority)
    live = LiveTls(layout, lambda: SETTINGS, told.append)
    if broken is None:
        broken = pem(new_key(), authority.issue(new_key().public_key(), "gate.example.com"))
    (layout.tls / FILE_NAME).write_bytes(broken)
    live.look()
    live.look()
    one = Ends(live.context)
    assert one.certificate == der
    assert one.works()
    one.close()
    (event,) = told
    assert isinstance(event, events.FileAccessError)
    assert event.reason.endswith("the one before stays in use")


def test_pages_come_up_with_a_file_that_cannot_be_used(layout: Layout, keeper: Keeper, authority: Authority) -> None:
    told: list[events.Event] = []
    path: Path = layout.tls / FILE_NAME
    path.write_bytes(b"broken")
    live = LiveTls(layout, lambda: SETTINGS, told.append)
    one = Ends(live.context)
    assert one.works()
    one.close()
    assert len(told) == 1
    assert path.read_bytes() == b"broken"
    der = issued(keeper, authority)
    live.look()
    two = Ends(live.context)
    assert two.certificate == der
    two.close()
