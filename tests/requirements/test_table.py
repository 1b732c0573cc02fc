"""Every requirement of the policy is held by a test, or it is said why not. Writes build/requirements.md."""

from tests.requirements import table


def test_every_requirement_is_held_by_a_test_or_has_a_reason() -> None:
    build = table.FOLDER.parent.parent / "build"
    build.mkdir(exist_ok=True)
    (build / "requirements.md").write_text(table.markdown(), encoding="utf-8")
    held, reasons = table.tests(), table.without()
    assert [one for one in table.rows() if one not in held and one not in reasons] == []


def test_reasons_are_given_only_where_they_are_needed() -> None:
    held = table.tests()
    assert [one for one in table.without() if one in held or one not in table.rows()] == []


def test_ranges_name_all_their_requirements() -> None:
    assert table.named("holds AB-01..03, and CDE-10 too; not XY-1") == {"AB-01", "AB-02", "AB-03", "CDE-10"}
