"""A file with a mistake is refused with place and reason; what is written is read back the same (PROC-15)."""

import os
import stat
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import config
from engine.config import (
    ConfigError,
    Delivery,
    MailListener,
    Pages,
    PlainPages,
    Relay,
    Route,
    Routing,
    Settings,
    Smtp,
    Web,
)


def test_defaults_are_good_and_survive_a_round_trip() -> None:
    assert config.parse("") == Settings()
    assert config.parse(config.dump(Settings())) == Settings()


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp")), max_size=20)


@settings(max_examples=100, deadline=None)
@given(text=TEXT, days=st.integers(1, 14), pause=st.booleans(), ports=st.permutations([25, 2525, 8003, 8043, 9000]))
def test_what_is_written_is_read_back(text: str, days: int, pause: bool, ports: list[int]) -> None:
    wanted = Settings(
        smtp=Smtp(listen=MailListener("::1", ports[0]), from_name=text),
        web=Web(http=PlainPages("127.0.0.1", ports[1]), https=Pages("127.0.0.1", ports[2])),
        delivery=Delivery(days=days, pause=pause),
        routing=Routing(default_host="a.example,[::1]:26", local=(Route("example.com", "10.0.0.5", ports[3]),)),
        relay=Relay(hosts=("10.0.0.0/8", "*.example.com")),
    )
    assert config.parse(config.dump(wanted)) == wanted


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[smtp]\nmax_incoming = 0\n", "mailward.toml:2: "),
        ("[smtp]\nmax_incoming = 5001\n", "mailward.toml:2: "),
        ("[smtp]\n\nmax_incomming = 5\n", "mailward.toml:3: "),
        ("[smtp\n", "mailward.toml:1: "),
        ("[smtp]\nhostname = 5\n", "mailward.toml:2: "),
        ("[nonsense]\n", "nonsense"),
        ("[delivery]\ndays = 15\n", "mailward.toml:2: "),
        ("[antivirus]\nunscanned = 'perhaps'\n", "mailward.toml:2: "),
        ("[smtp]\nlisten = { host = '127.0.0.1', port = 8043 }\n", "smtp.listen.port and web.https.port are both 8043"),
        ("[web]\nhttp = { host = '127.0.0.1', port = 80 }\n", "HTTP-03"),
        ("[relay]\nhosts = ['10.0.0.0/33']\n", "relay.hosts[0]"),
        ("[relay]\nhosts = ['mail.*']\n", "relay.hosts[0]"),
        ("[delivery]\nretry_first_s = 100\nretry_last_s = 10\n", "retry_last_s"),
        ("[[routing.local]]\nname = ''\n", "routing.local[0]"),
        ("[[routing.local]]\nname = 'a.example'\n[[routing.local]]\nname = 'A.example'\n", "there twice"),
        ("[[routing.local]]\nname = 'a.example'\nhost = 'no such host'\n", "routing.local[0].host"),
        ("[[routing.local]]\nname = 'a.example'\nhost = 'b.example:99999'\n", "routing.local[0].host"),
        ("[routing]\ndefault_host = ','\n", "routing.default_host"),
        ("[smtp]\nhostname = 'two words'\n", "smtp.hostname"),
        ('[smtp]\nhostname = "a\\r\\n250 x"\n', "smtp.hostname"),
        ("[smtp]\nfrom_address = 'mailward'\n", "smtp.from_address"),
        ("[smtp]\nfrom_address = 'a@b\\n'\n".replace("'", '"'), "smtp.from_address"),
    ],
)
def test_mistakes_are_named(text: str, words: str) -> None:
    """Mail of a route that cannot be read would be returned at once, so such a file must not come into force."""
    with pytest.raises(ConfigError) as caught:
        config.parse(text)
    assert words in str(caught.value)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200) | st.from_regex(r"\[(smtp|web|relay|routing)\]\n\w{1,12} = [\[\]{}'\"0-9a-z., ]{0,30}"))
def test_any_text_gives_settings_or_a_reason(text: str) -> None:
    try:
        config.parse(text)
    except ConfigError as error:
        assert str(error)


def test_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"# caf\xe9\n")
    for path in (tmp_path, tmp_path / "missing", tmp_path / "latin"):
        with pytest.raises(ConfigError, match=str(path)):
            config.load(path)


def test_save_replaces_in_one_step_and_refuses_what_load_would(tmp_path: Path) -> None:
    path = tmp_path / "mailward.toml"
    config.save(Settings(), path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    bad = msgspec.structs.replace(Settings(), smtp=Smtp(hostname="two words"))
    with pytest.raises(ConfigError):
        config.save(bad, path)
    assert config.load(path) == Settings()
    assert os.listdir(tmp_path) == ["mailward.toml"]
