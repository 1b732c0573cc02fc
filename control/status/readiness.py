"""Whether the gateway does its work (`/ready`): what a load balancer or a supervisor of containers asks.

The reasons are words of ours, without paths, names or errors: strangers may read them.
"""

import os
import sqlite3
from typing import Final

import msgspec

from control.context import Context
from control.records.follower import files_of
from control.status import relays
from engine.limits import MIB

STALE_S: Final = 5.0
UNREAD_LEN: Final = 32 * MIB  # octets of the journal: some seconds at full load


class Readiness(msgspec.Struct, frozen=True):
    """reasons: why not, in words; empty if it is ready. relays: by number, whether it answers."""

    ready: bool
    reasons: tuple[str, ...]
    relays: dict[int, bool]
    unread: int  # octets of the journal that the figures do not know yet


def readiness(context: Context) -> Readiness:
    """Found out once a second, if anybody asks; a page does not wait for a relay that has much to do."""
    return context.recent.of("readiness", lambda: _found(context), stale_s=STALE_S)


def _found(context: Context) -> Readiness:
    answers = relays.answering(context.layout, context.settings(), os.cpu_count() or 1)
    reasons = [f"relay {number} does not answer" for number, answer in answers.items() if not answer]
    try:
        unread = unread_len(context)
        has_definitions = _has_definitions(context)
    except (OSError, sqlite3.Error):
        unread, has_definitions = 0, True
        reasons.append("the journal cannot be followed")
    else:
        if context.follower.problem:
            reasons.append("the journal cannot be followed")
        elif unread > UNREAD_LEN:
            reasons.append("the journal is not read to its end yet")
        if not has_definitions:
            reasons.append("definitions are not loaded")
    return Readiness(not reasons, tuple(reasons), answers, unread)


def unread_len(context: Context) -> int:
    """Octets. Raises OSError, sqlite3.Error."""
    known = context.store.files()
    offsets = {name: file.offset for name, file in known.items()}
    return sum(max(0, file.st_size - offsets.get(name, 0)) for name, file in files_of(context.layout.journal).items())


def _has_definitions(context: Context) -> bool:
    if not context.settings().antivirus.enabled:
        return True
    with context.store.read() as view:
        started = view.started() or 0
        return any(event.time >= started for event in view.latest("definitions-loaded"))
