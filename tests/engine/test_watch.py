"""The last good settings stay in force (PROC-15)."""

import os
from pathlib import Path

import pytest

import engine.watch
from engine import config
from engine.config import ConfigError, Delivery, Settings
from engine.watch import ConfigWatch, last_good

PAUSED = Settings(delivery=Delivery(pause=True))


class Told:
    def __init__(self, watch: ConfigWatch) -> None:
        self._watch = watch
        self.applied: list[Settings] = []
        self.refused: list[str] = []

    def check(self, force: bool = False) -> None:
        self._watch.check(self.applied.append, self.refused.append, force)


def test_change_mistake_removal_and_return(tmp_path: Path) -> None:
    path = tmp_path / "mailward.toml"
    config.save(Settings(), path)
    watch = ConfigWatch(path, Settings())
    told = Told(watch)
    told.check()
    assert not told.applied and not told.refused
    config.save(PAUSED, path)
    told.check()
    told.check()
    assert told.applied == [PAUSED] == [watch.settings]
    path.write_text("[delivery\n")
    told.check()
    told.check()
    assert len(told.refused) == 1 and ":1: " in told.refused[0], "said once"
    path.unlink()
    told.check()
    assert len(told.refused) == 2 and watch.settings == PAUSED
    config.save(PAUSED, path)
    told.check()
    assert told.applied == [PAUSED], "nothing has changed for those who use it"
    told.check(force=True)
    assert told.applied == [PAUSED] and len(told.refused) == 2


def test_what_changes_while_it_is_being_read_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PROC-15: before the watch begins, while it reads; the revision is of the file whose settings they are."""
    path = tmp_path / "mailward.toml"
    config.save(PAUSED, path)
    watch = ConfigWatch(path, Settings())
    told = Told(watch)
    told.check()
    assert told.applied == [PAUSED]

    def slowly(path: Path) -> Settings:
        found = config.load(path)
        monkeypatch.undo()
        config.save(PAUSED, path)
        return found

    config.save(Settings(), path)
    monkeypatch.setattr(engine.watch, "load", slowly)
    told.check()
    told.check()
    assert told.applied == [PAUSED] and watch.revision == f"{path.stat().st_mtime_ns:x}"


def test_same_size_and_time_but_another_file(tmp_path: Path) -> None:
    path = tmp_path / "mailward.toml"
    path.write_text("[delivery]\ndays = 5\n")
    before = path.stat()
    watch = ConfigWatch(path, config.load(path))
    (tmp_path / "new").write_text("[delivery]\ndays = 6\n")
    os.utime(tmp_path / "new", ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(tmp_path / "new", path)
    Told(watch).check()
    assert watch.settings.delivery.days == 6


def test_process_that_starts_while_the_file_is_broken(tmp_path: Path) -> None:
    path, in_force = tmp_path / "mailward.toml", tmp_path / "in-force"
    path.write_text("[delivery")
    with pytest.raises(ConfigError):
        last_good(path, in_force)
    config.save(PAUSED, in_force)
    assert last_good(path, in_force) == PAUSED
    config.save(Settings(), path)
    assert last_good(path, in_force) == Settings()


def test_a_file_that_is_being_written_is_no_settings_yet(tmp_path: Path) -> None:
    """PROC-15: an editor empties the file first, and an empty file is good, with other ports and without any route."""
    path = tmp_path / "mailward.toml"
    config.save(PAUSED, path)
    told = Told(watch := ConfigWatch(path, PAUSED))
    with path.open("w") as file:
        told.check()
        file.write("[delivery]\npause = true\n")
        file.flush()
        told.check()
        file.write("days = 6\n")
    told.check()
    told.check()
    assert told.applied == [Settings(delivery=Delivery(pause=True, days=6))] == [watch.settings]
