"""Which cleaner is for which kind of content, and what is one file when something in it is infected (AV-04, AV-13)."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from engine.repair import html, odf, ole, ooxml, pdf, rtf
from engine.repair.recipes import NO_RECIPES, Recipe, run
from engine.repair.repaired import Repaired
from engine.rewrite.places import can_go_alone
from engine.scan.node import MEMBER, Node

Cleaner = Callable[[bytes], Repaired | None]

_CLEANERS: Final[dict[str, Cleaner]] = {
    "docx": ooxml.cleaned,
    "html": html.cleaned,
    "odf": odf.cleaned,
    "ole": ole.cleaned,
    "ooxml": ooxml.cleaned,
    "pdf": pdf.cleaned,
    "pptx": ooxml.cleaned,
    "rtf": rtf.cleaned,
    "text": html.cleaned_wide,
    "xlsx": ooxml.cleaned,
}
# How often a cleaner holds its content beside that itself, measured with large ones; recipes do it twice.
_COPIES: Final = {"html": 4, "ole": 4, "pdf": 3, "text": 6}
_PACKED_COPIES: Final = 1.1
_PART_COPIES: Final = {"html": 4, "ole": 4, "rtf": 4, "text": 4, "zip": 4}  # of a part, besides; others are looked at
# What is one file to people, though it is opened: what is infected in it is repaired by repairing all of it.
DOCUMENTS: Final = frozenset({"docx", "html", "odf", "ole", "ooxml", "pdf", "pptx", "rtf", "xlsx"})


_PACKAGES: Final = frozenset({"docx", "odf", "ooxml", "pptx", "xlsx"})


def kind_of(node: Node) -> str:
    """Kind of content of a node, as `repair` wants it."""
    return node.document or node.package or node.type


def file_of(way: list[Node], *, whole: bool) -> int:
    """Index in way, which leads from a root to an infected node, of the file that people would say is infected.

    whole: parts of a document belong to it; otherwise only those that cannot be taken out of it alone.
    """
    at = len(way) - 1
    while at > 0 and way[at].role == MEMBER and kind_of(way[at - 1]) in DOCUMENTS:
        if not whole and can_go_alone(way[at - 1], way[at]):
            break
        at -= 1
    return at


def can_repair(kind: str, viruses: Iterable[str], known: Mapping[str, Recipe]) -> bool:
    """Whether anything is known that repairs content of this kind, or of what was found in it."""
    return kind in _CLEANERS or any(virus in known for virus in viruses)


def cost(node: Node, length: int) -> int:
    """How many octets the repair of node may hold at one time beside its content, which has so many: its result, copies
    on the way, and the parts that it unpacks."""
    kind = kind_of(node)
    each = _PACKED_COPIES if kind in _PACKAGES else _COPIES.get(kind, 2)
    packed = (inner for inner in node.everything() if inner is not node and inner.encoding)
    return int(each * length) + max((_PART_COPIES.get(one.type, 1) * one.size for one in packed), default=0)


def repair(
    content: bytes, kind: str, viruses: tuple[str, ...] = (), known: Mapping[str, Recipe] = NO_RECIPES
) -> Repaired | None:
    """content without what makes it infected, or None: nothing can be done. Never raises on content.

    kind: of `kind_of`. viruses: what was found in it. known: recipes by name; they come before the cleaner, which is
    asked if there is anything without a recipe that fits.
    """
    done: list[str] = []
    for virus in viruses:
        changed = run(content, known[virus]) if virus in known else None
        if changed is not None:
            content = changed
            done.append(f"code of {virus}")
    if len(done) == len(viruses) and done:
        return Repaired(content, tuple(done))
    cleaner = _CLEANERS.get(kind)
    found = None if cleaner is None else cleaner(content)
    if found is None:
        return Repaired(content, tuple(done)) if done else None
    return Repaired(found.content, (*done, *found.done))
