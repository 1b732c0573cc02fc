"""A save from the pages leaves what people wrote into the file alone, and says exactly what was meant."""

import tomllib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control.history.change import DECLARED, changes, default, plain, sentences
from control.history.edit import edited
from engine.config import ConfigError, Settings, dump, parse
from tests.engine.config.strategy import good

FILE = """# Ours. Ask Dora before you touch the routes.

[smtp]
hostname = "gw.example.com"  # as in DNS
max_incoming = 40

# who may send out
[relay]
hosts = [
    "10.0.0.0/8",  # the office
    "192.0.2.1",  # the shop
]

[[routing.local]]
# the head office
name = "example.com"
host = "10.0.0.5"

[[routing.local]]
name = "example.org"  # bought in May
"""


def test_what_is_not_changed_stays_as_it_was() -> None:
    """PROC-15: comments, order and blank lines survive."""
    result = edited(FILE, {"smtp.max_incoming": 41, "delivery.days": 3})
    assert result.kept
    assert result.text == FILE.replace("max_incoming = 40", "max_incoming = 41") + "\n[delivery]\ndays = 3\n"


def test_entries_come_and_go_one_by_one() -> None:
    result = edited(FILE, {"relay.hosts": ["10.0.0.0/8", "192.0.2.9"]})
    assert result.kept and "# the office" in result.text
    assert tomllib.loads(result.text)["relay"]["hosts"] == ["10.0.0.0/8", "192.0.2.9"]


def test_rows_keep_their_comments() -> None:
    rows = [
        {"name": "new.example", "mx": True},
        {"name": "example.org", "port": 26},
        {"name": "example.com", "host": "10.0.0.5"},
    ]
    result = edited(FILE, {"routing.local": rows})
    assert result.kept and "# bought in May" in result.text and "# the head office" in result.text
    assert [one.name for one in result.settings.routing.local] == ["new.example", "example.org", "example.com"]
    assert result.settings.routing.local[2].host == "10.0.0.5"


def test_a_default_is_not_written_down() -> None:
    """Unless a comment would be lost with it."""
    result = edited(FILE, {"smtp.max_incoming": 15, "smtp.hostname": None, "blocking.size.max_mb": 50})
    assert "max_incoming" not in result.text and "blocking" not in result.text
    assert 'hostname = ""  # as in DNS' in result.text


def test_the_place_of_the_pages_keeps_its_port() -> None:
    """HTTP-03: a table that names the address alone has the port of that place, not that of SMTP."""
    result = edited("", {"web.https.host": "127.0.0.1"})
    assert result.settings.web.https.port == 8043
    assert parse("[web.http]\nhost = '127.0.0.1'\n").web.http.port == 8003


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("smtp.max_incoming = 3 # few\n", True),
        ("smtp = { max_incoming = 3 } # few\n", True),
        ("[blocking.size]\nmax_mb = 3\n[smtp]\n[blocking.files] # torn\n", True),
        ("", True),
        ("# alone", True),
    ],
)
def test_unusual_files(text: str, kept: bool) -> None:
    result = edited(text, {"smtp.max_incoming": 77, "blocking.files.enabled": True})
    assert result.kept is kept
    assert result.settings.smtp.max_incoming == 77 and parse(result.text) == result.settings
    assert ("#" in result.text) is kept or "#" not in text


def test_a_mistake_saves_nothing() -> None:
    """UI-05."""
    with pytest.raises(ConfigError) as caught:
        edited(FILE, {"smtp.max_incoming": 0, "relay.hosts": ["*"]})
    assert [one.setting for one in caught.value.problems] == ["smtp.max_incoming", "relay.hosts[0]"]
    with pytest.raises(ConfigError, match=r":2: is not TOML"):
        edited("[smtp]\nhostname = x\n", {})


def test_a_change_can_mend_a_broken_value() -> None:
    assert edited("[smtp]\nmax_incoming = 'many'\n", {"smtp.max_incoming": 20}).settings.smtp.max_incoming == 20


@settings(max_examples=25, deadline=None)
@given(before=good, after=good, comment=st.booleans())
def test_any_change_arrives(before: Settings, after: Settings, comment: bool) -> None:
    """Whatever is changed to whatever is good: the text says just that."""
    text = dump(before) + ("# end\n" if comment else "")
    values = {one.setting: one.new for one in changes(before, after)}
    result = edited(text, values)
    assert result.settings == after == parse(result.text)
    assert "# Mailward's settings." in result.text
    back = {one.setting: one.new for one in changes(after, before)}
    assert edited(result.text, back).settings == before


@given(good)
@settings(max_examples=20, deadline=None)
def test_everything_can_be_put_back(before: Settings) -> None:
    assert edited(dump(before), dict.fromkeys(DECLARED)).settings == Settings()


def test_changes_are_told_in_plain_words() -> None:
    before = parse(FILE)
    after = edited(
        FILE,
        {
            "relay.hosts": ["10.0.0.0/8", "a.example"],
            "delivery.pause": True,
            "smtp.from_name": "x  y" * 300,
            "routing.local": [{"name": "example.org"}],
            "smtp.hostname": None,
        },
    ).settings
    said = {one.setting: sentences(one) for one in changes(before, after)}
    assert said["relay.hosts"] == ["added: a.example", "removed: 192.0.2.1"]
    assert said["delivery.pause"] == ["off → on"]
    assert said["smtp.hostname"] == ["gw.example.com → empty"]
    assert said["routing.local"] == ["removed: name=example.com host=10.0.0.5 port=25"]
    assert len(said["smtp.from_name"][0]) < 350 and "\n" not in said["smtp.from_name"][0]
    swapped = msgspec.structs.replace(changes(before, after)[0], old=["a", "b"], new=["b", "a"])
    assert sentences(swapped) == ["in another order: b, a"]


def test_every_setting_has_a_plain_value() -> None:
    assert plain(Settings()) == {name: default(name) for name in DECLARED}
