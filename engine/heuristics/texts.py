"""Texts that are run: what they are made of. Words in them are marks of the definitions."""

import re
import zlib
from typing import Final

from cext.texture import texture

LOOKED_AT: Final = 128 * 1024  # octets from the front
MARKED: Final = 512 * 1024  # octets from the front, and as many from the end, in which marks are looked for
_SAMPLE_LEN: Final = 64 * 1024
_PADDING: Final = 16  # programs are packed to a quarter; what is packed to this part only fills space
_PIECED: Final = 3  # places where words are put together, from which on they are looked at as they will be
_JOINTS: Final = re.compile(rb"""[\^`]|"[ \t]{0,8}[+&][ \t]{0,8}"|'[ \t]{0,8}[+&][ \t]{0,8}'""")


def features(buf: bytes, found: dict[str, int]) -> bool:
    """Put the texture of a text into found. Shares are in thousandths of its length.

    Returns whether words in it are broken, or put together from pieces.
    """
    size = min(len(buf), LOOKED_AT)
    if size < 64:
        return False
    line, run, letters, digits, escapes, joints, broken, slices = texture(buf, 0, size)
    found["text.size"] = _own_len(buf)
    found["text.line"] = line
    found["text.run"] = run
    found["text.digits"] = digits * 1000 // size
    found["text.letters-few"] = 1000 - letters * 1000 // size
    found["text.escapes"] = escapes * 1000 // size
    found["text.concatenations"] = joints * 1000 // size
    found["text.broken-words"] = broken
    found["text.slices"] = slices
    return joints + broken >= _PIECED


def _own_len(buf: bytes) -> int:
    """Octets of it; of one that is mostly padding, what is looked at."""
    if len(buf) <= LOOKED_AT:
        return len(buf)
    middle = len(buf) // 2
    packed = zlib.compress(buf[middle - _SAMPLE_LEN // 2 : middle + _SAMPLE_LEN // 2], 1)
    return LOOKED_AT if len(packed) * _PADDING < _SAMPLE_LEN else len(buf)


def joined(buf: bytes) -> bytes:
    """As it will be when it runs: pieces of words put together."""
    return _JOINTS.sub(b"", buf)


def ends(buf: bytes) -> bytes:
    """What is looked at for marks."""
    return buf if len(buf) <= 2 * MARKED else buf[:MARKED] + buf[-MARKED:]
