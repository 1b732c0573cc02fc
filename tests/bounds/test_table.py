"""Every bound is reached by a test or it is said why not, and docs/bounds.md tells so (PROC-23)."""

import re

from tests.bounds import table


def test_every_bound_has_a_test_or_a_reason() -> None:
    """PROC-23: a new bound comes with its test, or says in bounds.toml why it has none."""
    named = table.tests()
    assert [one.key for one in table.bounds() if one.key not in named and one.key not in table.reasons()] == []


def test_reasons_are_given_only_where_they_are_needed() -> None:
    named, keys = table.tests(), {one.key for one in table.bounds()}
    assert [one for one in table.reasons() if one in named or one not in keys] == []
    assert [one for one in table.held_by_hand() if one not in keys] == []


def test_every_number_of_a_kernel_is_a_bound_or_none() -> None:
    """PROC-23: a new one is put under [kernels] of bounds.toml, with its test, or under kernel_formats."""
    assert table.kernel_strays() == []


def test_tests_that_are_named_by_hand_are_there() -> None:
    assert [one for one in table.held_by_hand().values() if not table.exists(one)] == []
    assert not table.exists("bounds/test_table.py::test_of_nothing")


def test_the_page_is_up_to_date() -> None:
    """Its bounds and their values; and the tests that it names are there."""
    page = (table.ROOT / "docs" / "bounds.md").read_text(encoding="utf-8")
    again = "run: python -m tests.bounds.table > docs/bounds.md"
    told, known = ([line.split(" | ")[:2] for line in text.splitlines()] for text in (page, table.markdown()))
    assert [one for one in told if len(one) == 2] == [one for one in known if len(one) == 2], again
    assert [one for one in set(re.findall(r"`([a-z_/]+\.py::\w+)`", page)) if not table.exists(one)] == [], again
