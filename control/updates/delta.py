"""Deltas: a new file made from an old one, in pieces, so that neither side ever holds a whole file in memory.

The new file is cut into pieces of PIECE_LEN octets. Each is compressed by zstd with the part of the old file that lies
around the same place as its dictionary (what `zstd --patch-from` does with the whole of it). Compiled images keep their
order, so what a piece shares with the old file is there or within MARGIN_LEN of it; where that is not so the delta is
only larger. Without an old file it is a compressed form of the new one.

    b"MWDELTA\\n"  length of old u64, length of new u64
    each piece:   offset in old u64, length in old u32, length in new u32, length of frame u32, frame

A delta comes signed, as every target does, and what it makes is compared with the digest that was signed for it. What
can be read wrong is refused all the same: `apply` reads inside the old file only, writes no more than it was told to,
and holds one piece and its dictionary: some 25 MiB in all.
"""

import os
import struct
from typing import IO, Final

import zstandard

MAGIC: Final = b"MWDELTA\n"
PIECE_LEN: Final = 4 << 20
MARGIN_LEN: Final = 2 << 20  # twice of it compresses no better, and takes twice the time
_LEVEL: Final = 12  # 19 saves another twentieth in twenty times the time
_WINDOW_LOG: Final = 24  # a piece and its dictionary
_HEADER: Final = struct.Struct("<8sQQ")
_PIECE: Final = struct.Struct("<QIII")
_BASE_LEN: Final = PIECE_LEN + 2 * MARGIN_LEN
_FRAME_LEN: Final = PIECE_LEN + 64 * 1024  # what cannot be compressed grows a little


class BadDelta(Exception):
    """It is damaged, or for another file. The text says how."""


def make(old: IO[bytes] | None, new: IO[bytes], delta: IO[bytes]) -> None:
    """Write what makes `new` of `old` (None: of nothing). Files of the disk, read from their beginning."""
    old_len, new_len = 0 if old is None else _length(old), _length(new)
    delta.write(_HEADER.pack(MAGIC, old_len, new_len))
    for start in range(0, new_len, PIECE_LEN):
        piece = os.pread(new.fileno(), PIECE_LEN, start)
        around = start * old_len // new_len
        first = max(0, around - MARGIN_LEN)
        base = b"" if old is None else os.pread(old.fileno(), _BASE_LEN, first)
        parameters = zstandard.ZstdCompressionParameters.from_level(
            _LEVEL,
            source_size=len(piece),
            dict_size=len(base),
            window_log=max(zstandard.WINDOWLOG_MIN, (len(piece) + len(base)).bit_length()),  # at most _WINDOW_LOG
            enable_ldm=True,
            write_checksum=True,
        )
        frame = zstandard.ZstdCompressor(dict_data=_dictionary(base), compression_params=parameters).compress(piece)
        delta.write(_PIECE.pack(first if base else 0, len(base), len(piece), len(frame)))
        delta.write(frame)


def apply(old: IO[bytes] | None, delta: IO[bytes], new: IO[bytes], most: int) -> None:
    """Write what the delta makes of `old` to `new`, at most `most` octets.

    Raises BadDelta; then what was written is worthless. An OSError is one of the files.
    """
    magic, old_len, new_len = _HEADER.unpack(_exactly(delta, _HEADER.size))
    if magic != MAGIC:
        raise BadDelta("it is no delta")
    if old_len != (0 if old is None else _length(old)):
        raise BadDelta("it is for another file")
    if new_len > most:
        raise BadDelta(f"it makes {new_len} octets of {most}")
    done = 0
    while done < new_len:
        first, base_len, piece_len, frame_len = _PIECE.unpack(_exactly(delta, _PIECE.size))
        if not 0 < piece_len <= min(PIECE_LEN, new_len - done) or base_len > _BASE_LEN or frame_len > _FRAME_LEN:
            raise BadDelta("a piece of it has an impossible length")
        if base_len > old_len or first > old_len - base_len:
            raise BadDelta("it asks for what lies behind the end of the file")
        base = b"" if old is None else os.pread(old.fileno(), base_len, first)
        new.write(_piece(_exactly(delta, frame_len), base, piece_len))
        done += piece_len
    if delta.read(1):
        raise BadDelta("more follows behind its end")


def _piece(frame: bytes, base: bytes, length: int) -> bytes:
    try:
        if zstandard.frame_content_size(frame) != length:
            raise BadDelta("a piece of it has another length than it says")
        piece = zstandard.ZstdDecompressor(dict_data=_dictionary(base), max_window_size=1 << _WINDOW_LOG).decompress(
            frame, max_output_size=length, allow_extra_data=False
        )
    except zstandard.ZstdError as error:
        raise BadDelta(f"a piece of it is damaged ({error})") from None
    if len(piece) != length:
        raise BadDelta("a piece of it ends too early")
    return piece


def _dictionary(base: bytes) -> zstandard.ZstdCompressionDict | None:
    return zstandard.ZstdCompressionDict(base, dict_type=zstandard.DICT_TYPE_RAWCONTENT) if base else None


def _exactly(file: IO[bytes], length: int) -> bytes:
    octets = file.read(length)
    if len(octets) != length:
        raise BadDelta("it ends too early")
    return octets


def _length(file: IO[bytes]) -> int:
    return os.fstat(file.fileno()).st_size
