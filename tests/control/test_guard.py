"""Which names we answer to."""

import socket

import pytest

from control.guard import host_name, is_known
from engine.config import Settings, Smtp, Web

SETTINGS = Settings(smtp=Smtp(hostname="GW1.example.com"), web=Web(names=("mail-admin.example.com",)))


@pytest.mark.parametrize(
    ("field", "host"),
    [
        ("gw1.example.com", "gw1.example.com"),
        ("GW1.example.com.:8043", "gw1.example.com"),
        ("[2001:DB8::1]:8043", "2001:db8::1"),
        ("192.0.2.1:8043", "192.0.2.1"),
        ("", ""),
    ],
)
def test_host_name(field: str, host: str) -> None:
    assert host_name(field) == host


@pytest.mark.parametrize(
    "host",
    [
        "gw1.example.com",
        "mail-admin.example.com",
        "localhost",
        "192.0.2.1",
        "2001:db8::1",
        socket.gethostname().lower(),
    ],
)
def test_known(host: str) -> None:
    assert is_known(host, SETTINGS)


@pytest.mark.parametrize(
    "host", ["", "example.com", "evil.example", "gw1.example.com.evil.example", "192.0.2.1.nip.io"]
)
def test_unknown(host: str) -> None:
    assert not is_known(host, SETTINGS)
