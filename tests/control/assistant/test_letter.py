"""What the assistant says of its test mail, by what happened to it."""

import pytest

from control.assistant.letter import Kind, State, follow
from engine import events
from engine.journal import timestamp

ID = "1N4ABCDE00001"


def delivered() -> events.Delivered:
    return events.Delivered(
        smtp_id=ID, reverse_path="", forward_path="a@b.example", server="10.0.0.5:25", connection_id="1", reply="250 ok"
    )


@pytest.mark.parametrize(
    ("kind", "story", "state", "words"),
    [
        (Kind.PLAIN, [], State.ON_THE_WAY, "It is on its way."),
        (Kind.PLAIN, [delivered()], State.ARRIVED, "It has arrived: 10.0.0.5:25 took it: 250 ok."),
        (Kind.PLAIN, [events.Held(smtp_id=ID, reason="subject")], State.FAILED, "stopped it: subject"),
        (Kind.PLAIN, [events.Dropped(smtp_id=ID, reason="list")], State.FAILED, "stopped it: list"),
        (
            Kind.PLAIN,
            [events.DeliveryFailed(smtp_id=ID, forward_path="a@b", reason="550 no such user")],
            State.FAILED,
            "It could not be delivered: 550 no such user.",
        ),
        (
            Kind.PLAIN,
            [events.DeliveryDeferred(smtp_id=ID, forward_path="a@b", reason="refused")],
            State.ON_THE_WAY,
            "and is tried again: refused.",
        ),
        (
            Kind.PLAIN,
            [events.DeliveryDeferred(smtp_id=ID, forward_path="a@b", reason="refused"), delivered()],
            State.ARRIVED,
            "It has arrived",
        ),
        (
            Kind.EICAR,
            [events.FileDeleted(smtp_id=ID, virus="EICAR", part="2"), delivered()],
            State.ARRIVED,
            "The test file was taken out",
        ),
        (Kind.EICAR, [events.Held(smtp_id=ID, reason="virus")], State.STOPPED, "The test file was stopped: virus."),
        (Kind.EICAR, [events.Dropped(smtp_id=ID, reason="virus")], State.STOPPED, "stopped"),
        (
            Kind.EICAR,
            [events.VirusLogged(smtp_id=ID, virus="EICAR", part="2"), delivered()],
            State.FAILED,
            "your policy only notes viruses",
        ),
        (Kind.EICAR, [delivered()], State.FAILED, "it was not found: look at the Definitions page"),
    ],
)
def test_each_end_is_told(kind: Kind, story: list[events.AnyEvent], state: State, words: str) -> None:
    """INST-12, AV-01"""
    for event in story:
        event.time = timestamp(0)
    found = follow(story, kind)
    assert found.state is state
    assert words in found.text
    assert len(found.story) == len(story)
