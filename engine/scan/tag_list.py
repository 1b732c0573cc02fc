"""Lists of tags, as DKIM fields and key records hold them (RFC 6376 s3.2), with the UTF-8 of RFC 8616."""

import base64
import binascii
import re
from typing import Final

_NAME: Final = re.compile(rb"[A-Za-z][A-Za-z0-9_]*")
_FWS: Final = b" \t\r\n"


class BadTagList(Exception):
    """The text is no list of tags; says why, in a few words without anything out of the text."""


def parse(text: bytes) -> dict[str, bytes]:
    """Values by name in order, without the white space around them.

    Raises BadTagList for anything malformed and for a tag that is there twice (s3.2: such a list is invalid). O(n).
    """
    tags: dict[str, bytes] = {}
    specs = text.split(b";")
    if not specs[-1].strip(_FWS):
        specs.pop()
    for spec in specs:
        name, equals, value = spec.partition(b"=")
        name = name.strip(_FWS)
        if not equals or not _NAME.fullmatch(name):
            raise BadTagList("not a list of tags")
        if (key := name.decode("ascii")) in tags:
            raise BadTagList(f"the tag {key[:16]}= occurs twice")
        tags[key] = value.strip(_FWS)
    return tags


def joined(value: bytes) -> bytes:
    """A value without any white space: where folding may stand anywhere."""
    return value.translate(None, _FWS)


def decode_base64(value: bytes) -> bytes:
    """A base64string (s2.10), white space ignored. Raises BadTagList, for an empty one too.

    Padding may be missing: the grammar allows it, keys are published so, and OpenDKIM takes it.
    """
    text = joined(value)
    if b"=" not in text:
        text += b"=" * (-len(text) % 4)
    try:
        octets = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        octets = b""
    if not octets:
        raise BadTagList("broken base64")
    return octets


def words(value: bytes) -> list[bytes]:
    """What colons separate, without white space around, in lower case."""
    return [word.strip(_FWS).lower() for word in value.split(b":")]
