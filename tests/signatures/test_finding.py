"""Finding signatures by name, against the taken-apart image as the oracle."""

from hypothesis import example, given
from hypothesis import strategies as st

from signatures import image
from signatures.compile import compile_sources, starter
from signatures.finding import find_heads
from signatures.inspection import Contents
from signatures.model import Literal, Signature

NAMES = st.sets(st.text("aAbB.é", min_size=1, max_size=6), min_size=1, max_size=12)
ALL = 1000


def image_of(names: set[str]) -> bytes:
    bodies = (Literal(b"pattern %08d" % number, False) for number in range(len(names)))
    return image.build([Signature(name=name, body=body) for name, body in zip(sorted(names), bodies, strict=True)])


@given(NAMES, st.text("aAbB.é", min_size=1, max_size=3))
@example({"ba", "aab"}, "aa")
@example({"a", "aa", "aaa"}, "aa")
def test_every_name_that_holds_the_text_is_found_once_and_in_order(names: set[str], text: str) -> None:
    octets = image_of(names)
    expected = [one.name for one in Contents(octets).signatures if folded(text) in folded(one.name)]
    assert [head.name for head in find_heads(octets, text, ALL)] == expected


def folded(text: str) -> bytes:
    return text.encode().lower()


def test_what_a_signature_is_comes_along() -> None:
    octets = compile_sources(starter())
    expected = [(one.name, one.target, one.family, one.severity, one.kind) for one in Contents(octets).signatures]
    found = find_heads(octets, "", ALL)
    assert [(one.name, one.target, one.family, one.severity, one.kind) for one in found] == expected


def test_the_number_is_bounded() -> None:
    octets = image_of({f"name-{number:03}" for number in range(20)})
    assert [head.name for head in find_heads(octets, "NAME", 3)] == ["name-000", "name-001", "name-002"]
    assert len(find_heads(octets, "name", 20)) == len(find_heads(octets, "name", 21)) == 20
