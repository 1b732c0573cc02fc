"""Handing mail of our own to a relay, which has it on disk when it answers."""

from enum import Enum
from typing import Final

import msgspec

from engine.command import Command, send
from engine.layout import Layout

ANSWER_S: Final = 30.0


class Taken(Enum):
    YES = "yes"
    LATER = "later"
    NEVER = "never"


def hand_over(
    layout: Layout, word: str, to: tuple[str, ...], content: bytes, answer_s: float = ANSWER_S
) -> tuple[Taken, str]:
    """To the first relay that answers, and why not if none took it. word: unique for this mail.

    A relay that may have taken it is asked again, and not another one: it knows by the word what it took.
    """
    command = Command("submit", word, to, content)
    for path in layout.command_sockets():
        try:
            answer = send(path, command, answer_s)
        except (ConnectionRefusedError, FileNotFoundError):
            continue
        except (OSError, msgspec.MsgspecError) as error:
            return Taken.LATER, f"no answer from a relay: {error}"
        if answer.ok:
            return Taken.YES, ""
        return Taken.LATER if answer.again else Taken.NEVER, answer.error
    return Taken.LATER, "no relay runs"
