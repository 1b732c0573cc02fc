"""Takes infected parts out of a message and leaves every other octet as it was (AV-07, AV-10)."""

from engine.rewrite.tree import CannotRewrite, apply, removed, spliced

__all__ = ["CannotRewrite", "apply", "removed", "spliced"]
