"""Addresses of a From field (RFC 5322 s3.4, RFC 6532), read leniently: whatever a mail client may take for one counts.

Display names, comments and group names do not (SNDR-02), with one exception: where a field has no address at all, its
encoded-words are decoded and looked into, as some clients do.

Cost O(length of the field). Known gaps: routes in an angle address (obsolete) are passed over, not kept.
"""

import re
from collections.abc import Iterable
from typing import Final

from engine import limits
from engine.scan.header import decode_words, text_of

_FIELD_LEN: Final = 64 * 1024  # octets of a field that are read in full; FROM_ADDRESSES fit in with long names
_ADDRESS_LEN: Final = limits.PATH_LEN
# display-name <local@domain>, without anything that needs more than this to be read.
_USUAL: Final = re.compile(rb"[^\x80-\xff\"(),.:;<>@\[\\\]=\t\r\n]*<([!#-'*+\-/-9=?A-Z^-~.]+@[0-9A-Za-z.-]+)>")
_TOKEN: Final = re.compile(
    r'(?P<string>"(?:[^"\\]|\\.)*"?)|(?P<comment>\()|(?P<literal>\[[^\]]*\]?)|(?P<mark>[<>,;:])|(?P<blank>\s+)'
    r'|(?P<text>[^"(\[<>,;:\s]+)',
    re.S,
)
_IN_COMMENT: Final = re.compile(r"[^()\\]+|\\.?|[()]", re.S)
_SPECIAL: Final = re.compile(r'[\s<>,;:"()]')
_WORD: Final = re.compile(r'[^\s<>,;:"()]+')
_QUOTED_PAIR: Final = re.compile(r"\\(.)", re.S)


def addresses(fields: Iterable[bytes]) -> tuple[str, ...]:
    """The addresses of these unfolded field-bodies in order, each once, lower case; limits.FROM_ADDRESSES at most."""
    found: dict[str, None] = {}
    for field in fields:
        usual = _USUAL.fullmatch(field)
        if usual is not None and len(usual[1]) <= _ADDRESS_LEN and b"=?" not in field:
            found[usual[1].decode().lower()] = None
            continue
        text = text_of(field[:_FIELD_LEN])
        read = _read(text) or (_read(decode_words(text)) if "=?" in text else [])
        if len(field) > _FIELD_LEN:
            read += _words(text_of(field[_FIELD_LEN - _ADDRESS_LEN :]))
        found.update(dict.fromkeys(read))
    return tuple(found)[: limits.FROM_ADDRESSES]


def _read(text: str) -> list[str]:
    found: list[str] = []
    loose: list[str] = []  # words since the last comma: an address without angle brackets, or a display name
    angle: list[str] | None = None
    named = False  # this mailbox had an angle address: what is behind it is none
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:  # cannot be: every character begins one
            break
        at = token.end()
        kind, word = token.lastgroup, token[0]
        if kind == "comment":
            at = _behind_comment(text, at)
        elif kind == "blank":
            (loose if angle is None else angle).append(" ")
        elif kind != "mark":
            (loose if angle is None else angle).append(word)
        elif word == "<":
            angle = []
        elif word == ">" or (angle is not None and word == ";"):
            if angle is not None:
                named = _take(found, "".join(angle).replace(" ", "")) or named
            angle = None
        elif angle is not None:
            if word in ",:":
                angle = []  # a route: the address comes behind it
        elif word == ":":
            loose = []  # a group's name
        else:
            if not named:
                _take_loose(found, loose)
            loose, named = [], False
    if angle is not None:
        named = _take(found, "".join(angle).replace(" ", "")) or named
    if not named:
        _take_loose(found, loose)
    return found


def _words(text: str) -> list[str]:
    """Every word that is an address, whatever it stands in: padding must not hide who is named behind it."""
    found: list[str] = []
    for word in _WORD.findall(text):
        if "@" in word and _take(found, word) and len(found) >= limits.FROM_ADDRESSES:
            break
    return found


def _behind_comment(text: str, at: int) -> int:
    depth = 1
    while depth and (token := _IN_COMMENT.match(text, at)) is not None:
        at = token.end()
        depth += (token[0] == "(") - (token[0] == ")")
    return at


def _take_loose(found: list[str], tokens: list[str]) -> None:
    """Words without angle brackets: those with an @ in them. Blanks around dots and @ part no words (obsolete)."""
    words: list[str] = []
    apart = True
    for token in tokens:
        if token == " ":
            apart = True
            continue
        if words and (not apart or words[-1][-1] in ".@" or token[0] in ".@"):
            words[-1] += token
        else:
            words.append(token)
        apart = False
    for word in words:
        _take(found, word)


def _take(found: list[str], word: str) -> bool:
    """Whether word is an address."""
    if "=?" in word:
        word = decode_words(word)
        if _SPECIAL.search(word):
            return False  # more than an address was encoded
    if word[:1] == '"':
        word = _unquoted(word)
    local, at, domain = word.rpartition("@")
    domain = domain.rstrip(".")
    address = f"{local}@{domain}".lower()
    if not (at and local and domain and len(address) <= _ADDRESS_LEN and address.isprintable()):
        return False
    found.append(address)
    return True


def _unquoted(word: str) -> str:
    """ "local"@domain as local@domain: they are the same address. A string by itself is none, whatever it holds."""
    string = _TOKEN.match(word)
    if string is None or string.lastgroup != "string":
        return word
    rest = word[string.end() :]
    return _QUOTED_PAIR.sub(r"\1", string[0].strip('"')) + rest if rest[:1] == "@" else ""
