"""CERT-05: certificates by ACME from a real server, which looks for the answers to its challenges over HTTP."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from control.certificates import acme, renewal
from control.certificates.challenges import PATH, Challenges
from control.certificates.keeper import Keeper
from control.certificates.renewal import AGAIN_S, Renewal
from engine import events
from engine.certificate import FILE_NAME, Source, context_of
from engine.config import Acme, Settings, Web
from engine.layout import Layout
from tests.control.certificates.authority import Authority, new_key, pem
from tests.control.certificates.conftest import SETTINGS
from tests.control.certificates.pebble import Pebble, pebble, plain_port
from tests.control.harness import wait_until

CHALLENGES = Challenges()
NAMES = ("gate.example.com", "pages.example.com")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pebble]:
    with plain_port(CHALLENGES) as port, pebble(tmp_path_factory.mktemp("pebble"), port) as one:
        yield one


class Quick:
    """In place of the module time in the library: it asks again whether there is a certificate, at first after 1 s."""

    @staticmethod
    def sleep(seconds: float) -> None:
        time.sleep(seconds / 50)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("acme.client.time", Quick)


class Desk:
    """Renewal with a clock and settings of its own."""

    def __init__(self, layout: Layout, acme: Acme, challenges: Challenges = CHALLENGES) -> None:
        self.now = time.time()
        self.acme = acme
        self.told: list[events.Event] = []
        self.layout = layout
        self.challenges = challenges
        self.keeper = Keeper(layout, self.settings, lambda: self.now)
        self.begin()

    def settings(self) -> Settings:
        return msgspec.structs.replace(SETTINGS, web=Web(names=("pages.example.com",), acme=self.acme))

    def begin(self) -> None:
        """As a process that starts."""
        self.renewal = Renewal(
            self.layout, self.settings, self.keeper, self.challenges, self.told.append, lambda: self.now
        )

    def step(self) -> list[events.Event]:
        self.told.clear()
        self.renewal.step()
        return list(self.told)

    def failure(self) -> str:
        (event,) = self.step()
        assert isinstance(event, events.CertificateNotRenewed)
        return event.reason


def test_issue_and_renewal(layout: Layout, server: Pebble) -> None:
    """CERT-05: at once when it is switched on, again when a third is left, and with one account."""
    desk = Desk(layout, server.settings())
    (event,) = desk.step()
    assert isinstance(event, events.ObjectModified)
    assert (event.object, event.user) == ("TLS certificate", "ACME")
    assert "for gate.example.com, pages.example.com" in event.modification
    first = desk.keeper.installed()
    assert first is not None
    assert first.source is Source.ACME
    assert set(first.names) == set(NAMES)
    assert len(first.chain) == 1
    context_of(layout.tls / FILE_NAME)
    account = desk.renewal.memory.account
    assert account is not None and account.uri
    assert CHALLENGES._answers == {}

    lifetime_s = (first.expires - first.begins).total_seconds()
    desk.now = first.expires.timestamp() - lifetime_s / 3 - 60
    assert not desk.step()
    desk.begin()
    assert not desk.step()
    assert desk.keeper.installed() == first


def test_a_third_before_its_end_it_is_renewed(layout: Layout, server: Pebble, authority: Authority) -> None:
    """CERT-05: the clock is the machine's here, so the certificate is one of which a third is left."""
    desk = Desk(layout, server.settings("gate.example.com"))
    for days, renewed in ((46, False), (44, True)):
        key = new_key()
        old = authority.issue(key.public_key(), "gate.example.com", days=days, begins=days - 135)
        desk.keeper.install_issued(key, pem(old))
        assert bool(desk.step()) is renewed
    found = desk.keeper.installed()
    assert found is not None and found.issuer.startswith("CN=Pebble Intermediate")


def test_other_names_are_asked_for_at_once(layout: Layout, server: Pebble) -> None:
    desk = Desk(layout, server.settings("gate.example.com"))
    desk.step()
    account = desk.renewal.memory.account
    desk.acme = server.settings("gate.example.com", "B\u00fccher.example.com")
    assert desk.step()
    found = desk.keeper.installed()
    assert found is not None and set(found.names) == {"gate.example.com", "xn--bcher-kva.example.com"}
    assert desk.renewal.memory.account == account
    assert not desk.step()


def test_an_account_that_exists_is_found_again(layout: Layout, server: Pebble) -> None:
    """As after a stop between registration and noting it."""
    desk = Desk(layout, server.settings("gate.example.com"))
    desk.step()
    account = desk.renewal.memory.account
    assert account is not None
    path = layout.tls / renewal.FILE_NAME
    path.write_bytes(msgspec.json.encode(renewal.Memory(msgspec.structs.replace(account, uri=""))))
    desk.begin()
    desk.acme = server.settings("other.example.com")
    assert desk.step()
    assert desk.renewal.memory.account == account


def test_an_account_that_is_gone_is_made_anew(layout: Layout, server: Pebble) -> None:
    """As after the authority has removed it: the next attempt registers again."""
    desk = Desk(layout, server.settings("gate.example.com"))
    account = acme.new_account(server.directory)
    gone = msgspec.structs.replace(account, uri=server.directory.replace("/dir", "/my-account/no-such"))
    (layout.tls / renewal.FILE_NAME).write_bytes(msgspec.json.encode(renewal.Memory(gone)))
    desk.begin()
    assert desk.failure()
    assert desk.renewal.memory.account == account
    desk.renewal.ask_now()
    assert isinstance(desk.step()[0], events.ObjectModified)


def state(layout: Layout) -> bytes:
    return (layout.tls / FILE_NAME).read_bytes()


def test_a_failure_is_told_and_changes_nothing(layout: Layout, server: Pebble) -> None:
    """CERT-05, CERT-06: what is in force stays; the pauses grow, and a restart does not end them."""
    desk = Desk(layout, server.settings("gate.example.com"), Challenges())  # nobody answers
    before = state(layout)
    reason = desk.failure()
    assert reason.startswith("gate.example.com: ")
    assert "forward that port" in reason
    for pause_s in (*AGAIN_S, AGAIN_S[-1]):
        desk.begin()
        desk.now += pause_s - 1
        assert not desk.step()
        desk.now += 2
        last = desk.failure()
        assert state(layout) == before
    assert desk.renewal.memory.failures == len(AGAIN_S) + 2
    assert desk.renewal.memory.problem == last
    desk.renewal.ask_now()
    assert desk.failure()
    desk.challenges = CHALLENGES
    desk.begin()
    desk.renewal.ask_now()
    assert isinstance(desk.step()[0], events.ObjectModified)
    assert desk.renewal.memory.failures == 0
    assert desk.renewal.memory.problem == ""


def test_changed_settings_do_not_wait(layout: Layout, server: Pebble) -> None:
    desk = Desk(layout, msgspec.structs.replace(server.settings("gate.example.com"), authorities=""))
    assert "has a certificate that this server does not trust" in desk.failure()
    assert not desk.step()
    desk.acme = server.settings("gate.example.com", "pages.example.com")
    assert isinstance(desk.step()[0], events.ObjectModified)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"directory": "https://127.0.0.1:1/dir"}, "does not answer (ConnectionError)"),
        ({"terms_agreed": False}, "did not agree to the terms of service"),
        ({"names": ("no-such.example.org",)}, "no-such.example.org: "),
        ({"email": "post@[192.0.2.1]"}, "contact"),
    ],
)
def test_reasons(layout: Layout, server: Pebble, changes: dict[str, object], words: str) -> None:
    desk = Desk(layout, msgspec.structs.replace(server.settings("gate.example.com"), **changes))
    before = state(layout)
    assert words in desk.failure()
    assert state(layout) == before


def test_what_is_no_acme_server(layout: Layout, server: Pebble) -> None:
    desk = Desk(layout, msgspec.structs.replace(server.settings("a.example.com"), directory=server.directory + "x"))
    assert re.search(r"answer|404", desk.failure())


def test_without_names_nobody_is_asked(layout: Layout) -> None:
    desk = Desk(layout, Acme(enabled=True, terms_agreed=True))
    desk.settings = lambda: Settings(web=Web(acme=desk.acme))  # type: ignore[method-assign]
    desk.keeper = Keeper(layout, lambda: Settings(), lambda: desk.now)
    desk.begin()
    if not desk.keeper.host_names():  # the machine that runs this has a name without a dot
        assert "no name" in desk.failure()


def test_off_is_off(layout: Layout, server: Pebble) -> None:
    desk = Desk(layout, msgspec.structs.replace(server.settings(), enabled=False))
    assert not desk.step()
    assert not (layout.tls / renewal.FILE_NAME).exists()


def test_a_damaged_memory_is_begun_anew(layout: Layout, server: Pebble) -> None:
    path: Path = layout.tls / renewal.FILE_NAME
    path.write_bytes(b"{")
    assert isinstance(Desk(layout, server.settings("gate.example.com")).step()[0], events.ObjectModified)
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_thread_asks_by_itself(layout: Layout, server: Pebble) -> None:
    desk = Desk(layout, server.settings("gate.example.com"))
    desk.renewal.start()
    wait_until(lambda: bool(desk.told), "it has asked")
    desk.renewal.stop()
    assert isinstance(desk.told[0], events.ObjectModified)


def test_answers_of_challenges() -> None:
    challenges = Challenges()
    challenges.put("token", "token.thumbprint")
    assert challenges.answer(PATH + "token") == "token.thumbprint"
    assert challenges.answer(PATH) is None
    assert challenges.answer(PATH + "other") is None
    assert challenges.answer("/token") is None
    assert challenges.answer("token") is None
    challenges.remove("token")
    challenges.remove("token")
    assert challenges.answer(PATH + "token") is None
