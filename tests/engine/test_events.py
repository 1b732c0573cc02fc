"""The union of events, by which the journal is read."""

import typing

from engine import events
from engine.events import Event


def test_every_event_can_be_read_again() -> None:
    """LOG-05: one that is written but not in the union would stop whoever reads the journal."""
    assert _tagged(Event) == set(typing.get_args(events.AnyEvent))


def test_every_event_is_found_by_its_name_in_the_package() -> None:
    assert {one.__name__ for one in _tagged(Event)} <= set(events.__all__)


def _tagged(kind: type[Event]) -> set[type[Event]]:
    kinds = {one for child in kind.__subclasses__() for one in _tagged(child)}
    # without a tag of its own it is what several have in common
    return kinds | ({kind} if kind.__struct_config__.tag != kind.__name__ else set())
