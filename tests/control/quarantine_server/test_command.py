"""`mailward quarantine`: what its commands make, and what they refuse, in words with the next step."""

from pathlib import Path

import argon2
import pytest
from click.testing import CliRunner, Result

from control.cli import main
from control.quarantine_server import authority
from signatures.compile import compile_sources, starter
from tests.control.harness import Browser
from tests.control.quarantine_server.house import CHEAP, House, made


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    return made(tmp_path_factory.mktemp("q") / "root")


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(argon2, "PasswordHasher", lambda: CHEAP)


def run(house: House, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["quarantine", arguments[0], f"--root={house.root}", *arguments[1:]])


def test_init_makes_all_that_is_needed(house: House) -> None:
    """QRN-03, QRN-04, QRN-06: readable by nobody else; not over something that is there."""
    layout = house.layout
    for path in (layout.key, layout.authority, layout.server_certificate):
        assert path.stat().st_mode & 0o777 == 0o600
    assert layout.root.stat().st_mode & 0o077 == 0 and layout.definitions_file.stat().st_size
    again = run(house, "init", "--name=127.0.0.1")
    assert again.exit_code == 1 and "not empty" in again.output


def test_init_refuses_names_that_are_none(tmp_path: Path) -> None:
    """QRN-04: and leaves nothing behind."""
    result = CliRunner().invoke(main, ["quarantine", "init", f"--root={tmp_path / 'new'}", "--name=not a host"])
    assert result.exit_code == 1 and "gateways.names[0]" in result.output
    assert not (tmp_path / "new").exists()


def test_enroll_and_withdraw(house: House, tmp_path: Path) -> None:
    """QRN-04: one file for a gateway, once; taken off, the name is free again."""
    file = tmp_path / "one.pem"
    assert run(house, "enroll", "one", f"--output={file}").exit_code == 0
    assert file.stat().st_mode & 0o777 == 0o600 and file.read_text().count("-----BEGIN CERTIFICATE") == 2
    assert run(house, "gateways").output == "one\n"
    for wrong, said in (("one", "already"), ("../x", "no name"), ("X", "no name"), ("", "no name")):
        result = run(house, "enroll", wrong, f"--output={tmp_path / 'other.pem'}")
        assert result.exit_code == 1 and said in result.output, wrong
    assert "exists already" in run(house, "enroll", "two", f"--output={file}").output
    unwritable = run(house, "enroll", "two", f"--output={tmp_path}/no/such/folder")
    assert unwritable.exit_code == 1 and authority.enrolled(house.layout) == ["one"]
    assert run(house, "withdraw", "one").exit_code == 0
    assert "there is no gateway 'one'" in run(house, "withdraw", "one").output


def test_accounts(house: House) -> None:
    """QRN-06: who may look, who may release."""
    password = "--password=correct horse staple"
    assert "may see everything\n" in run(house, "account", "eve", "--may=look", password).output
    result = run(house, "account", "eve", "--may=release", "--password=another horse staple")
    assert "release and delete" in result.output
    short = run(house, "account", "bob", "--may=look", "--password=x")
    assert short.exit_code == 1 and "characters" in short.output
    assert run(house, "remove-account", "eve").exit_code == 0
    assert "no account" in run(house, "remove-account", "eve").output


def test_definitions_are_checked(house: House, tmp_path: Path) -> None:
    """QRN-09: what is no definitions file takes no place."""
    before = house.layout.definitions_file.read_bytes()
    file = tmp_path / "new.mwd"
    file.write_bytes(b"nothing")
    refused = run(house, "definitions", str(file))
    assert refused.exit_code == 1 and str(file) in refused.output
    assert house.layout.definitions_file.read_bytes() == before
    file.write_bytes(compile_sources(starter()))
    assert "revision" in run(house, "definitions", str(file)).output
    assert {path.name for path in house.layout.definitions.iterdir()} == {"definitions.mwd"}


def test_what_is_no_server_is_told(tmp_path: Path) -> None:
    for command in (["serve"], ["gateways"], ["enroll", "x"], ["withdraw", "x"]):
        result = CliRunner().invoke(main, ["quarantine", *command, f"--root={tmp_path}"])
        assert result.exit_code == 1 and "mailward quarantine init" in result.output, command


def test_serve_refuses_what_it_cannot_use(house: House) -> None:
    """QRN-06: a broken file, a key that is none."""
    good, key = house.layout.config.read_text(), house.layout.key.read_bytes()
    house.layout.config.write_text("[store]\nmax_gb = 0\nfoo = 1\n")
    result = run(house, "serve")
    assert result.exit_code == 1 and "store.max_gb" in result.output and "store.foo" in result.output
    house.layout.config.write_text(good)
    house.layout.key.write_bytes(b"x")
    assert "is no key" in run(house, "serve").output
    house.layout.key.write_bytes(key)


def test_one_server_on_a_root_and_its_accounts_log_on(house: House) -> None:
    """QRN-06: with the password that was set."""
    run(house, "account", "carol", "--may=look", "--password=correct horse staple")
    house.start()
    try:
        assert "runs on" in run(house, "serve").output
        browser = Browser(house.pages_port)
        assert browser.get("/items").status == 303
        assert browser.log_on("carol", "correct horse staple").status == 303
        assert browser.get("/items").status == 200
        assert Browser(house.pages_port).log_on("admin").status == 303
    finally:
        assert house.stop() == 0
