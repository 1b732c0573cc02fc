"""HTTP-07: who breaks the protocol over and over is not listened to for a while."""

import pytest

from control import patience
from control.patience import VIOLATIONS, WINDOW_S, Patience
from engine import config
from engine.config.checks import problems


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_patience_ends_with_one_too_many_and_begins_again() -> None:
    """HTTP-07"""
    clock = Clock()
    ours = Patience(clock)
    for number in range(1, VIOLATIONS):
        assert ours.count("a") == number
    assert ours.left_s("a") == 0
    clock.now += 10
    assert ours.count("a") == VIOLATIONS
    assert (ours.left_s("a"), ours.left_s("b")) == (WINDOW_S - 10, 0)
    clock.now += WINDOW_S - 10
    assert ours.left_s("a") == 0
    assert ours.count("a") == 1


def test_a_clock_that_is_set_back_refuses_nobody_for_longer() -> None:
    """HTTP-07"""
    clock = Clock()
    ours = Patience(clock)
    for _ in range(VIOLATIONS):
        ours.count("a")
    clock.now -= 500
    assert ours.left_s("a") == 0


def test_the_number_of_clients_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP-07: the one that was quiet for longest is forgotten."""
    monkeypatch.setattr(patience, "CLIENTS_KEPT", 3)
    ours = Patience(Clock())
    for client in ("a", "b", "c", "a", "d"):
        ours.count(client)
    assert [ours.count(client) for client in ("a", "d")] == [3, 2]
    assert ours.count("b") == 1


@pytest.mark.parametrize(
    ("smtp", "http", "https", "names"),
    [
        (25, 8003, 8043, []),
        (25, 8043, 8043, ["web.https.port"]),
        (8043, 8003, 8043, ["web.https.port"]),
        (25, 8003, 443, ["web.https.port"]),
        (25, 80, 8043, ["web.http.port"]),
    ],
)
def test_ports_of_the_pages_are_theirs_alone(smtp: int, http: int, https: int, names: list[str]) -> None:
    """HTTP-02, HTTP-03, HTTP-04: different from each other and from that of SMTP; 80 and 443 are others'."""
    settings = config.Settings(
        smtp=config.Smtp(listen=config.MailListener(port=smtp)),
        web=config.Web(http=config.PlainPages(port=http), https=config.Pages(port=https)),
    )
    found = problems(settings)
    assert len(found) == len(names)
    assert all(name in (f"{one.setting} {one.text}") for one, name in zip(found, names, strict=True))
