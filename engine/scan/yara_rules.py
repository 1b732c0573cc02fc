"""YARA rules that travel with the definitions: the annex `yara`, run by libyara on decoded content.

libyara, and not YARA-X: the latter turns rules into machine code while it runs, and the sandbox of scanners lets
nothing become executable; libyara interprets. What travels is the text of the rules, which is compiled when definitions
are loaded (a millisecond a rule, and 12 MB for 300): compiled rules cannot be verified as an image is, and are of one
version of the library only. Scanners inherit what their template compiled (engine/scanner/server.py).

Rules see octets and nothing else: no file, no name, no network. The modules that would are refused by the compiler
(signatures/yara.py), which declares the annex too; a test keeps both equal.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Final, Protocol, cast

import msgspec
import yara

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from _typeshed import ReadableBuffer as Buffer

ANNEX: Final = "yara"
VERSION: Final = 1
PREFIX: Final = "YARA."
ANNEX_LEN: Final = 64 << 20
SECONDS: Final = 5  # for all rules on one content; what needs longer is not examined


class Source(msgspec.Struct, frozen=True, array_like=True):
    """Rules of one file. namespace: where its names hold, so that files do not disturb each other."""

    namespace: str
    text: str


class _Annex(msgspec.Struct, frozen=True, array_like=True):
    sources: Annotated[tuple[Source, ...], msgspec.Meta(max_length=10_000)]
    version: int


class Carrier(Protocol):
    def annex(self, name: str) -> memoryview | None: ...


class _Definitions(Carrier, Protocol):
    def trusts(self, data: "Buffer") -> bool:
        """Whether data is known to be good: then nothing that matches it counts."""


def _nothing(data: "Buffer") -> bool:
    return False


class Rules:
    """Immutable. trusts: what tells of known good content. Raises ValueError if the octets are no annex of ours or hold
    what is no rule.
    """

    def __init__(self, annex: "Buffer", trusts: "Callable[[Buffer], bool]" = _nothing) -> None:
        self._trusts = trusts
        if len(memoryview(annex)) > ANNEX_LEN:
            raise ValueError("YARA rules of the definitions are too long")
        try:
            read = _DECODER.decode(annex)
        except msgspec.MsgspecError as error:
            raise ValueError(f"YARA rules of the definitions: {error}") from None
        if read.version != VERSION:
            raise ValueError("YARA rules of the definitions have another version")
        try:
            self._rules = yara.compile(sources={s.namespace: s.text for s in read.sources}, includes=False)
        except yara.Error as error:
            raise ValueError(f"YARA rules of the definitions: {error}") from None

    def names(self, octets: "Buffer") -> tuple[str, ...]:
        """Names of the rules that match, each once. Raises TimeoutError when they take too long, or when a string of
        theirs occurs so often that libyara gives it up.
        """
        given_up: list[str] = []

        def warned(_: int, what: object) -> int:
            given_up.append(str(what))
            return int(yara.CALLBACK_CONTINUE)

        try:
            found = self._rules.match(
                data=octets, timeout=SECONDS, fast=True, warnings_callback=warned, console_callback=lambda _: None
            )
        except yara.TimeoutError:
            raise TimeoutError("YARA rules of the definitions took too long on it") from None
        except yara.Error as error:
            raise TimeoutError(f"YARA rules of the definitions cannot be run on it: {error}") from None
        if given_up:
            raise TimeoutError("a string of YARA rules occurs too often in it")
        return () if found and self._trusts(octets) else tuple(sorted({PREFIX + match.rule for match in found}))


@lru_cache(maxsize=2)  # those in force, and those that are tried
def _rules(carrier: "Hashable") -> Rules | None:
    """What travels with these definitions, None if they have no rules. Raises ValueError if they are broken."""
    annex = cast(Carrier, carrier).annex(ANNEX)
    return None if annex is None else Rules(annex, cast(_Definitions, carrier).trusts)


rules_of: Final = cast("Callable[[Carrier], Rules | None]", _rules)  # asked for every content: nothing in between
_DECODER: Final = msgspec.msgpack.Decoder(_Annex)
