"""What in the tags and styles of a page acts: names of attributes, URIs that run something, properties of styles."""

import re
from typing import Final

from engine.scan.formats.escapes import entities_replaced

BLOB_LEN: Final = 256  # octets of base64 from which on an attribute is a file rather than a token

WS: Final = rb"\t\n\f\r "  # white space of HTML: vertical tab is none, and would hide a quotation mark

_CONTROLS: Final = bytes(range(0x21)) + b"\x7f"
_RUNS: Final = (
    rb"(?:java|vb|live|j)script:|mocha:"
    rb"|(?:ms-msdt|search-ms|ms-search|ms-officecmd|ms-appinstaller|ms-its|mk|mhtml|its|hcp|shell):"
    rb"|data:(?!image/(?:png|gif|p?jpe?g|webp|bmp|avif|x-icon|vnd\.microsoft\.icon)[;,]"
    rb"|(?:audio|video|font)/|application/(?:x-)?font)"
)
_RUNS_AT_START: Final = re.compile(_RUNS, re.I)
_RUNS_ANYWHERE: Final = re.compile(rb"(?<![a-z0-9+.-])(?:" + _RUNS + rb")", re.I)
_STYLE_ACTS: Final = re.compile(
    rb"expression\(|(?:java|vb)script:|(?<![a-z-])behaviou?r:|-moz-binding|data:(?:text|application/(?!(?:x-)?font))",
    re.I,
)
_STYLE_BLANKS: Final = re.compile(rb"[" + WS + rb"]++")
_STYLE_NOISE: Final = re.compile(rb"/\*.*?\*/|[" + WS + rb"]++", re.S)
_STYLE_ESCAPE: Final = re.compile(rb"\\([0-9A-Fa-f]{1,6})[" + WS + rb"]?|\\")
_BLOB: Final = re.compile(rb"[A-Za-z0-9+/=_" + WS + rb"-]{%d,}+\Z" % BLOB_LEN)

_LOADED_BY: Final = frozenset(
    {b"src", b"data", b"code", b"codebase", b"classid", b"archive", b"object", b"srcdoc", b"href", b"applicationname"}
)
_ANIMATED: Final = frozenset({b"animate", b"set", b"animatetransform", b"animatemotion", b"animatecolor"})
_LISTS: Final = frozenset(
    {b"srcset", b"imagesrcset", b"values", b"content", b"from", b"to", b"by", b"archive", b"ping"}
)
_WORDS: Final = frozenset({b"alt", b"aria-label", b"label", b"placeholder", b"summary", b"title"})
SCRIPT: Final = "scripts"
HANDLER: Final = "event handlers"
LINK: Final = "links that run programs"
FORWARDING: Final = "automatic forwarding"
FRAME: Final = "frames"
OBJECT: Final = "embedded objects"
STYLE: Final = "style sheets that run programs"
ENTITY: Final = "entities"
BLOB: Final = "hidden files"

LOADS: Final = {
    b"iframe": FRAME,
    b"frame": FRAME,
    b"portal": FRAME,
    b"fencedframe": FRAME,
    b"object": OBJECT,
    b"embed": OBJECT,
    b"applet": OBJECT,
    b"hta:application": OBJECT,
}


def acts(tag: bytes, name: bytes, value: bytes) -> str:
    """What an attribute does that a reader does not need, in words, or empty. tag, name: in lower case."""
    local = name.rpartition(b":")[2]
    if local.startswith(b"on") and len(local) > 2:
        return HANDLER
    if local == b"srcdoc":
        return FRAME
    if tag in LOADS and (local in _LOADED_BY or tag == b"hta:application"):
        return LOADS[tag]
    if not value:
        return ""
    plain = _unescaped(value)
    if tag == b"meta" and local == b"http-equiv" and plain == b"refresh":
        return FORWARDING
    if tag in _ANIMATED and local == b"attributename" and (plain.startswith(b"on") or plain.endswith(b"href")):
        return HANDLER
    if local == b"style":
        return STYLE if style_acts(_entities(value)) else ""
    if local in _WORDS:
        return ""
    if (_RUNS_ANYWHERE.search if local in _LISTS else _RUNS_AT_START.match)(plain):
        return LINK
    return BLOB if len(value) >= BLOB_LEN and _BLOB.match(value) else ""


def _entities(value: bytes) -> bytes:
    return entities_replaced(value.decode("latin-1")).encode("latin-1", "ignore") if b"&" in value else value


def _unescaped(value: bytes) -> bytes:
    """A URI as a browser reads it: entities replaced, controls and blanks left out, lower case."""
    return _entities(value).translate(None, _CONTROLS).lower()


def style_acts(style: bytes) -> bool:
    if b"\\" in style:
        style = _STYLE_ESCAPE.sub(lambda found: bytes((int(found[1], 16) & 0x7F,)) if found[1] else b"", style)
    closed = style.rfind(b"*/") + 2  # behind it no comment ends
    plain = _STYLE_BLANKS.sub(b"", style)  # what a string in it makes look like a comment is none
    quiet = _STYLE_NOISE.sub(b"", style[:closed]) + _STYLE_BLANKS.sub(b"", style[closed:])
    return _STYLE_ACTS.search(plain) is not None or _STYLE_ACTS.search(quiet) is not None
