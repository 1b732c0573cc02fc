"""`mailward config` as people and scripts call it (PROC-15)."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from control.history.keeper import Keeper
from control.history.revisions import BY_HAND
from engine import config
from engine.layout import Layout
from tests.system.harness import MAILWARD, Gateway


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    """Installed, not started."""
    return Gateway(tmp_path / "root", {"example.com": 1})


def call(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*MAILWARD, "config", *arguments], capture_output=True, text=True)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_check_names_every_mistake_with_its_line(gateway: Gateway, tmp_path: Path) -> None:
    """BLK-04, BLK-05, SIZE-02, PROC-15: file:line, as editors read it; exit status 1."""
    assert call("check", "--root", gateway.root).returncode == 0
    bad = write(
        tmp_path / "bad.toml", "[blocking.size]\nmax_mb = 0\n[blocking.subject]\n\naction = 'forward'\nfoo = 1\n"
    )
    ended = call("check", bad)
    assert (ended.returncode, ended.stdout) == (1, "")
    places = [line.split(" ")[0:2] for line in ended.stderr.splitlines()]
    assert places[:3] == [
        [f"{bad}:2:", "blocking.size.max_mb"],
        [f"{bad}:3:", "blocking.subject.forward.to"],
        [f"{bad}:6:", "blocking.subject.foo"],
    ]
    assert "3 mistakes" in ended.stderr.splitlines()[3]
    missing = call("check", tmp_path / "missing.toml")
    assert missing.returncode == 1 and "missing.toml: cannot be read" in missing.stderr.replace("\n", " ")
    assert call("check").returncode == 2
    odd = call("check", write(tmp_path / "odd.toml", "[relay]\nallow_all = true\n"))
    assert odd.returncode == 0 and "note: relay.allow_all" in odd.stdout, "RELAY-02: said, not refused"


def test_show_marks_what_differs(gateway: Gateway) -> None:
    gateway.configure(blocking={"size": {"enabled": True}})
    ended = call("show", "--root", gateway.root)
    assert ended.returncode == 0 and "\x1b" not in ended.stdout
    lines = [line.split() for line in ended.stdout.splitlines()]
    assert ["*", "blocking.size.enabled", "true"] in lines
    assert all(line[0] == "*" for line in lines), "only what differs"
    section = [line.split() for line in call("show", "blocking.size", "--root", gateway.root).stdout.splitlines()]
    assert section == [["*", "blocking.size.enabled", "true"], ["blocking.size.max_mb", "50"]]
    everything = call("show", "--all", "--root", gateway.root).stdout
    assert "blocking.white_list.confirmed" in everything
    rows = json.loads(call("show", "blocking.size", "--json", "--root", gateway.root).stdout)
    assert rows["blocking.size.max_mb"] == {"value": 50, "default": 50, "differs": False}
    assert rows["blocking.size.enabled"] == {"value": True, "default": False, "differs": True}
    wrong = call("show", "blocking.sizes", "--root", gateway.root)
    assert wrong.returncode == 1 and "did you mean blocking.size" in wrong.stderr


def test_show_while_the_file_is_broken(gateway: Gateway) -> None:
    """PROC-15: what is in force are the last good settings, and why is said."""
    layout = Layout(gateway.root)
    config.save(config.load(layout.config), layout.in_force)
    write(layout.config, "[smtp\n")
    ended = call("show", "routing", "--root", gateway.root)
    assert ended.returncode == 0 and "example.com" in ended.stdout
    assert f"{layout.config}:1: is not TOML" in ended.stderr and "last good settings" in ended.stderr
    layout.in_force.unlink()
    assert call("show", "--root", gateway.root).returncode == 1


def test_diff(tmp_path: Path) -> None:
    """Exit status as of diff: 0 the same, 1 different, 2 an error."""
    one = write(tmp_path / "one.toml", "[smtp]\nmax_hops = 5\n[[routing.local]]\nname = 'a.example'\n")
    two = write(tmp_path / "two.toml", "[smtp]\nmax_hops = 6\n")
    assert call("diff", one, one).returncode == 0
    ended = call("diff", one, two)
    assert ended.returncode == 1
    assert {"- smtp.max_hops = 5", "+ smtp.max_hops = 6", '- routing.local[0].name = "a.example"'} <= set(
        ended.stdout.splitlines()
    )
    assert call("diff", two).stdout.splitlines() == ["- smtp.max_hops = 100", "+ smtp.max_hops = 6"], (
        "from the defaults"
    )
    assert json.loads(call("diff", "--json", two).stdout) == {"smtp.max_hops": {"old": 100, "new": 6}}
    assert call("diff", write(tmp_path / "bad.toml", "x = 1\n")).returncode == 2


def test_explain(gateway: Gateway) -> None:
    """SIZE-02: what a setting is, what it may be, and where it is asked for."""
    text = call("explain", "blocking.size.max_mb", "--root", gateway.root).stdout
    for words in ("a whole number from 1 to 2047", "SIZE-02", "Megabytes", "in force    blocking.size.max_mb = 50"):
        assert words in text
    assert "blocking.block_lists.lists[].domain" in call("explain", "blocking.block_lists.lists").stdout
    unknown = call("explain", "max_mb")
    assert unknown.returncode == 1 and "did you mean blocking.size.max_mb" in unknown.stderr


def test_set_saves_only_what_is_good(gateway: Gateway) -> None:
    """PROC-15, PROC-18, SUBJ-03, FILE-03, ACC-10: as by editing the file; what cannot be saved leaves it as it is."""
    path = Layout(gateway.root).config
    assert call("set", "--root", gateway.root, "blocking.size.max_mb", "7").stdout == "blocking.size.max_mb = 7\n"
    assert config.load(path).blocking.size.max_mb == 7
    assert call("set", "--root", gateway.root, "smtp.from_name", "Mail gate").returncode == 0
    assert call("set", "--root", gateway.root, "relay.hosts", '["10.0.0.0/8", " 10.0.0.0/8 "]').returncode == 0
    found = config.load(path)
    assert (found.smtp.from_name, found.relay.hosts) == ("Mail gate", ("10.0.0.0/8",))
    for names in ('["*.exe", "badnews.*"]', '["badnews.*", "x.doc"]', "[]"):
        assert call("set", "--root", gateway.root, "blocking.files.names", names).returncode == 0
        assert list(config.load(path).blocking.files.names) == json.loads(names)
    before = path.read_bytes()
    for key, value, words in [
        ("blocking.subject.action", "forward", "BLK-04"),
        ("blocking.size.max_mb", "0", "from 1 to 2047"),
        ("blocking.size.max_mb", "1.5", "whole number"),
        ("smtp.max_hopps", "5", "did you mean smtp.max_hops"),
        ("routing.local", "[]", "edit"),
        ("blocking.size", "1", "edit"),
    ]:
        ended = call("set", "--root", gateway.root, key, value)
        assert ended.returncode == 1 and words in ended.stderr, (key, ended.stderr)
        assert path.read_bytes() == before
    path.write_bytes(before + b"# why it is so\n")
    assert call("set", "--root", gateway.root, "smtp.max_hops", "5").stdout == "smtp.max_hops = 5\n"
    assert config.load(path).smtp.max_hops == 5 and b"# why it is so\n" in path.read_bytes()
    newest, by_hand, *_ = Keeper(Layout(gateway.root)).history(int(time.time()), 10)
    assert (newest.how, [one.setting for one in newest.changes]) == ("on the command line", ["smtp.max_hops"])
    assert (by_hand.how, by_hand.changes) == (BY_HAND, ())
    assert not [name for name in os.listdir(gateway.root) if name.startswith(".mailward-")]


def test_reference_is_the_committed_page() -> None:
    page = Path(__file__).parents[2] / "docs" / "settings.md"
    assert call("reference").stdout == page.read_text(encoding="utf-8")


def test_a_running_gateway_takes_what_is_set(gateway: Gateway) -> None:
    """PROC-15: without a restart, and a mistake leaves in force what was."""
    try:
        gateway.start()
        assert call("set", "--root", gateway.root, "blocking.size.enabled", "true").returncode == 0
        gateway.wait_service_event("configuration-applied")
        path = Layout(gateway.root).config
        write(path, path.read_text(encoding="utf-8") + "[blocking.subject]\naction = 'forward'\n")
        (refused,) = gateway.wait_service_event("configuration-refused")
        assert f"{path}:" in refused["reason"] and "blocking.subject.forward.to" in refused["reason"]
        assert "blocking.size.enabled  true" in call("show", "--root", gateway.root).stdout
    finally:
        gateway.stop()
