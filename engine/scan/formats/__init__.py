"""What can be taken apart, and by whom: one file for each format, all with one contract.

An opener is a generator function: given the whole content of a container and the room that is left, it yields what
is inside, bounded, in order. It never raises on content but `NotThis` (before it has yielded anything), when the
content only looked like its format: then it is matched as plain octets and listed as unscanned.

    def members(buf: bytes, room: Room) -> Iterator[Item]: ...

Openers of containers are chosen by the type that magic.identify gives (OPENERS). Finders look into texts for files that
are spelled out in them (FINDERS): cext.spelled tells in one pass over a text which of them may find one, and only those
are asked.

To add one: write `formats/NAME.py`, name it in the table below, move its type from magic.UNOPENED, and give it
tests, a fuzz target and an entry in the table of bounds.
"""

from typing import Final

from cext import spelled
from engine.scan.formats import (
    activemime,
    archive,
    binhex,
    chm,
    disk,
    html,
    lha,
    mscompress,
    office_text,
    ole,
    onenote,
    openpgp,
    pdf,
    pkcs7,
    program,
    rights,
    rtf,
    streams,
    swf,
    tnef,
    uuencode,
    xar,
    yenc,
)
from engine.scan.formats.item import Opener

OPENERS: Final[dict[str, Opener]] = {
    **{kind: archive.opener(kind) for kind in ("7z", "ar", "cab", "cpio", "iso", "rar", "rpm", "udf")},
    **{kind: streams.through_libarchive(kind) for kind in ("compress", "lz4", "zstd")},
    "bzip2": streams.bzip2,
    "lha": lha.members,
    "lzip": streams.lzip,
    "lzma": streams.lzma_alone,
    "xz": streams.xz,
    "activemime": activemime.members,
    "chm": chm.members,
    "mscompress": mscompress.members,
    "ole": ole.members,
    "onenote": onenote.members,
    "pdf": pdf.members,
    "pkcs7": pkcs7.members,
    "rights": rights.members,
    "rtf": rtf.members,
    "tnef": tnef.members,
    "disk": disk.raw,
    "vhd": disk.vhd,
    "vhdx": disk.vhdx,
    "xar": xar.members,
}
# How often a member is held while it is made, where that is not twice.
COPIES: Final[dict[str, int]] = {
    **dict.fromkeys(("7z", "ar", "cab", "chm", "cpio", "iso", "lha", "mscompress", "rar"), 1),
    **dict.fromkeys(("rpm", "tnef", "udf", "disk", "vhd", "vhdx", "xar"), 1),
    **dict.fromkeys(("bzip2", "compress", "lz4", "lzip", "lzma", "xz", "zstd"), 1),
    "pdf": 1,  # but for what it says itself
}
# By what cext.spelled says of a text.
FINDERS: Final[tuple[tuple[int, Opener], ...]] = (
    (spelled.YENC, yenc.members),
    (spelled.BINHEX, binhex.members),
    (spelled.BEGIN, uuencode.members),
    (spelled.HTML, html.members),
    (spelled.OFFICE, office_text.files),
    (spelled.OPENPGP, openpgp.messages),
)
# Looked into besides being matched as what they are: programs that may carry an archive, and what may be compressed.
CARRIERS: Final[dict[str, Opener]] = {"pe": program.carried, "elf": program.carried, "swf": swf.unpacked}
