"""A quarantined file to take home: a zip with a password, so that nothing on the way opens it by accident."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

import msgspec

PASSWORD: Final = "infected"  # what everybody who handles samples uses: against accidents, not against people
PIECE_LEN: Final = 256 * 1024


def zipped(about: msgspec.Struct, pieces: Iterator[bytes], directory: Path) -> IO[bytes]:
    """A file without a name, at its beginning: `sample`, and `about.json`, encrypted with AES under PASSWORD.

    about: what is known of it. directory: where there is room for it. Raises OSError, and what the pieces raise.
    """
    import pyzipper  # dear, and rarely wanted

    out = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115 - it is closed by who reads it
    try:
        with pyzipper.AESZipFile(out, "w", compression=pyzipper.ZIP_DEFLATED, encryption=pyzipper.WZ_AES) as archive:
            archive.setpassword(PASSWORD.encode())
            with archive.open("sample", "w", force_zip64=True) as member:
                for piece in pieces:
                    member.write(piece)
            archive.writestr("about.json", msgspec.json.format(msgspec.json.encode(about)))
        out.seek(0)
    except BaseException:
        out.close()
        raise
    return out
