"""Signature matching in message-sized pieces, by number of patterns. Peer: pyahocorasick over the same patterns.

Patterns are random octets, which is the kindest case for every filter; sets cut from programs come with the importer.
"""

import random
import tempfile
from pathlib import Path

import ahocorasick

from cext.automaton import Image
from signatures.compile import compile_sources

PIECE = 200_000
HITS = 3


class Matching:
    params = (100, 1_000, 10_000)
    param_names = ("patterns",)
    timeout = 300

    def setup(self, patterns: int) -> None:
        rng = random.Random(7)
        needles = [rng.randbytes(rng.randint(16, 64)) for _ in range(patterns)]
        source = "".join(
            f'[[signature]]\nname = "Bench-{number}"\nhex = "{needle.hex()}"\n' for number, needle in enumerate(needles)
        )
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "bench.toml"
            path.write_text(source)
            self.image = Image(compile_sources([path]))
        text = bytearray(
            rng.choices(b"abcdefghijklmnopqrstuvwxyz \r\n", k=PIECE // 2) + list(rng.randbytes(PIECE // 2))
        )
        for number in range(HITS):
            at = PIECE // (HITS + 1) * (number + 1)
            text[at : at + len(needles[number])] = needles[number]
        self.piece = bytes(text)
        self.peer = ahocorasick.Automaton()
        for number, needle in enumerate(needles):
            self.peer.add_word(needle.decode("latin-1"), number)
        self.peer.make_automaton()
        self.peer_piece = self.piece.decode("latin-1")
        if len(self.image.scan(self.piece)) != HITS or len(list(self.peer.iter(self.peer_piece))) != HITS:
            raise AssertionError("planted patterns were not found")

    def time_scan(self, patterns: int) -> None:
        self.image.scan(self.piece)

    def time_peer_pyahocorasick(self, patterns: int) -> None:
        for _ in self.peer.iter(self.peer_piece):
            pass
