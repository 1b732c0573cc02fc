"""The header fields that a walk needs, read as mail clients read them: leniently, and every occurrence of them.

Only Subject and the Content- fields are looked for (by substring search over the whole section, not line by line):
a header section of 4 KB costs a few microseconds. A field that occurs twice is kept twice; which one a client obeys
is not ours to guess (readings.py).
"""

import re
from urllib.parse import unquote_to_bytes

import msgspec

from cext.base64 import decode as decode_base64
from engine import limits

_ENCODED_PER_CHARACTER = 12  # octets of an encoded-word for a character, at the very most
OCCURRENCES = 8  # of one field that are kept; more than two different ones is already an attack
_CR, _LF = 13, 10
_BLANKS = (b" ", b"\t")
# Some clients accept white space or a comment between a field-name and its colon.
_WANTED = re.compile(rb"content-(?:(type)|(transfer-encoding)|(disposition))[ \t]*(?:\([^\r\n]{0,200}?\)[ \t]*)?:")

# A quoted-string (RFC 5322 s3.2.4) without its last quote, which may be missing. Each octet fits one alternative only:
# no field can make it backtrack.
_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)', re.S)
_ESCAPED = re.compile(rb"\\(.)", re.S)
_COMMENT = re.compile(rb"\([^()]*\)")
# encoded-word (RFC 2047 s2), also with the language of RFC 2231 s5 and with spaces inside, as clients accept it.
_WORD = re.compile(r"=\?([^?*\s]+)(?:\*[^?\s]*)?\?([bBqQ])\?([^?]*)\?=")
_BETWEEN_WORDS = re.compile(r"(\?=)\s+(=\?)")
_Q_ESCAPE = re.compile(rb"=([0-9A-Fa-f]{2})")
# Only codecs for text: Python also registers some that expand or recurse.
_CHARSET = re.compile(
    r"(utf-?(7|8|16|32)(-?[bl]e)?|us-?ascii|iso-?8859.*|windows-?\d+|cp-?\d+|koi8.*|gb\d+|gbk|big5.*|euc.*"
    r"|shift[_-]?jis|iso-?2022.*|ks_c.*|tis-620|mac.*|latin-?\d)",
    re.I,
)


class Fields(msgspec.Struct):
    """Unfolded field-bodies in order of occurrence."""

    content_types: list[bytes] = []
    encodings: list[bytes] = []
    dispositions: list[bytes] = []
    subject: bytes = b""
    bare_cr: bool = False
    nul: bool = False
    truncated: bool = False  # longer than limits.HEADER_LEN: what is behind was not read


class Value(msgspec.Struct, frozen=True):
    """A structured field-body: its first token in lower case, and its parameters in order, names in lower case."""

    token: str
    parameters: tuple[tuple[str, bytes], ...] = ()

    def first(self, name: str) -> bytes:
        for key, value in self.parameters:
            if key == name:
                return value
        return b""

    def every(self, name: str) -> list[bytes]:
        return [value for key, value in self.parameters if key == name]


def collect(header: bytes, subject: bool = False) -> Fields:
    """The wanted fields of one header section. subject: also the first Subject field. Never raises."""
    fields = Fields()
    if len(header) > limits.HEADER_LEN:
        header, fields.truncated = header[: limits.HEADER_LEN], True
    if b"\0" in header:
        header, fields.nul = header.replace(b"\0", b""), True
    if header.count(b"\r") != header.count(b"\r\n"):
        # Some clients end a line at a bare CR. Fields that only they see count as further occurrences.
        fields.bare_cr = True
        _collect_into(fields, header, False)
        header = header.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    _collect_into(fields, header, subject)
    return fields


def _collect_into(fields: Fields, header: bytes, subject: bool) -> None:
    lower = header.lower()
    lists = (fields.content_types, fields.encodings, fields.dispositions)
    at = lower.find(b"content-")
    while at >= 0:
        if at == 0 or lower[at - 1] == _LF or lower[at - 1] == _CR:
            match = _WANTED.match(lower, at)
            if match is not None and match.lastindex is not None:
                known = lists[match.lastindex - 1]
                body = _body(header, match.end())
                if body not in known and len(known) < OCCURRENCES:
                    known.append(body)
        at = lower.find(b"content-", at + 8)
    if subject:
        at = lower.find(b"subject:")
        while at > 0 and lower[at - 1] != _LF:
            at = lower.find(b"subject:", at + 8)
        if at >= 0:
            fields.subject = _body(header, at + 8)


def _body(header: bytes, start: int) -> bytes:
    """The field-body from start, unfolded (RFC 5322 s2.2.3): line ends go, the white space stays."""
    at = start
    while True:
        end = header.find(b"\n", at)
        if end < 0:
            end = len(header)
            break
        if header[end + 1 : end + 2] not in (b" ", b"\t"):
            break
        at = end + 1
    body = header[start:end]
    if at != start:
        body = body.replace(b"\r\n", b"").replace(b"\n", b"")
    return body.strip()


def parse(body: bytes) -> Value:
    """A structured field-body such as Content-Type's or Content-Disposition's (RFC 2045 s5.1). Never raises. O(n)."""
    head, semicolon, rest = body.partition(b";")
    if b"(" in head:
        head = _COMMENT.sub(b"", head)
    token, more = _token(head.strip().strip(b"\"'").lower())
    if not semicolon and b"=" in more:  # a parameter that lacks its semicolon
        semicolon, rest = b";", body[body.lower().rfind(more) :]
    return Value(token.decode("latin-1"), tuple(_parameters(rest)) if semicolon else ())


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
    while len(found) < limits.HEADER_FIELDS and (equals := rest.find(b"=", at)) >= 0:
        at = rest.rfind(b";", at, equals) + 1 or at
        words = rest[at:equals].split()
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
            value = _ESCAPED.sub(rb"\1", quoted.group(1)) if b"\\" in quoted.group(1) else quoted.group(1)
        at = end
        if words:
            found.append((words[-1].lower().decode("latin-1"), value))
    return found


def filenames(disposition: list[Value], content_type: list[Value]) -> tuple[str, ...]:
    """Every file name that an entity declares, in all its decodings, best first, each once (FILE-06)."""
    names: dict[str, None] = {}
    for values, attribute in ((disposition, "filename"), (content_type, "name")):
        for value in values:
            for name in _names(value, attribute):
                cleaned = clean_name(name)
                if cleaned:
                    names[cleaned] = None
    return tuple(names)


def _names(value: Value, attribute: str) -> list[str]:
    names = []
    star = attribute + "*"
    pieces: dict[int, tuple[bytes, bool]] = {}
    for key, raw in value.parameters:
        if key == attribute:
            text = text_of(raw[: limits.NAME_LEN * _ENCODED_PER_CHARACTER])
            decoded = decode_words(text)
            names.append(decoded)
            if decoded != text:
                names.append(text)
        elif key.startswith(star):
            number = key[len(star) :].rstrip("*")
            if not number:
                names.insert(0, _extended(raw))
            elif number.isdecimal() and len(number) < 4:
                pieces.setdefault(int(number), (raw, key.endswith("*")))
    if pieces:
        names.insert(0, _joined(pieces))
    return names


def _extended(raw: bytes) -> str:
    """ext-value of RFC 2231 s4 (charset'language'octets); without its quotes it is only percent-decoded."""
    parts = raw.split(b"'", 2)
    if len(parts) == 3:
        return decode_charset(unquote_to_bytes(parts[2]), parts[0].decode("latin-1"))
    return text_of(unquote_to_bytes(raw))


def _joined(pieces: dict[int, tuple[bytes, bool]]) -> str:
    """Continuations of RFC 2231 s3 and s4.1, in the order of their numbers; gaps are passed over."""
    charset = ""
    octets = b""
    for index, (raw, extended) in sorted(pieces.items()):
        if extended:
            if index == 0 and raw.count(b"'") >= 2:
                name, _, raw = raw.split(b"'", 2)
                charset = name.decode("latin-1")
            raw = unquote_to_bytes(raw)
        octets += raw
    octets = octets[: limits.NAME_LEN * _ENCODED_PER_CHARACTER]
    return decode_charset(octets, charset) if charset else decode_words(text_of(octets))


def clean_name(name: str) -> str:
    """Without control and direction characters, surrounding and trailing dots and blanks, cut for display (FILE-06)."""
    if not name.isprintable():
        name = "".join(c for c in name if c.isprintable() or c == "\u3000")
    return name.strip().rstrip(". ")[: limits.NAME_LEN]


def decode_words(text: str) -> str:
    """Text with its encoded-words decoded (RFC 2047). What is not decodable stays as it is."""
    if "=?" not in text:
        return text
    text = _BETWEEN_WORDS.sub(r"\1\2", text)
    return _WORD.sub(_decode_word, text)


def _decode_word(match: "re.Match[str]") -> str:
    charset, encoding, payload = match.groups()
    octets = payload.encode("utf-8", "replace")
    if encoding in "qQ":
        octets = _Q_ESCAPE.sub(lambda m: bytes([int(m.group(1), 16)]), octets.replace(b"_", b" "))
    else:
        octets = decode_base64(octets)[0]
    return decode_charset(octets, charset)


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


def subject_text(body: bytes) -> str:
    """Subject for events and pages: decoded, no control characters, cut to limits.NAME_LEN."""
    text = decode_words(text_of(body[: limits.NAME_LEN * _ENCODED_PER_CHARACTER]))
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    return text[: limits.NAME_LEN]
