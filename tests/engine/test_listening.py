"""Ports that are free, taken, shared, changed and exchanged (SMTP-01..04, INST-06)."""

import itertools
import os
import socket
from collections.abc import Iterator

import msgspec
import pytest

from bench.ports import free_port
from engine.config import (
    Acceptance,
    FurtherListener,
    Listener,
    ListenMode,
    ListenTls,
    MailListener,
    Pages,
    PlainPages,
    Settings,
    Smtp,
    Web,
)
from engine.listening import MX, CannotListen, Kind, Listeners, bind, kind_of
from engine.portuse import describe, holders, user_of_port


def nobody(_: int) -> bool:
    return False


def free() -> Listener:
    return Listener("127.0.0.1", free_port())


def settings(smtp: Listener, http: Listener, https: Listener) -> Settings:
    web = Web(http=PlainPages(http.host, http.port), https=Pages(https.host, https.port))
    return Settings(smtp=Smtp(listen=MailListener(smtp.host, smtp.port)), web=web)


@pytest.fixture
def taken() -> Iterator[Listener]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield Listener("127.0.0.1", sock.getsockname()[1])


def test_who_has_a_port(taken: Listener) -> None:
    assert holders(taken.port) == [os.getpid()]
    assert f"(process {os.getpid()})" in user_of_port(taken)
    assert user_of_port(free()) == ""
    assert describe([]) == "another program"
    with pytest.raises(OSError, match="assign"):
        user_of_port(Listener("192.0.2.1", 2525))


def test_shared_port_is_refused_to_others_and_not_to_us() -> None:
    listener = free()
    first = bind(listener, 2, nobody)
    with pytest.raises(CannotListen, match=f"in use by .*process {os.getpid()}"):
        bind(listener, 1, nobody)
    second = bind(listener, 2, lambda pid: pid == os.getpid())
    for sock in first + second:
        sock.close()


@pytest.mark.parametrize(("host", "words"), [("192.0.2.1", "has no address"), ("no.such.invalid", "is not an address")])
def test_reasons(host: str, words: str) -> None:
    with pytest.raises(CannotListen, match=words):
        bind(Listener(host, 2525), 1, nobody)


def test_change_is_whole_or_nothing(taken: Listener) -> None:
    """SMTP-04."""
    smtp, http, https, other = free(), free(), free(), free()
    mine = Listeners(settings(smtp, http, https), 2, lambda pid: False)
    before = dict(mine.sockets)
    with pytest.raises(CannotListen, match=str(taken.port)):
        mine.change(settings(other, http, taken))
    assert mine.sockets == before and user_of_port(other) == ""
    assert mine.change(settings(smtp, http, https)) == []
    assert mine.change(settings(other, http, https)) == ["smtp"]
    assert user_of_port(smtp) == "" and len(mine.sockets["smtp"]) == 2
    mine.close()
    assert user_of_port(other) == ""


def test_exchange_of_two_ports() -> None:
    smtp, http, https = free(), free(), free()
    mine = Listeners(settings(smtp, http, https), 1, lambda pid: pid == os.getpid())
    assert mine.change(settings(https, http, smtp)) == ["smtp", "https"]
    assert mine.sockets["smtp"][0].getsockname()[1] == https.port
    mine.close()


def further(settings_: Settings, *listeners: FurtherListener) -> Settings:
    return msgspec.structs.replace(settings_, smtp=msgspec.structs.replace(settings_.smtp, listeners=listeners))


def test_further_listeners_come_and_go() -> None:
    """SMTP-01, SMTP-04, RELAY-14: each has a socket for each relay, and what is served there may change."""
    plain = settings(free(), free(), free())
    people, servers = (FurtherListener("127.0.0.1", free().port) for _ in range(2))
    people = msgspec.structs.replace(people, mode=ListenMode.SUBMISSION, tls=ListenTls.IMPLICIT)
    mine = Listeners(plain, 2, lambda pid: pid == os.getpid())
    assert [one.kind for one in mine.of_relay(1)] == [MX]
    assert mine.change(further(plain, people, servers)) == ["smtp.listeners[0]", "smtp.listeners[1]"]
    assert [one.kind for one in mine.of_relay(1)] == [MX, Kind(True, True), MX]
    ports = [one.sock.getsockname()[1] for one in mine.of_relay(0)]
    assert ports == [plain.smtp.listen.port, people.port, servers.port]
    assert {one.sock.fileno() for one in mine.of_relay(0)}.isdisjoint(one.sock.fileno() for one in mine.of_relay(1))
    without_tls = msgspec.structs.replace(people, tls=ListenTls.STARTTLS)
    assert mine.change(further(plain, without_tls, servers)) == ["smtp.listeners[0]"]
    assert [one.kind for one in mine.of_relay(0)] == [MX, Kind(True, False), MX]
    assert mine.change(further(plain, servers)) == ["smtp.listeners[0]", "smtp.listeners[1]"]
    assert user_of_port(people) == "" and user_of_port(servers) != ""
    assert mine.change(plain) == ["smtp.listeners[0]"]
    assert user_of_port(servers) == ""
    mine.close()


def test_kinds_have_letters_of_their_own() -> None:
    kinds = [Kind(*one) for one in itertools.product((False, True), (False, True), Acceptance)]
    assert len({one.code for one in kinds}) == 12 and all(Kind.of(one.code) == one for one in kinds)
    assert kind_of(MailListener(accept=Acceptance.SCAN)) == Kind(accept=Acceptance.SCAN)
    assert kind_of(Listener()) == MX and kind_of(FurtherListener(tls=ListenTls.IMPLICIT)) == Kind(False, True)
