"""What forms say of settings is for people, who do not see the file."""

from control.forms.declared import CONTROLS, for_people
from engine.config import fields


def test_other_settings_are_called_as_forms_call_them() -> None:
    """UI-05: by the title beside the field, of another table with the title of the table."""
    assert for_people("as in relay.hosts, not x.y.", "smtp.max_hops") == "as in “Relay: Listed hosts”, not x.y."
    assert for_people("counted as for max_hops;", "smtp.max_queued") == "counted as for “Hops”;"


def test_no_text_of_a_form_has_the_name_of_a_setting() -> None:
    names = {one.name for one in fields.every() if "." in one.name}
    every = [one for control in CONTROLS.values() for one in (control, *control.columns)]
    assert [one.name for one in every if names & set(one.text.replace(",", " ").replace(";", " ").split())] == []
