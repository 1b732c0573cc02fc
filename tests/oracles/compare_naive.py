"""Numbers in content, slowly: what a byte comparison of ClamAV's .ldb means, with strings and int()."""

import re

from signatures.hexpattern import Compare

_LARGEST = (1 << 63) - 1
_WHITE = b" \t\n\v\f\r"


def _number(text: bytes, base: int) -> tuple[int, int] | None:
    """(value, octets that belong to it), None if it is too large."""
    digits = rb"[0-9a-fA-F]" if base == 16 else rb"[0-9]"
    prefix = rb"(?:0[xX](?=[0-9a-fA-F]))?" if base == 16 else b""
    found = re.match(rb"([+-]?)" + prefix + rb"(" + digits + rb"+)", text)
    if not found:
        return 0, 0
    value = int(found[2], base)
    if value > _LARGEST:
        return None
    return (-value if found[1] == b"-" else value), found.end()


def _turned(text: bytes) -> bytes:
    if len(text) <= 1:
        return text
    marked = len(text) >= 3 and text[:2].lower() == b"0x"
    if marked:
        text = (b"x00" if len(text) % 2 else b"xx") + text[2:]
    elif len(text) % 2:
        text = b"0" + text
    pairs = [text[i : i + 2] for i in range(0, len(text), 2)][::-1]
    made = b""
    for pair in pairs:
        if all(chr(octet) in "0123456789abcdefABCDEFxX" for octet in pair):
            made += pair
        else:
            made = b"0" * (len(made) + 2)
    return made


def holds(compare: Compare, data: bytes, start: int) -> bool:
    """start: where the match begins."""
    at = start + compare.offset
    if at < 0 or at + compare.length > len(data):
        return False
    piece = data[at : at + compare.length]
    if compare.form == "binary":
        value = int.from_bytes(piece, "little" if compare.little else "big")
        value -= (1 << 64) if value > _LARGEST else 0
    else:
        text = piece.lstrip(_WHITE)
        base = {"hex": 16, "decimal": 10}.get(compare.form, 16)
        if compare.form == "auto" and not (len(text) >= 3 and text[:2].lower() == b"0x"):
            if compare.little:
                return False
            base = 10
        read = _number(_turned(text) if base == 16 and compare.little else text, base)
        if read is None:
            return False
        value, used = read
        if compare.exact and (len(text) < len(piece) or used != len(text)):
            return False
    return all(value == v if op == "=" else value < v if op == "<" else value > v for op, v in compare.tests)
