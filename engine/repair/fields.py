"""DDE fields of Word's XML (ECMA-376 part 1 s17.16): instructions become empty, results stay.

An instruction may be spread over many runs and have fields within it; all of it counts as one text.
"""

import re
from typing import Final

import msgspec

from engine.repair.allowance import Irregular
from engine.repair.markup import TEXT_LEN, Element, Markup

DDE: Final = "DDE fields"
_NAMES: Final = frozenset({"fldChar", "instrText", "delInstrText", "fldSimple"})
_DDE: Final = re.compile(r"\W*dde", re.I)
_NOTHING: Final = re.compile(r"\W*\Z")
_MAY: Final = re.compile(rb"instrText|fldSimple|i\0n\0s\0t\0r\0|f\0l\0d\0S\0")
_DEPTH: Final = 64  # fields in instructions of fields; with more a part is refused


class _Field(msgspec.Struct):
    """text: of its instruction with those of fields in it, TEXT_LEN at most. pieces: elements that it is written in."""

    text: str = ""
    pieces: list[Element] = []
    result: bool = False

    def add(self, text: str) -> None:
        self.text += text[: TEXT_LEN - len(self.text)]


def _asks(instruction: str) -> bool:
    """Whether it is one of DDE. One that says nothing as far as it was read may become one."""
    return _DDE.match(instruction) is not None or (
        len(instruction) >= TEXT_LEN and _NOTHING.match(instruction) is not None
    )


class Fields:
    def __init__(self, markup: Markup) -> None:
        self._markup = markup
        self._open: list[_Field] = []
        self._found = False

    @staticmethod
    def may_have(part: bytes) -> bool:
        """Whether a part may have fields at all. O(len(part))."""
        return _MAY.search(part) is not None

    def cleaned(self) -> bool:
        """Empty the instructions of DDE fields; whether there were any."""
        self._markup.walk(_NAMES, self._visit)
        while self._open:
            self._close()
        return self._found

    def _visit(self, element: Element) -> None:
        if element.name == "fldSimple":
            if _asks(element.attributes.get("instr", "")):
                self._markup.set(element, {"instr": ""})
                self._found = True
        elif element.name == "fldChar":
            self._mark(element.attributes.get("fldCharType", ""))
        elif self._open:
            field = self._open[-1]
            if not field.result:
                field.add(element.text)
                field.pieces.append(element)
        elif _asks(element.text):
            self._markup.empty(element)
            self._found = True

    def _mark(self, kind: str) -> None:
        if kind == "begin":
            if len(self._open) >= _DEPTH:
                raise Irregular
            self._open.append(_Field())
        elif kind == "separate" and self._open:
            self._open[-1].result = True
        elif kind == "end" and self._open:
            self._close()

    def _close(self) -> None:
        field = self._open.pop()
        if _asks(field.text):
            for element in field.pieces:
                self._markup.empty(element)
            self._found = True
        elif self._open and not self._open[-1].result:
            self._open[-1].add(field.text)
            self._open[-1].pieces += field.pieces
