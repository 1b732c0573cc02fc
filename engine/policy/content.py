"""From violations of content to what is taken out of the message (ENC-02, FILE-01)."""

from collections.abc import Iterable, Sequence

from engine.config import Action, Blocking
from engine.policy.deletion import Deletion, Why, merged
from engine.policy.evidence import File
from engine.policy.violation import Criterion, Violation
from engine.scan.node import Node


def deletions(
    violations: Iterable[Violation], files: Sequence[File], nodes: Sequence[Node], blocking: Blocking
) -> tuple[Deletion, ...]:
    """What action DELETE of these violations takes out. nodes: of the files, in their order. Pure."""
    wanted: dict[str, list[Violation]] = {}
    for violation in violations:
        if violation.action is Action.DELETE:
            for part in violation.parts:
                wanted.setdefault(part, []).append(violation)
    found = [
        _deletion(violation, node, blocking)
        for file, node in zip(files, nodes, strict=True)
        for violation in wanted.get(file.part, ())
    ]
    return tuple(merged(found))


def _deletion(violation: Violation, node: Node, blocking: Blocking) -> Deletion:
    if violation.criterion is Criterion.ENCRYPTED:
        text = blocking.encrypted.text if blocking.encrypted.add_text else None
        return Deletion(node, Why.ENCRYPTED, (), text)
    text = blocking.files.text if blocking.files.add_text else None
    return Deletion(node, Why.FILE_NAME, (f"{violation.value} ({violation.entry})",), text)
