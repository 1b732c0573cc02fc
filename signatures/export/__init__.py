"""Signatures written down again: in our own language, and in ClamAV's formats where these can say it.

toml(signatures)     the source text, and what it cannot say
clamav(signatures)   lines by format (".ndb", ".ldb", ...), and what they cannot say
"""

from signatures.export.clamav_lines import clamav
from signatures.export.common import Left
from signatures.export.own import toml

__all__ = ["Left", "clamav", "toml"]
