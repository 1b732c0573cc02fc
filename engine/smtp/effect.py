"""What a session wants of its edge, and what it is waiting for."""

from enum import Enum, auto
from typing import NamedTuple

from engine.replies import Reason


class Effect(Enum):
    """What the edge has to do. Those marked * want an answer before the session goes on."""

    SENDER = auto()  # a transaction with session.reverse_path has begun
    RECIPIENT = auto()  # * ask about session.recipient: answer_recipient
    BEGIN = auto()  # * begin a draft of session.received(...): answer_begin
    CONTENT = auto()  # write session.content to the draft; content_failed if that cannot be
    ABORT = auto()  # forget the draft
    COMMIT = auto()  # * the draft is whole, take it or not: answer_commit
    AUTH = auto()  # * compare credentials: answer_auth (SubmissionSession)
    START_TLS = auto()  # * send the replies, shake hands: tls_started
    CLIENT = auto()  # * session.client is another one now (XCLIENT): answer_client
    TURN = auto()  # send the replies and come back soon: many commands were run, or one that went wrong
    CLOSE = auto()  # send the replies, forget a draft, close


class Mode(Enum):
    COMMANDS = auto()
    BODY = auto()
    SKIP = auto()  # a BDAT that is not wanted: its octets must not become commands
    ANSWER = auto()  # an effect waits for its answer
    CLOSING = auto()  # Effect.CLOSE is due
    CLOSED = auto()


class Rejection(NamedTuple):
    """One refusal to be counted (REJ-01..08)."""

    reason: Reason
    reverse_path: str
    forward_path: str
