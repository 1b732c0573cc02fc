"""The soak tells growth from noise."""

import random

import pytest

from bench.gateway.processes import Usage
from bench.soak.record import Minute, verdict


@pytest.mark.parametrize(("a_minute", "grows"), [(0.0, []), (0.1, []), (0.5, ["relays: own_mb"]), (-0.5, [])])
def test_slope_beyond_what_is_allowed_is_told(a_minute: float, grows: list[str]) -> None:
    """Over 30 minutes, of which the first quarter does not count, in noise of 3 MB with some minutes far off."""
    dice = random.Random(5)
    minutes = []
    for number in range(1, 31):
        own = 95 + a_minute * number + dice.uniform(-1.5, 1.5) + (30 if number in (1, 2, 11, 20) else 0)
        relays = Usage(2, own_mb=own, pss_mb=100, descriptors=150 + dice.randrange(3), threads=16)
        minutes.append(Minute(number, {"relays": relays}, 100.0, 0, 200.0))
    assert verdict(minutes)[1] == grows
