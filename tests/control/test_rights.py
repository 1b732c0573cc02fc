"""Rights that say less than they seem: what a declaration alone does not show (ACC-02, ACC-11)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from control.actor import Scope
from control.operations.reports import FILES
from control.reports.sheet import PREFIX, SUFFIX
from engine import events
from engine.journal import JournalWriter, timestamp
from tests.control.asgi import House

ID = "1N4ABCDE00001"
SENDER = "somebody@example.org"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    made = House(tmp_path_factory.mktemp("root"))
    made.context.accounts.set_password("admin", "correct horse battery")
    journal = JournalWriter(made.context.layout.journal, "relay-0")
    journal.write(
        events.Accepted(
            time=timestamp(),
            smtp_id=ID,
            reverse_path=SENDER,
            forward_paths=("b@example.com",),
            size=1000,
            client="192.0.2.7",
            connection_id="1aaaaaaaaaa00",
        )
    )
    journal.close()
    while made.context.follower.poll():
        pass
    yield made
    made.close()


def ask(house: House, scopes: set[Scope], method: str, path: str, value: object = None) -> tuple[int, Any]:
    name = f"{method} {path} {len(scopes)}"[:60]
    id_, secret = house.context.tokens.make("admin", name, scopes, 1)
    headers = {"authorization": f"Bearer {secret}", "content-type": "application/json"}
    body = b"" if value is None else msgspec.json.encode(value)
    reply = house.request(method, f"/api/v1{path}", None, headers, body)
    house.context.tokens.revoke(id_)
    return reply.status, msgspec.json.decode(reply.text)


def test_the_right_to_settings_shows_nobodys_mail(house: House) -> None:
    """ACC-02, ACC-11: a rehearsal counts; whose messages they are needs the right to messages."""
    wanted = {"values": {"relay.hosts": ["192.0.2.7"]}}
    status, told = ask(house, {Scope.SETTINGS}, "POST", "/settings/rehearse", wanted)
    assert (status, told["result"]["changed"], told["result"]["changes"]) == (200, 1, [])
    status, told = ask(house, {Scope.SETTINGS, Scope.MESSAGES}, "POST", "/settings/rehearse", wanted)
    assert (status, told["result"]["changes"][0]["reverse_path"]) == (200, SENDER)


def test_following_a_test_mail_is_no_way_to_others(house: House) -> None:
    """ACC-02, ACC-11"""
    path = f"/assistant/mail/{ID}"
    status, told = ask(house, {Scope.SETTINGS, Scope.SETTINGS_WRITE}, "GET", path)
    assert (status, SENDER in str(told)) == (403, False)
    assert ask(house, {Scope.SETTINGS, Scope.MESSAGES}, "GET", path)[0] == 200


def test_report_files_are_bounded(house: House, tmp_path: Path) -> None:
    """RPT-14, ACC-02: who may only read reports fills no disk, and one at a time keeps one thread busy."""
    directory = house.context.layout.journal.parent
    with house.context.report_writing:
        assert ask(house, {Scope.REPORTS}, "POST", "/reports/files", {"period": "today"})[0] == 409
    assert ask(house, {Scope.REPORTS}, "POST", "/reports/files", {"period": "today"})[0] == 201
    made = [directory / f"{PREFIX}202601010000-{number}{SUFFIX}" for number in range(2, FILES + 1)]
    for path in made:
        path.touch()
    status, told = ask(house, {Scope.REPORTS}, "POST", "/reports/files", {"period": "today"})
    assert (status, "Delete those" in told["detail"]) == (409, True)
    made[0].unlink()
    assert ask(house, {Scope.REPORTS}, "POST", "/reports/files", {"period": "today"})[0] == 201
