"""What one cleaner may cost: steps and octets, by count, so that the same content always ends in the same way."""

from typing import Final

from engine import limits
from engine.scan.keyring import Keyring

STEPS: Final = 2_000_000  # tags, records, tokens, sectors: some 10 s at most; a file of 100 MB has 200,000 sectors
OCTETS: Final = 512 * limits.MIB  # read and unpacked in all; a file of SCAN_FILE_LEN needs some four times its length
DEPTH: Final = 4  # documents within documents that are cleaned with them; what lies deeper is left as it is


class Spent(Exception):
    """The allowance is used up: the document is not cleaned."""


class Irregular(Exception):
    """The document is not regular enough to be changed without loss."""


class Allowance:
    """Shared by a document and what is cleaned within it. It is the `Room` of the openers that cleaners use."""

    def __init__(self, steps: int = STEPS, octets: int = OCTETS) -> None:
        self.keyring = Keyring()  # knows no password: what needs one is not cleaned
        self._steps = steps
        self._octets = octets

    def room(self, window: int = 0) -> int:
        return self._octets

    def keep(self, octets: int) -> None:
        """What is held at once is bounded by what is unpacked."""

    def check_time(self) -> None:
        self.step()

    def step(self, count: int = 1) -> None:
        self._steps -= count
        if self._steps < 0:
            raise Spent

    def unpacked(self, octets: int) -> None:
        self._octets -= octets
        if self._octets < 0:
            raise Spent
