"""RTF without embedded objects, DDE fields and remote templates (RTF 1.9.1), as long as it was.

What is taken out becomes blanks, in groups that readers pass over: some stop at an object without data. The picture
that shows an object and the last result of a field stay. Where readers may differ about what belongs to an object, all
that any of them takes for one is looked for again at the end; if something is left, the document is not repaired.

Known gaps: a document whose groups are not closed is not cleaned.
"""

import re
from collections.abc import Callable
from typing import Final

from cext.rtf import ESCAPES, FLAT, GROUPS, NO_BIN, objects
from engine.repair.allowance import Allowance, Irregular, Spent
from engine.repair.repaired import Repaired

_OBJECTS, _DDE, _TEMPLATE = "embedded objects", "DDE fields", "external template"
_READINGS: Final = (0, GROUPS, FLAT, GROUPS | ESCAPES, NO_BIN, GROUPS | NO_BIN)
_MOST: Final = 4_000
# Or an escaped backslash, behind which no control word begins.
_KEYWORDS: Final = re.compile(rb"\\\\|\\(objdata|datastore|fldinst|template|objupdate|objautlink|objlink)(?![a-z])")
_UNKNOWN_GROUP: Final = b"\\*\\nobj"  # where `\\*` does not say yet that readers may pass over it
_STAR_LEN: Final = 16
_TOKEN: Final = re.compile(rb"\\bin(-?\d{1,10}) ?|\\.|[{}]", re.S)
# What the text of an instruction is made of: \'hh, \uN, a control word, a control symbol, or octets as they are.
_TEXT: Final = re.compile(
    rb"\\'([0-9A-Fa-f]{2})|\\u(-?\d{1,6}) ?|\\[a-z]{1,32}(?:-?\d{1,10})? ?|\\(.)|[{}\r\n]|([^\\{}\r\n]++)", re.S
)
_UNICODE: Final = re.compile(rb"\\u(-?\d{1,6})")
_NOT_ASCII: Final = 0x80
INSTRUCTION_LEN: Final = 1 << 16  # octets of an instruction or a template's place that are read
_DDE_START: Final = re.compile(r"\W*dde", re.I)
_REMOTE: Final = re.compile(r"//|\\\\")


def cleaned(content: bytes) -> Repaired | None:
    """The document without what acts, as long as it was. None: nothing of that kind, or it cannot be changed."""
    try:
        return _cleaned(content, Allowance())
    except (Irregular, Spent):
        return None


def _cleaned(content: bytes, allowance: Allowance) -> Repaired | None:
    octets = bytearray(content)
    done: dict[str, None] = {}
    at = 0
    while (found := _KEYWORDS.search(content, at)) is not None:
        allowance.step()
        at = found.end()
        word = found[1]
        if word is None:
            continue
        judge = _GROUPS.get(word)
        if judge is None:
            octets[found.start() : at] = _unknown(word)
            done[_OBJECTS] = None
            continue
        end = _end(content, found.end(), allowance)
        words = judge(content[at:end])
        if words:
            octets[at:end] = b" " * (end - at)
            if words == _OBJECTS:
                starred = content[max(0, found.start() - _STAR_LEN) : found.start()].rstrip().endswith(b"\\*")
                octets[found.start() : at] = _unknown(word) if starred else _UNKNOWN_GROUP.ljust(len(word) + 1, b"x")
            done[words] = None
            at = end
    if not done:
        return None
    result = bytes(octets)
    for reading in _READINGS:
        left, over, _ = objects(result, reading, allowance.room(), _MOST)
        if over or any(one.strip(b"\0") for _, one in left):
            return None
    return Repaired(result, tuple(done))


def _unknown(word: bytes) -> bytes:
    """A control word that no reader knows, as long as that one: blanks in its place might be shown as text."""
    return b"\\x" + word[:-1]


def _object(inside: bytes) -> str:
    return _OBJECTS


def _instruction(inside: bytes) -> str:
    text = _plain(inside)
    unclear = len(inside) > INSTRUCTION_LEN and not text.strip()  # it may say so behind what was read
    unclear = unclear or _disguised(inside)
    return _DDE if unclear or _DDE_START.match(text) else ""


def _template(inside: bytes) -> str:
    unclear = len(inside) > INSTRUCTION_LEN or _disguised(inside)
    return _TEMPLATE if unclear or _REMOTE.search(_plain(inside)) else ""


def _disguised(inside: bytes) -> bool:
    """Whether ASCII is written as if it were not: what stands behind each for older readers is text or not, as
    `\\uc` says, and no program writes it."""
    return any(int(found[1]) & 0xFFFF < _NOT_ASCII for found in _UNICODE.finditer(inside[:INSTRUCTION_LEN]))


_GROUPS: Final[dict[bytes, Callable[[bytes], str]]] = {
    b"objdata": _object,
    b"datastore": _object,
    b"fldinst": _instruction,
    b"template": _template,
}


def _end(content: bytes, at: int, allowance: Allowance) -> int:
    """Offset of the brace that closes the group around at. Raises Irregular if there is none."""
    depth, begin = 1, at
    while (found := _TOKEN.search(content, at)) is not None:
        allowance.step()
        at = found.end()
        if found[0] == b"{":
            depth += 1
        elif found[0] == b"}":
            depth -= 1
            if depth == 0:
                allowance.unpacked(at - begin)
                return found.start()
        elif found[1] is not None:
            at += max(0, int(found[1]))
    raise Irregular


def _plain(inside: bytes) -> str:
    """Text of a destination, without groups and control words, as far as it matters."""
    pieces: list[str] = []
    for found in _TEXT.finditer(inside[:INSTRUCTION_LEN]):
        if found[1]:
            pieces.append(chr(int(found[1], 16)))
        elif found[2]:
            pieces.append(chr(int(found[2]) & 0xFFFF))
        elif found[3]:
            pieces.append(found[3].decode("latin-1"))
        elif found[4]:
            pieces.append(found[4].decode("latin-1"))
    return "".join(pieces)
