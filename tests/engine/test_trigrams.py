"""Terms are found in the blocks that have them, in any script and case."""

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.trigrams import ALL, BLOCKS, Matrix, bits, contains, fold, row_octets, rows_of


def candidates(matrix: Matrix, term: str) -> int:
    found = ALL
    for row in rows_of(fold(term.encode())):
        found &= bits(bytes(matrix.octets), row)
    return found


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=60), min_size=1, max_size=5), st.data())
def test_a_block_with_the_term_is_a_candidate(texts: list[str], data: st.DataObject) -> None:
    """RPT-13"""
    matrix = Matrix()
    for block, text in enumerate(texts):
        matrix.mark(fold(text.encode()), block)
    block = data.draw(st.integers(0, len(texts) - 1))
    first = data.draw(st.integers(0, len(texts[block])))
    term = texts[block][first : first + data.draw(st.integers(0, 12))]
    for spelled in (term, term.casefold()):
        assert candidates(matrix, spelled) >> block & 1


def test_other_blocks_are_not() -> None:
    matrix = Matrix()
    matrix.mark(fold("Re: ФАКТУРА für Österreich".encode()), 3)
    matrix.mark(fold(b"postmaster@example.org"), BLOCKS - 1)
    assert candidates(matrix, "фактура") == candidates(matrix, "ÖSTERREICH") == 1 << 3
    assert candidates(matrix, "Example.ORG") == 1 << BLOCKS - 1
    assert candidates(matrix, "nobody") == 0


@given(st.integers(0, ALL))
def test_a_row_is_kept_as_it_is(columns: int) -> None:
    assert bits(row_octets(0) + row_octets(columns), 1) == columns


def test_case_does_not_count() -> None:
    """RPT-13"""
    assert (
        contains("Rechnung", "rECH") and contains("СЧЁТ", "счёт") and contains("Straße", "STRASSE".replace("SS", "ß"))
    )
    assert not contains("Rechnung", "rechts") and not contains("Straße", "strasse")
    assert contains("anything", "")
