"""From a walk to the evidence that policy judges: a small record of what the message says, not of what it holds."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from engine import limits
from engine.policy.evidence import FILES_KEPT, Evidence, File, Header
from engine.policy.violation import Violation
from engine.scan.header import Fields, clean_name, parse, subject_texts
from engine.scan.mailboxes import addresses
from engine.scan.node import ENTITY, MULTIPART, UUE, Node
from engine.scan.walk import Walk

_NOT_KEPT: Final = re.compile(r"""[\0"':/\\<>|?*]|[,;]\s*$""")
_ENDS: Final = "'<>|?*,;:/. \t\u3000"


class Gathered(msgspec.Struct):
    """evidence: all of it, with every file. nodes: of those files, in their order."""

    evidence: Evidence
    nodes: list[Node]


def gather(walk: Walk) -> Gathered:
    """The evidence of a walk that began with a message. O(nodes of the tree)."""
    header = header_of(walk.facts.subject, walk.fields)
    root = walk.root
    if not (root.children or root.names or root.encrypted or walk.limit):
        return Gathered(Evidence(header=header), [])
    files, nodes = _files(root)
    return Gathered(Evidence(header=header, files=tuple(files), limit=walk.limit, limit_part=walk.limit_part), nodes)


def header_of(subject: str, fields: Fields) -> Header:
    """The header evidence from these fields. subject: as subject_text gives it; here it is not cut."""
    automatic = fields.automatic
    for one in fields.content_types:
        if b"report" in one.lower() and parse(one).token == "multipart/report":
            automatic = True
    others: list[str] = []
    if len(fields.subjects) > 1 or (fields.subjects and len(fields.subjects[0]) > limits.NAME_LEN):
        subject, *others = subject_texts(fields)
    return Header(subject, addresses(fields.senders), automatic, tuple(others))


def _files(root: Node) -> tuple[list[File], list[Node]]:
    """What has a name, or is encrypted. A further reading of a part that tells nothing new is left out.

    Files that a body spells out (UUE), and those in a winmail.dat, are top-level attachments: clients show them so.
    """
    files: list[File] = []
    nodes: list[Node] = []
    seen: set[File] = set()
    stack = [(root, "", True)]
    while stack:
        node, top, outside = stack.pop()
        inside = outside and node.role == ENTITY and node.format == MULTIPART
        if outside and not inside:
            top = node.part
        if node.names or node.encrypted:
            file = File(node.part, top or node.part, _names(node), node.type, node.size, node.encrypted)
            if not node.alternate or file not in seen:
                if node.children or node.alternate:
                    seen.add(file)
                files.append(file)
                nodes.append(node)
        if node.children:
            shown = outside and (inside or node.type == "tnef")
            body = outside and not node.names
            stack.extend((child, top, shown or (body and child.role == UUE)) for child in reversed(node.children))
    return files, nodes


def _names(node: Node) -> tuple[str, ...]:
    """Each name cleaned (FILE-06), and as it is when it is saved, if it has characters that no name of a file keeps."""
    found: dict[str, None] = {}
    for name in node.names:
        found[clean_name(name)] = None
        if _NOT_KEPT.search(name):
            found.update(dict.fromkeys(_saved(name)))
    found.pop("", None)
    return tuple(found)


def _saved(name: str) -> Iterator[str]:
    """Without folders, a stream behind a colon, quotes, and whatever is behind NUL."""
    name = name.partition("\0")[0].replace("\\", "/").replace('"', "").strip(_ENDS).rpartition("/")[2]
    yield clean_name(name)
    for one in name.split(":")[:2]:  # file:stream, or volume:file
        yield clean_name(one.strip(_ENDS))


def kept(evidence: Evidence, violations: Iterable[Violation]) -> Evidence:
    """The evidence with FILES_KEPT files and limits.EVIDENCE_TEXT_LEN characters at most: those first that violate
    something, then top-level ones. Subjects are cut to limits.NAME_LEN."""
    header = evidence.header
    if header.other_subjects or len(header.subject) > limits.NAME_LEN:
        subject, *others = (one[: limits.NAME_LEN] for one in (header.subject, *header.other_subjects))
        header = msgspec.structs.replace(header, subject=subject, other_subjects=tuple(others))
        evidence = msgspec.structs.replace(evidence, header=header)
    files = evidence.files
    if not files:
        return evidence
    if len(files) <= FILES_KEPT and sum(map(_length, files)) <= limits.EVIDENCE_TEXT_LEN:
        return evidence
    violating = {part for one in violations for part in one.parts}
    ranked = sorted(range(len(files)), key=lambda at: (files[at].part not in violating, not files[at].is_top, at))
    chosen = []
    room = limits.EVIDENCE_TEXT_LEN
    for at in ranked[:FILES_KEPT]:
        room -= _length(files[at])
        if room < 0:
            break
        chosen.append(at)
    few = tuple(files[at] for at in sorted(chosen))
    return msgspec.structs.replace(evidence, files=few, files_left_out=len(files) - len(few))


def _length(file: File) -> int:
    return len(file.part) + len(file.top) + sum(map(len, file.names))
