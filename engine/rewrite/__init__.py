"""Takes infected parts out of a message, or repairs them; every other octet stays as it was (AV-07, AV-09, AV-10)."""

from engine.rewrite.mender import CannotRepair, CannotRewrite, Mender
from engine.rewrite.places import can_be_exchanged
from engine.rewrite.room import Room
from engine.rewrite.tree import apply, lying_in, removed, spliced

__all__ = [
    "CannotRepair",
    "CannotRewrite",
    "Mender",
    "Room",
    "apply",
    "can_be_exchanged",
    "lying_in",
    "removed",
    "spliced",
]
