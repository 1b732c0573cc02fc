"""Repair of infected files (AV-04, AV-13): what can be taken out of a file so that the rest of it is still of use.

A cleaner is a module for each kind of content, with one pure function `cleaned(content) -> Repaired | None`. It takes
out everything that can act, not only what matched: scripts, macros, links that fetch what acts. Cleaners work on
hostile octets inside the scanner's sandbox, are bounded by their own constants, and raise nothing on content. Whether
a repair is good enough is not theirs to say: the whole message is walked again afterwards.
"""

from collections.abc import Callable
from typing import Final

from engine.repair import html, pdf
from engine.repair.repaired import Repaired

__all__ = ["Cleaner", "Repaired", "repair"]

Cleaner = Callable[[bytes], Repaired | None]

_CLEANERS: Final[dict[str, Cleaner]] = {
    "html": html.cleaned,
    "pdf": pdf.cleaned,
    "text": html.cleaned_wide,
}


def repair(content: bytes, kind: str, viruses: tuple[str, ...] = ()) -> Repaired | None:
    """content without what makes it infected, or None: nothing can be done. Never raises on content.

    kind: of engine.scan.magic, or for a zip that is a document the name that engine.scan.formats.ooxml gives it.
    viruses: what was found in it.
    """
    cleaner = _CLEANERS.get(kind)
    return None if cleaner is None else cleaner(content)
