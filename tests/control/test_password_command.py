"""`mailward password`: the way back in when a password, or all that proves who one is, was lost."""

import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from control.access import AccessDatabase
from control.accounts import Entry, Passwords, Result, totp
from control.accounts.second_factor import SecondFactors
from control.cli import main
from control.sessions import Sessions
from engine import config
from tests.control.harness import PASSWORD, make_root

NEW = "a new password 2"


def run(root: Path, *options: str, typed: str = f"{NEW}\n{NEW}\n") -> tuple[int, str]:
    result = CliRunner().invoke(main, ["password", "--root", str(root), *options], input=typed)
    return result.exit_code, result.output


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_root(tmp_path, config.Settings())


def test_a_new_password_ends_what_is_open(root: Path) -> None:
    """ACC-05: typed twice; a mismatch changes nothing."""
    database = AccessDatabase(root)
    sessions = Sessions(database, time.time, lambda: 300.0)
    session_id = sessions.begin("admin", "192.0.2.1")
    assert run(root, typed=f"{NEW}\nanother password\n")[0] != 0
    assert sessions.find(session_id, active=False) is not None
    status, said = run(root)
    assert (status, NEW in said) == (0, False)
    assert said.endswith("the password of admin is set\n")
    assert sessions.find(session_id, active=False) is None
    entry = Entry(database, time.time, Passwords())
    assert entry.by_password("admin", PASSWORD, "192.0.2.1").result is Result.WRONG
    assert entry.by_password("admin", NEW, "192.0.2.1").result is Result.WELCOME
    database.close()


def test_a_second_factor_that_was_lost(root: Path) -> None:
    """ACC-11: stays unless asked for."""
    database = AccessDatabase(root)
    factors = SecondFactors(database, time.time)
    secret = factors.begin("admin")
    factors.confirm("admin", totp.code(secret, int(time.time()) // totp.STEP_S))
    entry = Entry(database, time.time, Passwords())
    assert run(root)[0] == 0
    assert entry.by_password("admin", NEW, "192.0.2.1").result is Result.CODE
    status, said = run(root, "--no-second-factor")
    assert (status, said.endswith("its second factor is off\n")) == (0, True)
    assert entry.by_password("admin", NEW, "192.0.2.1").result is Result.WELCOME
    database.close()


def test_what_cannot_be(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """ACC-03, ACC-05: said with the next step."""
    status, said = run(root, "--user=anna")
    assert (status, "there is no account 'anna': the accounts are admin, report" in said) == (1, True)
    status, said = run(root, "--user=report", typed=f"{PASSWORD}\n{PASSWORD}\n")
    assert (status, "choose a different one" in said) == (1, True)
    status, said = run(root, typed="short\nshort\n")
    assert (status, "use 12 to 1024" in said) == (1, True)
    status, said = run(tmp_path_factory.mktemp("empty"))
    assert (status, "mailward init" in said) == (1, True)
