"""What settings put into inputs is read back the same, whatever it is; what people type is never lost or a failure."""

from hypothesis import given, settings
from hypothesis import strategies as st

from control.form import Fields
from control.forms.build import build
from control.forms.declared import CONTROLS, Kind, group, tables
from control.forms.typed import ROWS, Typed, row_of
from control.history.change import plain
from control.operation import Mistake
from engine.config import Settings
from tests.engine.config.strategy import good

EVERY = list(CONTROLS.values())
GROUPS = [group(table) for table in tables()]


def sent(typed: Typed) -> Fields:
    """As a browser sends it."""
    pairs = [(name, text.replace("\n", "\r\n")) for name, text in typed.texts.items()]
    return Fields([*pairs, *((f"{name}.rows", str(count)) for name, count in typed.rows.items())])


@settings(max_examples=25, deadline=None)
@given(good)
def test_a_form_that_nobody_touched_changes_nothing(wanted: Settings) -> None:
    """UI-05: from settings to inputs, through a browser, and back."""
    typed = Typed.of_fields(EVERY, sent(Typed.of_values(EVERY, plain(wanted))))
    values = plain(wanted)
    assert [one.name for one in EVERY if not typed.shows(one, values[one.name])] == []
    read = typed.values(EVERY)
    blanks = [name for name in values if read[name] != values[name]]
    assert all(CONTROLS[name].kind in (Kind.LINE, Kind.ROWS) for name in blanks)


TEXT = st.text(max_size=30)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([*CONTROLS, "routing.local.rows", "routing.local[0].name"]) | TEXT, TEXT)))
def test_whatever_is_sent_is_read_and_shown_again(pairs: list[tuple[str, str]]) -> None:
    typed = Typed.of_fields(EVERY, Fields(pairs))
    for control in EVERY:
        if control.kind is Kind.ROWS and control.name in typed.rows:
            typed.drop_blank_rows(control)
            typed.add_row(control)
            typed.raise_row(control, 1)
    values = typed.values(EVERY)
    assert set(values) <= set(CONTROLS)
    mistakes = [Mistake(name, "x") for name in values] + [Mistake("routing.local[7].name[3]", "y"), Mistake("", "z")]
    built = build(GROUPS, typed, mistakes)
    assert len(built.mistakes) + len(built.elsewhere) == len(mistakes)


def test_rows_are_bounded() -> None:
    """RTE-10: as many as anybody needs, and not one more."""
    control = CONTROLS["routing.local"]
    typed = Typed.of_fields([control], Fields([("routing.local.rows", str(ROWS + 1))]))
    assert typed.rows[control.name] == ROWS
    typed.add_row(control)
    assert typed.rows[control.name] == ROWS
    typed.remove_row(control, ROWS - 1)
    typed.add_row(control)
    assert typed.rows[control.name] == ROWS


@given(TEXT)
def test_whatever_a_button_says(text: str) -> None:
    table, index = row_of(text)
    assert (table, index) == ("", 0) or text.startswith(table)
