"""What a test found out: one line each, in words, with the next step if there is one."""

from enum import StrEnum

import msgspec


class Outcome(StrEnum):
    GOOD = "good"
    WARN = "warn"  # it may be meant so, or mail flows all the same
    BAD = "bad"


class Check(msgspec.Struct, frozen=True):
    """what: that was looked at. text: what was found, and what to do."""

    outcome: Outcome
    what: str
    text: str


def good(what: str, text: str) -> Check:
    return Check(Outcome.GOOD, what, text)


def warn(what: str, text: str) -> Check:
    return Check(Outcome.WARN, what, text)


def bad(what: str, text: str) -> Check:
    return Check(Outcome.BAD, what, text)
