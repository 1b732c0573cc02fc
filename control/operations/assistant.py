"""The tests of the setup assistant, and whether it still offers itself (INST-03..07, INST-11, INST-12)."""

from typing import Annotated

import msgspec

from control.actor import Scope
from control.assistant import letter, memory
from control.assistant.checks import Check
from control.assistant.letter import Kind, NotTaken, State, Told
from control.assistant.names import check_names
from control.assistant.ports import check_ports
from control.operation import (
    Answer,
    Call,
    Forbidden,
    Input,
    Invalid,
    Mistake,
    NotFound,
    Nothing,
    Unavailable,
    operation,
)
from engine.config import entries

TEST_S = 2.0  # the same test twice in this time is one


class SetupTest(Answer, frozen=True):
    """checks: one thing each, with what was found and what to do."""

    checks: list[Check]


class TestMail(Input, frozen=True):
    """to: who gets it; an address behind the gateway. kind: eicar has the test file that must not arrive."""

    to: Annotated[str, msgspec.Meta(min_length=1, max_length=254)]
    kind: Kind = Kind.PLAIN


class TestMailSent(Answer, frozen=True):
    smtp_id: str


class TestMailWanted(Input, frozen=True):
    smtp_id: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
    kind: Kind = Kind.PLAIN


class TestMailFate(Answer, frozen=True):
    """story: what happened to it, oldest first; times in microseconds since 1970."""

    state: State
    text: str
    story: list[Told]


@operation("GET", "/assistant/dns", Scope.SETTINGS)
def names(call: Call, given: Nothing) -> SetupTest:
    """Test DNS.

    Name servers, the gateway's own name in both directions, and where mail for the served domains goes. It takes some
    seconds if name servers do not answer.
    """
    context = call.context
    found = context.recent.of("names", lambda: check_names(context.settings.fresh(), context.host()), TEST_S)
    return SetupTest(checks=found)


@operation("GET", "/assistant/ports", Scope.SETTINGS)
def ports(call: Call, given: Nothing) -> SetupTest:
    """Test the ports: the own SMTP port, every next hop, and the way to the outside. No mail is sent."""
    context = call.context
    found = context.recent.of("ports", lambda: check_ports(context.settings.fresh(), context.host()), TEST_S)
    return SetupTest(checks=found)


@operation("POST", "/assistant/mail", Scope.SETTINGS_WRITE, errors=(Unavailable,))
def send(call: Call, given: TestMail) -> TestMailSent:
    """Send a test mail through the own SMTP port."""
    if error := entries.address_error(given.to):
        raise Invalid("Nothing was sent.", (Mistake("to", f"{given.to!r} {error}."),))
    settings = call.context.settings.fresh()
    host = call.context.host()
    sender = next(iter(settings.notifications.administrators), settings.smtp.own_address(host))
    try:
        smtp_id = letter.send(settings.smtp.listen, given.kind, given.to, sender, host, call.context.clock())
    except NotTaken as error:
        raise Unavailable(
            f"The gateway did not take the test mail: {error}. If it says that relaying is denied, write an address of"
            " a domain that you serve."
        ) from None
    call.modified("test mail", f"sent to {given.to} as {smtp_id}")
    return TestMailSent(smtp_id=smtp_id)


@operation("GET", "/assistant/mail/{smtp_id}", Scope.SETTINGS, errors=(NotFound,))
def follow(call: Call, given: TestMailWanted) -> TestMailFate:
    """Tell what became of a test mail.

    Since any message can be named here, the right messages:read is needed besides.
    """
    with call.context.store.read() as view:
        story = view.story(given.smtp_id)
    if not story:
        raise NotFound("Nothing is known of this message yet. Ask again in a second.")
    if not call.actor.may(Scope.MESSAGES):
        raise Forbidden(f"To see what became of messages the right {Scope.MESSAGES} is needed.")
    found = letter.follow(story, given.kind)
    return TestMailFate(state=found.state, text=found.text, story=found.story)


@operation("POST", "/assistant/later", Scope.SETTINGS_WRITE, errors=(Unavailable,))
def put_off(call: Call, given: Nothing) -> None:
    """Do not offer the assistant at the first page any more."""
    try:
        memory.put_off(call.context.layout)
    except OSError as error:
        raise Unavailable(f"This could not be noted: {error.strerror}. Check the directory control.") from None
    call.modified("setup assistant", "put off")
