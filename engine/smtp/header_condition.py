"""Whether a message carries the header fields that its recipients were accepted on (engine/relay_rule.py).

The header section of the message alone decides, as the sender wrote it: from the first octet to the first empty line.
A field counts if it is there exactly once and its body, unfolded (RFC 5322 s2.2.3) and trimmed, is exactly the one
asked for. White space before the colon makes it nobody's: programs differ in what they take it for, so such a field
only spoils a good one. What cannot be told within the bound is not fulfilled.
"""

import re
from collections.abc import Iterable
from typing import Final

from engine.limits import CONDITION_HEADER_LEN
from engine.relay_rule import Field

_FULL: Final = CONDITION_HEADER_LEN + 2  # with the empty line behind it
_unfold = re.compile(rb"\r\n(?=[ \t])").sub


class HeaderCondition:
    """Of one message. wanted: groups of fields; of each group one has to be there.

    met: None as long as the header section goes on. The outcome does not depend on how the content is cut. Keeps at
    most CONDITION_HEADER_LEN octets; O(content) up to the end of the header section, nothing behind it.
    """

    def __init__(self, wanted: Iterable[tuple[Field, ...]]) -> None:
        self.met: bool | None = None
        self._wanted = tuple(wanted)
        self._kept = bytearray()

    def feed(self, content: bytes) -> None:
        """The next octets of the message. Lines end with CRLF: others were refused before."""
        if self.met is not None:
            return
        kept = self._kept
        seen = max(0, len(kept) - 3)
        kept += content[: _FULL - len(kept)]
        if kept.startswith(b"\r\n"):
            self._judge(b"")
        elif (end := kept.find(b"\r\n\r\n", seen)) >= 0:
            self._judge(bytes(kept[:end]))
        elif len(kept) == _FULL:
            self._end(False)

    def finish(self) -> bool:
        """The message has ended. Returns met."""
        if self.met is None:
            self._judge(bytes(self._kept))
        assert self.met is not None
        return self.met

    def _judge(self, header: bytes) -> None:
        names = {field.name.encode() for group in self._wanted for field in group}
        found: dict[bytes, list[tuple[bool, bytes]]] = {name: [] for name in names}
        for line in _unfold(b"", header).split(b"\r\n"):
            written, _, body = line.partition(b":")
            name = written.rstrip(b" \t").lower()
            if name in found:
                found[name].append((name == written.lower(), body.strip(b" \t")))
        self._end(
            all(
                any(found[field.name.encode()] == [(True, field.body.encode())] for field in group)
                for group in self._wanted
            )
        )

    def _end(self, met: bool) -> None:
        self.met = met
        self._kept.clear()
