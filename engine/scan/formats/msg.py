"""Outlook messages (MS-OXMSG): which streams of a compound file are attachments, and what they are called.

A message is a storage with a property stream; attachments are storages in it, and an attached message is a storage in
one of these, so messages nest within one file.
"""

from collections.abc import Callable
from typing import Final

from engine.scan.formats.cfb import Stream

PROPERTIES: Final = "__properties_version1.0"
_ATTACHMENT: Final = "__attach_version1.0_"
_RECIPIENT: Final = "__recip_version1.0_"
_PROPERTY: Final = "__substg1.0_"
_DATA: Final = "37010102"  # PidTagAttachDataBinary
# Long file name, file name, display name; Unicode before the code page's.
_NAMES: Final = ("3707001F", "3707001E", "3704001F", "3704001E", "3001001F", "3001001E")
_NAME_LEN: Final = 4096  # octets of a name's stream that are read


def is_message(streams: list[Stream]) -> bool:
    return any(stream.keys == (PROPERTIES,) for stream in streams)


def attachments(streams: list[Stream], read: Callable[[Stream, int], bytes]) -> dict[Stream, tuple[str, ...]]:
    """Stream with the octets of an attachment -> its names, for all messages in the file. O(number of streams)."""
    properties: dict[tuple[str, ...], dict[str, Stream]] = {}
    for stream in streams:
        keys = stream.keys
        if len(keys) >= 2 and keys[-2].startswith(_ATTACHMENT) and keys[-1].startswith(_PROPERTY):
            properties.setdefault(keys[:-1], {})[keys[-1][len(_PROPERTY) :].upper()] = stream
    found: dict[Stream, tuple[str, ...]] = {}
    for of_one in properties.values():
        if _DATA in of_one:
            names = [_text(read(of_one[kind], _NAME_LEN), kind[-1]) for kind in _NAMES if kind in of_one]
            found[of_one[_DATA]] = tuple(dict.fromkeys(name for name in names if name))
    return found


def of_recipient(stream: Stream) -> bool:
    return any(name.startswith(_RECIPIENT) for name in stream.keys[:-1])


def _text(octets: bytes, kind: str) -> str:
    text = octets.decode("utf-16-le", "replace") if kind == "F" else octets.decode("cp1252", "replace")
    return text.split("\0", 1)[0]
