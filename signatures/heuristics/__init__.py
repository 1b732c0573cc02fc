"""Heuristics as sources: what to look for besides signatures, and how it is weighed (AV-03).

    [[mark]]     like a signature, but what it finds is only a feature: a name that families give points to
    [[family]]   a kind of unknown malware: which content it is about, what must be there, reasons with their points,
                 and the points that are enough at each level

    [[mark]]
    name = "code.download"
    target = "script"
    text = "URLDownloadToFile"
    nocase = true

    [[family]]
    name = "ScriptDropper"
    of = ["script"]
    needs = ["code.download|code.fetch", "code.start"]
    low = 120
    medium = 100
    high = 60
    reasons = [
      { feature = "code.download", points = 50, words = "it fetches a file from the net" },
    ]

Marks become an image of their own, so that scanning for them is the same as for signatures; it and the families are the
annex `heuristics` of a definitions image. The engine declares the same Structs (engine/heuristics/rules.py); a test
keeps them equal, and FEATURES equal to what the engine finds by code.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from signatures import image
from signatures.heuristics.model import ANNEX, FEATURES, Annex, Family
from signatures.model import Signature

__all__ = ["ANNEX", "FEATURES", "annex", "folder"]


def folder() -> Path:
    """Where the sources are that ship with Mailward."""
    return Path(__file__).parent


def annex(marks: Sequence[Signature], families: Sequence[Family]) -> bytes:
    """The octets of the annex."""
    return _ENCODER.encode(Annex(tuple(families), image.build(marks)))


_ENCODER: Final = msgspec.msgpack.Encoder()
