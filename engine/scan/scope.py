"""Which files are scanned for viruses: all, those with listed extensions, or all but these (SCAN-01..06).

The walk opens everything, since content policy looks at all of it (SCAN-06). What is left out here is forgotten
afterwards: what matched in it, and that something in it could not be examined. That it was not scanned is said.

A file counts by every name that it declares: one that has to be scanned is enough. What has no name, or one without an
extension, is always scanned, and so is what a document is made of: the parts of a .docx belong to the .docx.
"""

from collections.abc import Callable, Iterator
from typing import Final

from engine import limits
from engine.config import Antivirus, ScannedFiles
from engine.policy.deletion import within
from engine.scan.facts import Cause, Match, Unscanned
from engine.scan.node import MEMBER, Node
from engine.scan.walk import Walk

LEFT_OUT: Final = "left out by scan policy"
# What people put files into; members of other types are pieces of one document.
_ARCHIVES: Final = frozenset(
    {"7z", "ar", "bzip2", "cab", "compress", "cpio", "gzip", "iso", "lha", "lz4", "lzip", "lzma", "mail", "rar"}
    | {"rpm", "tar", "text", "tnef", "xz", "zip", "zstd"}
)


def narrow(walk: Walk, antivirus: Antivirus) -> None:
    """Forget what was found in files that are not to be scanned. Cost O(nodes of the tree)."""
    if antivirus.files is ScannedFiles.ALL:
        return
    left = list(_left_out(walk.root, _wanted(antivirus)))
    if not left:
        return
    gone = within(left)
    facts = walk.facts
    # Two members of an archive may have the same path: only where none of them is scanned, nothing is to be said.
    scanned = {node.part for node in walk.root.everything() if id(node) not in gone}
    unseen = {node.part for node in walk.root.everything() if id(node) in gone} - scanned
    for node in walk.root.everything():
        if id(node) in gone:
            node.viruses = ()
    facts.matches = [Match(virus, node.part) for node in walk.root.everything() for virus in node.viruses]
    del facts.matches[limits.FINDINGS :]
    # A limit that was reached may have kept the walk from others: it stays.
    kept = [one for one in facts.unscanned if one.cause is Cause.LIMIT or one.part not in unseen]
    room = max(0, limits.FINDINGS - len(kept))
    facts.unscanned = [*kept, *(Unscanned(node.part, Cause.DISABLED, LEFT_OUT) for node in left[:room])]


def _wanted(antivirus: Antivirus) -> Callable[[str], bool]:
    """Whether a file of this name is scanned."""
    listed_only = antivirus.files is ScannedFiles.LISTED
    listed = {one.lower() for one in (antivirus.include if listed_only else antivirus.exclude)}

    def wanted(name: str) -> bool:
        base = name.replace("\\", "/").rpartition("/")[2].rstrip(". ").lower()
        _, dot, extension = base.rpartition(".")
        return not dot or (f".{extension}" in listed) is listed_only

    return wanted


def _left_out(root: Node, wanted: Callable[[str], bool]) -> Iterator[Node]:
    """The outermost nodes that are not scanned; nothing inside of them is either (SCAN-03, SCAN-04)."""
    stack = [(root, True)]
    while stack:
        node, is_file = stack.pop()
        if is_file and node.names and not any(map(wanted, node.names)):
            yield node
            continue
        of_files = node.type in _ARCHIVES and not node.document
        stack.extend((child, child.role != MEMBER or of_files) for child in reversed(node.children))
