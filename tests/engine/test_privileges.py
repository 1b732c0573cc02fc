"""Root is given up whole, and what does not belong to the installation is left alone (SYS-01)."""

import os
import pwd
from pathlib import Path
from typing import Any

import pytest

from engine import privileges
from engine.layout import Layout

NOBODY = pwd.getpwnam("nobody")


def test_unknown_user_is_named() -> None:
    with pytest.raises(privileges.CannotDrop, match="no user 'no-such-user'"):
        privileges.account("no-such-user")


def test_without_root_nothing_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    privileges.drop("no-such-user", Layout(tmp_path))


def test_directory_that_the_user_may_not_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "closed").mkdir(mode=0o700)
    root = tmp_path / "closed" / "gateway"
    root.mkdir()
    stranger = pwd.struct_passwd(("x", "x", 54321, 54321, "", "/", "/"))
    assert privileges._blocked(root, stranger) is not None
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(privileges, "account", lambda name: stranger)
    changed: list[Any] = []
    for call in ("setuid", "setgid", "setgroups", "chown"):
        monkeypatch.setattr(os, call, lambda *_, **__: changed.append(1))
    with pytest.raises(privileges.CannotDrop, match="may not pass"):
        privileges.drop("x", Layout(root))
    assert not changed


def test_only_the_installation_is_given_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A root chosen carelessly, such as /srv, must not change hands with all that is in it."""
    layout = Layout(tmp_path)
    layout.make()
    layout.config.touch()
    (layout.queue / "inner").mkdir()
    (layout.queue / "link").symlink_to("/etc/passwd")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    given: dict[Path, bool] = {}
    monkeypatch.setattr(
        os, "chown", lambda path, uid, gid, follow_symlinks=True: given.setdefault(Path(path), follow_symlinks)
    )
    privileges.give_to(NOBODY, layout)
    assert {tmp_path, layout.config, layout.queue, layout.queue / "inner", layout.journal, layout.run} <= set(given)
    assert tmp_path / "other" not in given and tmp_path / "other" / "file" not in given
    assert given[layout.queue / "link"] is False


def test_become_owner_is_nothing_for_root_s_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed: list[Any] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    for call in ("setuid", "setgid", "setgroups"):
        monkeypatch.setattr(os, call, lambda value, call=call: changed.append((call, value)))
    owner = tmp_path.stat()
    privileges.become_owner(tmp_path)
    expected = [] if owner.st_uid == 0 else [("setgroups", []), ("setgid", owner.st_gid), ("setuid", owner.st_uid)]
    assert changed == expected
