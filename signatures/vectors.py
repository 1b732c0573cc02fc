"""Test vectors that travel with the definitions, so that a gateway can try them before they come into force (DEF-16).

The annex is msgpack of Vectors, deflated: what lies on the disk as it is would be found by other antivirus programs.
Small vectors only, and not more than MOST_LEN of them together: who compiles runs them all anyway.
"""

import zlib
from collections.abc import Iterator, Sequence
from typing import Annotated, Final

import msgspec

from cext.automaton import Image
from signatures.model import Condition, FileName, Signature

ANNEX: Final = "vectors"
VECTOR_LEN: Final = 4096  # octets of one
MOST_LEN: Final = 1 << 20  # of all of them, and of the annex unpacked
COUNT: Final = 10_000
SHOWN: Final = 10  # failures that are told
_BY_NAME: Final = "name"


class Vector(msgspec.Struct, frozen=True, array_like=True):
    """signature: its name. content: octets of a file, or its name in UTF-8 if target is `name`.

    matches: whether the signature has to match. container: what the content was taken out of.
    """

    signature: str
    content: bytes
    matches: bool
    target: str
    container: str = ""


class Vectors(msgspec.Struct, frozen=True, array_like=True):
    vectors: Annotated[tuple[Vector, ...], msgspec.Meta(max_length=COUNT)]


class BadVectors(ValueError):
    """The annex is damaged, or of another make."""


def of(signature: Signature) -> Iterator[Vector]:
    """All that it carries."""
    body = signature.body
    target = _BY_NAME if isinstance(body, FileName) else signature.target
    inside = body.container.partition(",")[0] if isinstance(body, Condition) else ""
    for matches, contents in ((True, signature.specimens), (False, signature.cleans + signature.repaired)):
        for content in contents:
            yield Vector(signature.name, content, matches, target, inside)


def annex(signatures: Sequence[Signature]) -> bytes:
    """Of as many as fit, in the order of names: the same signatures give the same octets."""
    kept: list[Vector] = []
    left = MOST_LEN // 2  # the rest is for names and for what msgpack adds
    for signature in sorted(signatures, key=lambda one: one.name):
        for vector in of(signature):
            if len(vector.content) <= VECTOR_LEN and len(vector.content) <= left and len(kept) < COUNT:
                kept.append(vector)
                left -= len(vector.content)
    return zlib.compress(msgspec.msgpack.encode(Vectors(tuple(kept))), 9)


def read(octets: bytes | memoryview) -> tuple[Vector, ...]:
    """Raises BadVectors."""
    unpacker = zlib.decompressobj()
    try:
        plain = unpacker.decompress(octets, MOST_LEN)
        if not unpacker.eof or unpacker.unused_data:
            raise BadVectors("vectors are longer than they may be, or incomplete")
        return msgspec.msgpack.decode(plain, type=Vectors).vectors
    except (zlib.error, msgspec.MsgspecError) as error:
        raise BadVectors(f"vectors cannot be read: {error}") from None


def run(matcher: Image, vector: Vector) -> bool:
    """Whether the signature matches it."""
    if vector.target == _BY_NAME:
        return vector.signature in matcher.match_name(vector.content.decode("utf-8", "replace"), family="any")
    return vector.signature in matcher.scan(vector.content, vector.target, family="any", container=vector.container)


def failures(matcher: Image) -> list[str]:
    """What a set does not do as it says, in words, SHOWN at most. None: it has no vectors, or all are as they should.

    Raises BadVectors, ValueError and TimeoutError of the matcher.
    """
    octets = matcher.annex(ANNEX)
    found = []
    for vector in read(octets) if octets is not None else ():
        if run(matcher, vector) != vector.matches:
            what = "does not find its specimen" if vector.matches else "is found in a clean vector"
            found.append(f"{vector.signature} {what}")
            if len(found) == SHOWN:
                break
    return found
