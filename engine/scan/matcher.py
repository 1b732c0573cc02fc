"""What the walk needs of compiled definitions. cext.automaton.Image is one; tests bring small ones of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer


class Matcher(Protocol):
    """Immutable, may be shared. No method raises on content."""

    @property
    def revision(self) -> str: ...

    def scan(self, data: Buffer, target: str = "any", *, container: str = "") -> tuple[str, ...]:
        """Names of the signatures that match data.

        target: type of the content, as engine.scan.magic names it; container: of what it was taken out of.
        """

    def match_name(self, filename: str) -> tuple[str, ...]:
        """Names of the signatures that match a declared file name."""
