"""SMTP body path: the octets after DATA, from wire to store. Peer: splitting into lines as aiosmtpd does."""

import random

from cext.smtp_data import DataDecoder, dot_stuff

CHUNK = 64 * 1024


def _message(size: int) -> bytes:
    rng = random.Random(1)
    lines = []
    length = 0
    while length < size:
        line = bytes(rng.choices(b"abcdefghij .", k=72))
        lines.append((b"." + line if line.startswith(b".") else line) + b"\r\n")
        length += len(lines[-1])
    return b"".join(lines) + b".\r\n"


class Body:
    params = (4096, 200_000, 4_000_000)
    param_names = ("octets",)

    def setup(self, octets: int) -> None:
        self.wire = _message(octets)
        self.chunks = [self.wire[i : i + CHUNK] for i in range(0, len(self.wire), CHUNK)]
        self.content = self._lines()
        if self._decode() != self.content:
            raise AssertionError("the kernel and the plain way differ")

    def _decode(self) -> bytes:
        decoder = DataDecoder(1 << 31)
        out = b"".join([decoder.feed(chunk) for chunk in self.chunks])
        if not decoder.done or decoder.error:
            raise AssertionError("the end of data was not found")
        return out

    def _lines(self) -> bytes:
        lines = self.wire.split(b"\r\n")
        return (
            b"\r\n".join([line[1:] if line.startswith(b".") else line for line in lines[: lines.index(b".")]]) + b"\r\n"
        )

    def time_decode(self, octets: int) -> None:
        self._decode()

    def time_peer_split_lines(self, octets: int) -> None:
        self._lines()

    def time_dot_stuff(self, octets: int) -> None:
        dot_stuff(self.content, True)
