"""Texts that are run: what they are made of. Words in them are marks of the definitions."""

from typing import Final

from cext.texture import entropy, texture

LOOKED_AT: Final = 128 * 1024  # octets from the front; for marks as many from the end


def features(buf: bytes, found: dict[str, int]) -> None:
    """Put the texture of a text into found. Shares are in thousandths of its length."""
    size = min(len(buf), LOOKED_AT)
    if size < 64:
        return
    line, run, letters, digits, escapes, joints, broken, slices = texture(buf, 0, size)
    found["text.size"] = len(buf)
    found["text.line"] = line
    found["text.run"] = run
    found["text.digits"] = digits * 1000 // size
    found["text.letters-few"] = 1000 - letters * 1000 // size
    found["text.escapes"] = escapes * 1000 // size
    found["text.concatenations"] = joints * 1000 // size
    found["text.broken-words"] = broken
    found["text.slices"] = slices
    found["text.entropy"] = entropy(buf, 0, size)


def ends(buf: bytes) -> bytes:
    """What is looked at for marks."""
    return buf if len(buf) <= 2 * LOOKED_AT else buf[:LOOKED_AT] + buf[-LOOKED_AT:]
