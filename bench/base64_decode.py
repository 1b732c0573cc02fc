"""base64 as mail wraps it, decoded in message-sized pieces. Peer: binascii."""

import base64
import binascii
import random

from cext.base64 import decode


class Base64:
    params = (4096, 200_000, 2_000_000)
    param_names = ("octets",)

    def setup(self, octets: int) -> None:
        plain = random.Random(1).randbytes(octets)
        self.text = base64.encodebytes(plain).replace(b"\n", b"\r\n")
        if decode(self.text)[0] != plain:
            raise AssertionError("decoded octets differ")

    def time_decode(self, octets: int) -> None:
        decode(self.text)

    def time_peer_binascii(self, octets: int) -> None:
        binascii.a2b_base64(self.text)
