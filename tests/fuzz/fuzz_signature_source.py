"""Any octets as a definitions source: either signatures that compile to a good image, or errors that can be printed."""

from cext.automaton import Image
from signatures import grammar, image, source


def one_input(data: bytes) -> None:
    tables, errors = source.parse("fuzz.toml", data)
    found = {}
    for table in tables:
        signature, wrong = grammar.signature(table)
        errors.extend(wrong)
        assert (signature is None) == bool(wrong)
        if signature is not None:
            found[signature.name] = signature
    for error in errors:
        assert error.line >= 1 and error.render()
    assert Image(image.build(list(found.values()))).signatures == len(found)
