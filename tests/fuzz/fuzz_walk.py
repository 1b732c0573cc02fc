"""The walk and the rewriter: octets as a message, and as changes to messages that hold every kind of container.

Whatever comes out, a message that is delivered holds nothing that the matcher knows.
"""

from engine.config import Settings
from engine.queue.record import Disposition
from engine.rewrite import spliced
from engine.scan.facts import Verdict
from engine.scan.service import examine
from tests.engine.scan.material import EICAR, WRAPS, Clock, Matcher, message, walk

_SEEDS = [message("words\n", [wrap(EICAR, "e.com")[::-1]]) for wrap in WRAPS.values()]
_SEEDS += [message("words\n", [WRAPS[one](*WRAPS[two](EICAR, "e"))[::-1]]) for one in WRAPS for two in ("zip", "tar")]


def one_input(data: bytes) -> None:
    _examined(data)
    if len(data) < 5:
        return
    changed = bytearray(_SEEDS[data[0] % len(_SEEDS)])
    for at in range(1, min(len(data) - 3, 41), 4):  # (offset in two octets, octet, how)
        off = int.from_bytes(data[at : at + 2], "big") % len(changed)
        if data[at + 3] & 1:
            changed[off] = data[at + 2]
        else:
            changed[off : off + 1] = bytes(data[at + 2] % 5)
    _examined(bytes(changed))


def _examined(data: bytes) -> None:
    outcome = examine(data, Matcher(), Settings(), clock=Clock())
    assert not any("engine" in one.cause for one in outcome.facts.unscanned), outcome.facts.unscanned
    if outcome.disposition is Disposition.DELIVER:
        assert walk(spliced(data, outcome.splices)).facts.verdict is Verdict.CLEAN
