"""Content policy with everything on, over changed messages: what is delivered violates nothing that is deleted, and
judging never fails. Octets: which message is changed, then the changes, as (offset in two octets, octet, how).
"""

from engine.config import Action, Blocking, Encrypted, FileNames, Settings
from engine.policy.criteria import CONTENT, judge
from engine.queue.record import Disposition
from engine.rewrite import spliced
from engine.scan.gather import gather
from engine.scan.service import examine
from engine.scanner import protocol
from tests.engine.scan.material import EICAR, WRAPS, Clock, Matcher, message, nested, walk, zipped

_BLOCKING = Blocking(
    files=FileNames(enabled=True, in_containers=True, modern=True, disguised=True), encrypted=Encrypted(end_to_end=True)
)
_LOCKED = (
    zipped({"a": b"a"})
    .replace(b"PK\x03\x04\x14\0\0", b"PK\x03\x04\x14\0\1")
    .replace(b"PK\x01\x02\x14\x03\x14\0\0", b"PK\x01\x02\x14\x03\x14\0\1")
)
_WRAPPED = [wrap(b"MZ\0\0" + EICAR, "b.exe") for wrap in WRAPS.values()]
_MESSAGES = [message("words\n", [(name, content), ("l.zip", _LOCKED)]) for content, name in _WRAPPED]
_MESSAGES += [nested(one) for one in _MESSAGES[:3]]
SEEDS = [bytes([number]) + bytes(4) for number in range(len(_MESSAGES))]


def one_input(data: bytes) -> None:
    if not data:
        return
    changed = bytearray(_MESSAGES[data[0] % len(_MESSAGES)])
    for at in range(1, min(len(data) - 3, 41), 4):
        off = int.from_bytes(data[at : at + 2], "big") % len(changed)
        if data[at + 3] & 1:
            changed[off] = data[at + 2]
        else:
            changed[off : off + 1] = bytes(data[at + 2] % 5)
    _examined(bytes(changed))
    _examined(data)


def _examined(data: bytes) -> None:
    outcome = examine(data, Matcher(), Settings(blocking=_BLOCKING), clock=Clock())
    assert not any("engine" in one.cause for one in outcome.facts.unscanned), outcome.facts.unscanned
    assert len(protocol.encode(protocol.ExamineAnswer(1, outcome))) <= protocol.answer_limit(len(data))
    if outcome.disposition is not Disposition.DELIVER:
        return
    left = judge(CONTENT, gather(walk(spliced(data, outcome.splices))).evidence, _BLOCKING)
    assert not [one for one in left if one.action is Action.DELETE]
