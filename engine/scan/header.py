"""The header fields that a walk needs, read as mail clients read them: leniently, and every occurrence of them.

Only Subject and the Content- fields are looked for; the lines of a section are read by cext.mime.section, in one pass.
A field that occurs twice is kept twice; which one a client obeys is not ours to guess (readings.py). What is odd about
a section is noted with the offsets where clients may see the body begin instead (entities.py).
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes

import msgspec

from cext import mime
from cext.base64 import decode as decode_base64
from engine import limits
from engine.scan.mapped import Octets

_ENCODED_PER_CHARACTER: Final = 12  # octets of an encoded-word for a character, at the very most
_USUAL_LEN: Final = 120  # octets of a field-body that is likely to come again
_BLANKS: Final = (b" ", b"\t")
_NAMING: Final = ("filename", "name")
_END_LEN: Final = 64  # characters at the end of a name that is too long
_TURNS: Final = re.compile("[\u202a-\u202e\u2066-\u2069]")
_BULK: Final = frozenset({b"bulk", b"list", b"junk"})

# A quoted-string (RFC 5322 s3.2.4) without its last quote, which may be missing. Each octet fits one alternative only:
# no field can make it backtrack.
_QUOTED: Final = re.compile(rb'"((?:[^"\\]|\\.)*)', re.S)
_ESCAPED: Final = re.compile(rb"\\(.)", re.S)
_COMMENT: Final = re.compile(rb"\([^()]*\)")
# encoded-word (RFC 2047 s2), also with the language of RFC 2231 s5 and with spaces inside, as clients accept it.
_WORD: Final = re.compile(r"=\?([^?*\s]+)(?:\*[^?\s]*)?\?([bBqQ])\?([^?]*)\?=")
_Q_ESCAPE: Final = re.compile(rb"=([0-9A-Fa-f]{2})")
# Only codecs for text: Python also registers some that expand or recurse.
_CHARSET: Final = re.compile(
    r"(utf-?(7|8|16|32)(-?[bl]e)?|us-?ascii|iso-?8859.*|windows-?\d+|cp-?\d+|koi8.*|gb\d+|gbk|big5.*|euc.*"
    r"|shift[_-]?jis|iso-?2022.*|ks_c.*|tis-620|mac.*|latin-?\d)",
    re.I,
)


class Fields(msgspec.Struct, gc=False):
    """Unfolded field-bodies in order of occurrence. Offsets are those of the octets that were read.

    body: where the body begins. not_field: the first line that is no field, or -1. blank: behind the first line of
    nothing but white space, or -1. Of a whole message only: senders (From), automatic (RFC 3834 s2).
    """

    content_types: list[bytes] = []
    encodings: list[bytes] = []
    dispositions: list[bytes] = []
    subjects: list[bytes] = []
    senders: list[bytes] = []
    automatic: bool = False
    body: int = 0
    odd: bool = False  # one of the following, or an offset
    bare_cr: bool = False
    nul: bool = False
    headless: bool = False  # the first line is no field
    truncated: bool = False  # beyond limits.HEADER_LEN, HEADER_FIELDS or OCCURRENCES: what is behind was not read
    not_field: int = -1
    blank: int = -1


class Value(msgspec.Struct, frozen=True, gc=False):
    """A structured field-body: its first token in lower case, and its parameters in order, names in lower case."""

    token: str
    parameters: tuple[tuple[str, bytes], ...] = ()
    over: bool = False  # more than limits.PARAMETERS: the rest was not read
    named: bool = False  # some parameter is of a file name
    charset: str = ""  # cut to limits.NAME_LEN

    def first(self, name: str) -> bytes:
        for key, value in self.parameters:
            if key == name:
                return value
        return b""

    def every(self, name: str) -> list[bytes]:
        return [value for key, value in self.parameters if key == name]


def collect(header: bytes, whole: bool = False) -> Fields:
    """The wanted fields of one header section. whole: of a message. Never raises."""
    return read(header, 0, len(header), whole)


def read(buf: Octets, start: int, end: int, whole: bool = False) -> Fields:
    """The wanted fields of the entity buf[start:end]. Never raises. O(length of its header section)."""
    fields = Fields()
    fields.body, flags, not_field, blank, wanted = mime.section(
        buf, start, end, limits.HEADER_LEN, limits.HEADER_FIELDS, whole
    )
    if flags:
        fields.odd = True
        fields.not_field, fields.blank = not_field, blank
        fields.truncated = flags & mime.TRUNCATED != 0
        fields.headless = flags & mime.HEADLESS != 0
        fields.bare_cr = flags & mime.BARE_CR != 0
        fields.nul = flags & mime.NUL != 0
        if fields.bare_cr or fields.nul:
            _read_odd(fields, buf[start : min(fields.body, start + limits.HEADER_LEN)], whole)
            return fields
    _keep(fields, wanted)
    return fields


def _read_odd(fields: Fields, header: bytes, whole: bool) -> None:
    """Without NUL; with a bare CR as the end of a line, and as white space: clients do either."""
    header = header.replace(b"\0", b"").replace(b"\r\n", b"\n")
    for instead in (b"\n", b" ") if fields.bare_cr else (b"\n",):
        text = header.replace(b"\r", instead)
        _, flags, _, _, wanted = mime.section(text, 0, len(text), limits.HEADER_LEN, limits.HEADER_FIELDS, whole)
        fields.truncated = fields.truncated or flags & mime.TRUNCATED != 0
        _keep(fields, wanted)


def _keep(fields: Fields, wanted: Iterable[tuple[int, bytes]]) -> None:
    for kind, body in wanted:
        if kind == mime.CONTENT_TYPE:
            known = fields.content_types
        elif kind == mime.TRANSFER_ENCODING:
            known = fields.encodings
        elif kind == mime.DISPOSITION:
            known = fields.dispositions
        elif kind == mime.SUBJECT:
            if not body:
                continue
            known = fields.subjects
        elif kind == mime.FROM:
            known = fields.senders
        else:
            fields.automatic = fields.automatic or _is_automatic(kind, body)
            continue
        if body not in known:
            if len(known) < limits.OCCURRENCES:
                known.append(body)
            else:
                fields.odd = fields.truncated = True


def _is_automatic(kind: int, body: bytes) -> bool:
    """Whether a field says that a program or a list sent the message (RFC 3834 s2 and s3.1.8, RFC 2919, MS-OXCMAIL)."""
    if kind == mime.LIST:
        return True
    words = body.lower().split(b";")[0].split(b",")
    if kind == mime.AUTO_SUBMITTED:
        return without_comments(words[0]).strip() != b"no"
    if kind == mime.PRECEDENCE:
        return words[0].strip() in _BULK
    return any(word.strip() not in (b"", b"none") for word in words)


def parse(body: bytes) -> Value:
    """A structured field-body such as Content-Type's or Content-Disposition's (RFC 2045 s5.1). Never raises. O(n)."""
    return _parse_usual(body) if len(body) <= _USUAL_LEN else _parse(body)


def _parse(body: bytes) -> Value:
    head, semicolon, rest = body.partition(b";")
    if b"(" in head:
        head = without_comments(head)
    token, more = _token(head.strip().strip(b"\"'").lower())
    if b"=" in token and b"/" not in token:  # nothing but parameters
        semicolon, rest = b";", body
    elif not semicolon and b"=" in more:  # a parameter that lacks its semicolon
        semicolon, rest = b";", body[body.lower().rfind(more) :]
    parameters = _parameters(rest) if semicolon else []
    over = len(parameters) > limits.PARAMETERS
    del parameters[limits.PARAMETERS :]
    named = any(name.startswith(_NAMING) for name, _ in parameters)
    charset = next((value for name, value in parameters if name == "charset"), b"")
    return Value(token.decode("latin-1"), tuple(parameters), over, named, text_of(charset)[: limits.NAME_LEN])


_parse_usual = lru_cache(maxsize=512)(_parse)


def without_comments(head: bytes) -> bytes:
    """Innermost ones first, down to limits.COMMENT_DEPTH: O(n) each time."""
    for _ in range(limits.COMMENT_DEPTH):
        shorter = _COMMENT.sub(b"", head)
        if shorter == head:
            break
        head = shorter
    return head


def _token(head: bytes) -> tuple[bytes, bytes]:
    """(type "/" subtype without blanks around the slash, or the first word; what follows it)."""
    if b" " not in head and b"\t" not in head:
        return head, b""
    kind, slash, subtype = head.partition(b"/")
    first, *more = (subtype if slash else kind).split(None, 1) or [b""]
    return kind.strip() + slash + first if slash else first, more[0] if more else b""


def _parameters(rest: bytes) -> list[tuple[str, bytes]]:
    """parameter := attribute "=" value (RFC 2045 s5.1); a token may hold blanks, a quoted-string may lack its end."""
    found: list[tuple[str, bytes]] = []
    at = 0
    while len(found) <= limits.PARAMETERS and (equals := rest.find(b"=", at)) >= 0:
        at = rest.rfind(b";", at, equals) + 1 or at
        attribute = rest[at:equals]
        words = (without_comments(attribute) if b"(" in attribute else attribute).split()
        at = equals + 1
        while rest[at : at + 1] in _BLANKS:
            at += 1
        quoted = _QUOTED.match(rest, at)
        if quoted is None:
            end = rest.find(b";", at)
            end = len(rest) if end < 0 else end
            value = rest[at:end].strip()
        else:
            end = quoted.end() + 1
            value = quoted.group(1)
        at = end
        if words:
            name = words[-1].lower().decode("latin-1")
            if quoted is not None and b"\\" in value:  # as the grammar has it, and as it stands: DOS paths, boundaries
                found.append((name, _ESCAPED.sub(rb"\1", value)))
            found.append((name, value))
            if name.startswith(_NAMING):
                found += [(name, one) for one in _loose(rest, end, value, quoted is not None)]
    return found


def _loose(rest: bytes, end: int, value: bytes, quoted: bool) -> Iterator[bytes]:
    """What lenient readers make of a name that ends at rest[end] besides: without comments, and with what stands behind
    a quoted-string."""
    if not quoted:
        if b"(" in value:
            yield without_comments(value).strip()
        return
    stop = rest.find(b";", end)
    behind = without_comments(rest[end : len(rest) if stop < 0 else stop]).strip()
    if behind:
        yield value + behind


def filenames(disposition: list[Value], content_type: list[Value]) -> tuple[str, ...]:
    """File names that an entity declares, in all their decodings, best first, each once (FILE-06).

    At most limits.NAMES and two more, which tells that there are too many. A name that turns the direction of writing
    also stands there as it was declared.
    """
    names: dict[str, None] = {}
    for values, attributes in ((disposition, ("filename", "name")), (content_type, ("name", "filename"))):
        for value, attribute in ((value, one) for value in values if value.named for one in attributes):
            for name in _names(value, attribute):
                for said in (name, name.partition("\0")[0]) if "\0" in name else (name,):  # some readers stop at NUL
                    cleaned = clean_name(said)
                    if cleaned and len(names) <= limits.NAMES:
                        names[cleaned] = None
                        if not said.isascii() and _TURNS.search(said):
                            names[said[: limits.NAME_LEN]] = None
    return tuple(names)


def _names(value: Value, attribute: str) -> list[str]:
    """Extended forms first, as clients prefer them; the plain one decoded, and as it stands."""
    names: list[str] = []
    extended: list[str] = []
    star = attribute + "*"
    first: dict[int, tuple[bytes, bool]] = {}
    last: dict[int, tuple[bytes, bool]] = {}
    for key, raw in value.parameters:
        if not key.startswith(attribute):
            continue
        if key == attribute:
            text = text_of(_shortened(raw))
            names.append(decode_words(text))
            if "=?" in text:
                names.append(text)
            if "%" in text:  # not RFC 2231, but some clients decode it
                names.append(text_of(unquote_to_bytes(text.encode())))
        elif key.startswith(star):
            number = key[len(star) :].rstrip("*")
            if not number:
                extended.append(_extended(raw))
            elif number.isdecimal() and number.isascii() and len(number) < 4:
                first.setdefault(int(number), (raw, key.endswith("*")))
                last[int(number)] = (raw, key.endswith("*"))
    if first:
        extended.append(_joined(first))
        if last != first:
            extended.append(_joined(last))
    for name in extended:
        if "=?" in name:  # encoded twice
            names.insert(0, decode_words(name))
    return extended + names


def _extended(raw: bytes) -> str:
    """ext-value of RFC 2231 s4 (charset'language'octets); without its quotes it is only percent-decoded."""
    raw = _shortened(raw)
    parts = raw.split(b"'", 2)
    if len(parts) == 3:
        return decode_charset(unquote_to_bytes(parts[2]), parts[0].decode("latin-1"))
    return text_of(unquote_to_bytes(raw))


def _shortened(raw: bytes) -> bytes:
    """Without the middle of what is too long for a name: how it ends says what the file is."""
    room = limits.NAME_LEN * _ENCODED_PER_CHARACTER // 2
    return raw if len(raw) <= 2 * room else raw[:room] + raw[-room:]


def _joined(pieces: dict[int, tuple[bytes, bool]]) -> str:
    """Continuations of RFC 2231 s3 and s4.1, in the order of their numbers; gaps are passed over."""
    charset = ""
    octets = []
    for index, (raw, extended) in sorted(pieces.items()):
        if extended:
            if index == 0 and raw.count(b"'") >= 2:
                words, _, raw = raw.split(b"'", 2)
                charset = words.decode("latin-1")
            raw = unquote_to_bytes(raw)
        octets.append(raw)
    name = _shortened(b"".join(octets))
    return decode_charset(name, charset) if charset else decode_words(text_of(name))


def clean_name(name: str) -> str:
    """Without control and direction characters, surrounding and trailing dots and blanks (FILE-06).

    Cut to limits.NAME_LEN, in its middle: the end says what kind of file it is.
    """
    if not name.isprintable():
        name = "".join(c for c in name if c.isprintable() or c == "\u3000")
    name = name.strip().rstrip(". \u3000")
    return name if len(name) <= limits.NAME_LEN else name[: limits.NAME_LEN - _END_LEN] + name[-_END_LEN:]


def decode_words(text: str) -> str:
    """Text with its encoded-words decoded (RFC 2047). What is not decodable stays as it is.

    White space between two of them goes (s6.2). A character that is cut between words of one charset is put together,
    as clients do, though s5 forbids it.
    """
    if "=?" not in text:
        return text
    shown: list[str] = []
    pending: list[bytes] = []  # not joined before its end: very many words cost only as much as there are
    charset, at = "", 0
    for match in _WORD.finditer(text):
        between = text[at : match.start()]
        octets = _word(match)
        if pending and match.group(1).lower() == charset and not between.strip():
            pending.append(octets)
        else:
            shown.append(decode_charset(b"".join(pending), charset))
            if between.strip() or not at:
                shown.append(between)
            pending, charset = [octets], match.group(1).lower()
        at = match.end()
    shown += (decode_charset(b"".join(pending), charset), text[at:])
    return "".join(shown)


def _word(match: "re.Match[str]") -> bytes:
    payload = match.group(3).encode("utf-8", "replace")
    if match.group(2) in "qQ":
        return _Q_ESCAPE.sub(lambda m: bytes([int(m.group(1), 16)]), payload.replace(b"_", b" "))
    return decode_base64(payload)[0]


def decode_charset(octets: bytes, charset: str) -> str:
    if _CHARSET.fullmatch(charset):
        try:
            return octets.decode(charset, "replace")
        except LookupError:  # looks like one, but Python has none of that name
            pass
    return text_of(octets)


def text_of(octets: bytes) -> str:
    """UTF-8 if it is (RFC 6532), else each octet one character."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("latin-1")


def subject_texts(fields: Fields) -> tuple[str, ...]:
    """The subject, and that of each further Subject field: decoded, white space as blanks, without other characters
    that are not shown; an empty one if there is none."""
    return tuple(map(_shown, fields.subjects)) or ("",)


def subject_text(fields: Fields) -> str:
    """The subject for events and pages, cut."""
    return _shown(fields.subjects[0])[: limits.NAME_LEN] if fields.subjects else ""


def _shown(body: bytes) -> str:
    text = decode_words(text_of(body))
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " if c.isspace() else "" for c in text)
    return text
