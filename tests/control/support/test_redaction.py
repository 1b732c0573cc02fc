"""What a support bundle tells of people and mail: nothing."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.support import journal, redaction
from control.support.redaction import LEFT_OUT, Redactor
from engine import events

KEY = b"k" * 16
LOCAL = st.from_regex(r"[a-z]{6,12}", fullmatch=True)


def redacted(**event: object) -> dict[str, object]:
    return Redactor(KEY).event({"event": "x", **event})


def test_addresses_keep_their_domain_and_can_be_followed() -> None:
    one = Redactor(KEY)
    marked = one.address("Alice.Smith@example.com")
    assert marked.endswith("@example.com") and marked.startswith("~") and "lice" not in marked.lower()
    assert one.address("alice.smith@example.com") == marked == one.words("alice.smith@example.com")
    assert Redactor(b"l" * 16).address("alice.smith@example.com") != marked, "not the same in the next bundle"
    assert one.address("") == ""
    assert (
        one.words('550 <"alice smith"@example.com>: no')
        == f"550 <{one.mark(chr(34) + 'alice smith' + chr(34))}@example.com>: no"
    )
    assert "alice" not in one.address("alice")


@given(
    LOCAL,
    st.sampled_from(
        ["{}@example.com", "<{}@example.com>", "to={}@[192.0.2.1],", "x {}@b.example: y", '"{} x"@c.example']
    ),
)
def test_no_local_part_passes(local: str, form: str) -> None:
    text = form.format(local)
    assert local not in Redactor(KEY).words(text)
    for event in events.AnyEvent.__args__:
        for field in event.__struct_fields__:
            shown = msgspec.json.encode(
                Redactor(KEY).event({"event": event.__struct_config__.tag, field: text})
            ).decode()
            assert local not in shown.partition(field)[2], f"{event.__name__}.{field}"


MAILED = {  # fields that mail, or a stranger, has words in
    "subject": "secret plans",
    "part": "1.2/secret plans.zip",
    "file": "secret plans.zip",
    "entry": "*secret plans*",
    "evidence": {"header": {"subject": "secret plans"}},
    "values": {"SUBJECT": "secret plans"},
    "user": "secret plans",
    "modification": "secret plans",
    "violation": "500 command not recognized: secret plans",
    "description": "1/secret plans.zip: damaged zip; 2/a: secret plans; x: limit depth",
    "unscanned": ["1/secret plans.zip: damaged zip"],
    "unheard_of": "secret plans",
    "reply": "250 2.0.0 ok: secret plans",
    "last_response": "550 5.7.1 secret plans",
    "reason": 'subject "*secret*": secret plans',
    "forward_path": "secret plans@example.com",
}


@pytest.mark.parametrize("field", MAILED)
def test_words_of_mail_are_marked(field: str) -> None:
    shown = msgspec.json.encode(redacted(**{field: MAILED[field]})).decode()
    assert "secret plans" not in shown.replace("example", "")
    assert "secret" not in shown


@pytest.mark.parametrize(
    ("event", "field", "value", "told"),
    [
        (
            "delivery-deferred",
            "reason",
            "4.4.1 connecting to mx.example: refused",
            "4.4.1 connecting to mx.example: refused",
        ),
        ("delivered", "reply", "250 2.0.0", "250 2.0.0"),
        ("held", "reason", "suspect: its processing crashed 3 times", "suspect: its processing crashed 3 times"),
        ("scanned", "verdict", "clean", "clean"),
        ("scan-error", "description", "internal error: ValueError('x')", "internal error: ValueError"),
        ("protocol-violation", "violation", "503 send MAIL first: RCPT TO:<x>", "503 send MAIL first"),
        ("protocol-violation", "violation", "input before the greeting", "input before the greeting"),
        ("accepted", "size", 17, 17),
        ("accepted", "client", "192.0.2.7", "192.0.2.7"),
    ],
)
def test_what_tells_of_the_machine_stays(event: str, field: str, value: object, told: object) -> None:
    assert Redactor(KEY).event({"event": event, field: value})[field] == told


def test_causes_stay_without_names() -> None:
    (told,) = Redactor(KEY).event({"event": "scanned", "unscanned": ["1/x.zip: damaged zip"]})["unscanned"]
    assert told.startswith("damaged ~")


def test_the_lists_name_what_there_is() -> None:
    """A name that no event has would be a mistake of ours."""
    kinds = {event.__struct_config__.tag for event in events.AnyEvent.__args__}
    assert kinds >= redaction._REASONED | redaction._PATHS | journal.TROUBLE
    fields = {field for event in events.AnyEvent.__args__ for field in event.__struct_fields__}
    assert redaction._PLAIN - {"event"} | redaction._ADDRESSES | redaction._REPLIES <= fields


def test_settings() -> None:
    """Secrets by the names of their settings, also of settings that are not there yet."""
    one = Redactor(KEY)
    for name in (
        "web.oidc.client_secret",
        "smtp.password",
        "acme.account_key",
        "x.api_token",
        "notifications.virus.text",
    ):
        assert one.setting(name, "hunter2") == LEFT_OUT
    assert one.setting("smtp.hostname", "gw.example.com") == "gw.example.com"
    assert one.setting("relay.hosts", ("10.0.0.0/8",)) == ["10.0.0.0/8"]
    (marked,) = one.setting("notifications.administrators", ("alice@example.com",))
    assert marked.endswith("@example.com") and "alice" not in marked
    assert one.setting("smtp.max_incoming", 15) == 15
