"""Examines one message or plain file outside the gateway, in the process of whoever asks."""

import time

from engine.config import ContainerLimits
from engine.scan.facts import Cause, Facts, Unscanned
from engine.scan.matcher import Matcher
from engine.scan.walk import Walker, looks_like_message


def examine(data: bytes, name: str, image: Matcher, digests: bool = False) -> Facts:
    """The facts of one input. A failure of ours is a verdict too, and never clean."""
    walker = Walker(image, ContainerLimits(), digests=digests, clock=time.monotonic)
    try:
        if looks_like_message(data, name):
            return walker.walk_message(data).facts
        return walker.walk_file(data, name).facts
    except (MemoryError, RecursionError) as error:
        return Facts(unscanned=[Unscanned("1", Cause.ENGINE, repr(error))])
