"""Any octets as a file of YARA rules: either rules that load again, or errors that can be printed."""

from engine.scan.yara_rules import Rules
from signatures import yara_rules


def one_input(data: bytes) -> None:
    taken = yara_rules.read([("fuzz.yar", data.decode("utf-8", "replace"))])
    for error in taken.errors:
        assert error.line >= 1 and error.render()
    for annex in yara_rules.annexes(taken).values():
        Rules(annex)
