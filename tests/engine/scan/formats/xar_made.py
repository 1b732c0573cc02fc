"""xar archives, so made that tests know every field."""

import bz2
import lzma
import struct
import zlib
from collections.abc import Callable
from typing import Final
from xml.sax.saxutils import escape

STYLES: Final[dict[str, Callable[[bytes], bytes]]] = {
    "application/octet-stream": lambda content: content,
    "application/x-gzip": zlib.compress,
    "application/x-bzip2": bz2.compress,
    "application/x-xz": lzma.compress,
    "application/x-lzma": lambda content: lzma.compress(content, lzma.FORMAT_ALONE),
}


def wrapped(table: bytes, heap: bytes = b"") -> bytes:
    packed = zlib.compress(table)
    return struct.pack(">4sHHQQL", b"xar!", 28, 1, len(packed), len(table), 0) + packed + heap


def data(offset: int, length: int, size: int, style: str, tag: str = "data") -> str:
    numbers = f"<length>{length}</length><offset>{offset}</offset><size>{size}</size>"
    return f'<{tag}>{numbers}<encoding style="{style}"/></{tag}>'


def xar(members: dict[str, bytes], style: str = "application/x-gzip") -> bytes:
    """Folders of names are elements in each other; a name follows what it is the name of."""
    heap = b""
    table = ""
    for path, content in members.items():
        *folders, name = path.split("/")
        packed = STYLES[style](content)
        table += "<file>" * len(folders) + "<file>" + data(len(heap), len(packed), len(content), style)
        table += f"<name>{escape(name)}</name></file>"
        table += "".join(f"<name>{escape(one)}</name></file>" for one in reversed(folders))
        heap += packed
    return wrapped(f'<?xml version="1.0"?><xar><toc>{table}</toc></xar>'.encode(), heap)
