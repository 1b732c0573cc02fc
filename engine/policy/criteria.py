"""The criteria of the blocking policy in their order (PROC-20). A new one is a file with `judge` and a line here.

Those about content are judged where the content was read, in the scanner; those about the sender in the relay, which
alone can ask DNS. Size, characters and relay rules come earlier, during SMTP (BLK-02).
"""

from collections.abc import Callable, Sequence
from typing import Final

from engine.config import Blocking
from engine.policy import block_list, container_limits, dmarc, encrypted, file_names, sender, subject
from engine.policy.evidence import Evidence
from engine.policy.violation import Violation

Judge = Callable[[Evidence, Blocking], list[Violation]]

SENDER: Final[Sequence[Judge]] = (sender.judge, block_list.judge, dmarc.judge)
CONTENT: Final[Sequence[Judge]] = (subject.judge, container_limits.judge, encrypted.judge, file_names.judge)


def judge(criteria: Sequence[Judge], evidence: Evidence, blocking: Blocking) -> list[Violation]:
    """All violations of these criteria. Pure."""
    return [violation for one in criteria for violation in one(evidence, blocking)]
