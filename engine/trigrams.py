"""Which blocks of a long text can contain a term: a matrix of bits, a row for each trigram, a column for each block.

Case does not count, in any script. cext.grams does the work and describes the matrix.
"""

import sys
from typing import Final

from cext import grams

BLOCKS: Final = grams.COLUMNS
ROWS: Final = grams.BUCKETS  # trigrams share them
ROW_LEN: Final = grams.ROW_LEN  # octets
ALL: Final = (1 << BLOCKS) - 1


def fold(text: bytes) -> bytes:
    """For comparison without regard to case. Line ends stay where they are; what is not UTF-8 is replaced."""
    return text.lower() if text.isascii() else text.decode(errors="replace").casefold().encode()


def fold_for(text: bytes, term: str) -> bytes:
    """The text, to look for the folded term in.

    Other scripts are folded for their terms only: it takes six times as long, and "ss" is not meant to find "ß".
    """
    return text.lower() if term.isascii() else fold(text)


def contains(text: str, term: str) -> bool:
    return fold(term.encode("utf-8", "replace")) in fold_for(text.encode("utf-8", "replace"), term)


class Matrix:
    """Of up to BLOCKS blocks. octets: its rows, one after the other."""

    def __init__(self) -> None:
        self.octets = bytearray(ROWS * ROW_LEN)

    def mark(self, folded: bytes, block: int) -> None:
        """Note a folded text as block number `block`. Raises ValueError if that is not below BLOCKS."""
        grams.mark(folded, self.octets, block)


def rows_of(folded_term: bytes) -> list[int]:
    """The rows in which every block with this term has its bit; none for a term shorter than three octets."""
    return grams.buckets(folded_term)


def bits(octets: bytes, row: int) -> int:
    """One of the rows that begin with octets, as the sum of 1 << block."""
    return int.from_bytes(octets[row * ROW_LEN : (row + 1) * ROW_LEN], sys.byteorder)


def row_octets(bits: int) -> bytes:
    return bits.to_bytes(ROW_LEN, sys.byteorder)
