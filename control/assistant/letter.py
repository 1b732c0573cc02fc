"""The test mail: sent through the own SMTP listener as anybody would, and followed until it has arrived."""

import re
import smtplib
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import formatdate, make_msgid
from enum import StrEnum
from typing import Final

import msgspec

from control.records.lines import microseconds
from control.samples import EICAR
from control.story import sentence
from engine import events
from engine.config import Listener
from engine.ids import ID_LEN
from engine.policy.metatags import clean

PATIENCE_S: Final = 15.0
REPLY_LEN: Final = 300  # characters
HERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}
_NAMED: Final = re.compile(rf"\b(?:queued as|delivered as|reference) ([0-9A-Z]{{{ID_LEN}}})\b")


class Kind(StrEnum):
    PLAIN = "plain"
    EICAR = "eicar"  # with the test file that every scanner knows: it must not arrive


class NotTaken(Exception):
    """The gateway did not take the test mail, and why."""


class State(StrEnum):
    ON_THE_WAY = "on-the-way"
    ARRIVED = "arrived"  # for EICAR: without the file
    STOPPED = "stopped"
    FAILED = "failed"


class Told(msgspec.Struct, frozen=True):
    """What happened, in a sentence. time: microseconds since 1970."""

    time: int
    text: str


class Followed(msgspec.Struct, frozen=True):
    """story: oldest first."""

    state: State
    text: str
    story: list[Told]


def send(listener: Listener, kind: Kind, to: str, sender: str, host: str, now: float) -> str:
    """Returns the SMTP ID. to, sender: addresses that were checked. Raises NotTaken."""
    content = _message(kind, to, sender, host, now)
    address = HERE.get(listener.host, listener.host)
    try:
        with smtplib.SMTP(address, listener.port, local_hostname="localhost", timeout=PATIENCE_S) as smtp:
            smtp.ehlo()
            for command in (f"MAIL FROM:<>{_options(to, sender)}", f"RCPT TO:<{to}>"):
                code, reply = smtp.docmd(command)
                if code != 250:
                    raise NotTaken(_words(code, reply))
            code, reply = smtp.data(content)
    except smtplib.SMTPException as error:
        raise NotTaken(clean(str(error), REPLY_LEN)) from None
    except OSError as error:
        raise NotTaken(f"it cannot be reached at {address}:{listener.port} ({error.strerror or error})") from None
    words = _words(code, reply)
    named = _NAMED.search(words)
    if named is None:  # what was refused when it was examined has a name, too, and a story
        raise NotTaken(words)
    return named.group(1)


def _options(to: str, sender: str) -> str:
    return "" if to.isascii() and sender.isascii() else " SMTPUTF8"


def _words(code: int, reply: bytes | str) -> str:
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    return clean(f"{code} {text}", REPLY_LEN)


def _message(kind: Kind, to: str, sender: str, host: str, now: float) -> bytes:
    message = EmailMessage()
    message["From"] = sender
    message["To"] = to
    message["Subject"] = "Mailward test mail" + (" with the EICAR test file" if kind is Kind.EICAR else "")
    message["Date"] = formatdate(now)
    message["Message-ID"] = make_msgid(domain=host if "." in host else "localhost")
    message["Auto-Submitted"] = "auto-generated"
    if kind is Kind.EICAR:
        message.set_content(
            "This mail had the harmless EICAR test file attached. If it still is, something is wrong.\n"
        )
        message.add_attachment(EICAR, maintype="application", subtype="octet-stream", filename="eicar.com")
    else:
        message.set_content("This mail went through Mailward and has arrived: the way is open.\n")
    return message.as_bytes(policy=SMTP if to.isascii() and sender.isascii() else SMTPUTF8)


def follow(story: list[events.AnyEvent], kind: Kind) -> Followed:
    """What became of it. story: the events of the message, oldest first."""
    told = [Told(microseconds(event.time), sentence(msgspec.to_builtins(event))) for event in story]
    return Followed(*_judged(story, kind), told)


def _judged(story: list[events.AnyEvent], kind: Kind) -> tuple[State, str]:
    cleaned = any(isinstance(event, events.FileDeleted | events.FileRepaired) for event in story)
    passed = any(isinstance(event, events.VirusLogged) for event in story)
    for event in story:
        if isinstance(event, events.Rejected):
            if kind is Kind.EICAR:
                return State.STOPPED, f"The test file was refused: {event.reply}."
            return State.FAILED, f"It was refused: {event.reply}."
        if isinstance(event, events.Held | events.Dropped):
            if kind is Kind.EICAR:
                return State.STOPPED, f"The test file was stopped: {event.reason}."
            return State.FAILED, f"It did not arrive, because the gateway stopped it: {event.reason}."
        if isinstance(event, events.DeliveryFailed | events.Bounced):
            return State.FAILED, f"It could not be delivered: {event.reason}."
        if isinstance(event, events.Delivered):
            where = f"{event.server} took it: {event.reply}" if event.reply else f"{event.server} took it"
            if kind is Kind.PLAIN:
                return State.ARRIVED, f"It has arrived: {where}."
            if cleaned:
                return State.ARRIVED, f"The test file was taken out, and the rest has arrived: {where}."
            why = "your policy only notes viruses" if passed else "it was not found: look at the Definitions page"
            return State.FAILED, f"The test file was delivered: {why}."
    deferred = [event for event in story if isinstance(event, events.DeliveryDeferred)]
    if deferred:
        return State.ON_THE_WAY, f"It could not be delivered yet, and is tried again: {deferred[-1].reason}."
    return State.ON_THE_WAY, "It is on its way."
