"""The settings as the control plane sees them (PROC-15)."""

from pathlib import Path

from control.settings import CurrentSettings
from engine import config
from engine.config import Delivery, Settings

PAUSED = Settings(delivery=Delivery(pause=True))


def test_broken_from_the_start_what_was_in_force_before_counts(tmp_path: Path) -> None:
    """ALR-07: alerts are sent by the settings that relays use too."""
    path, in_force = tmp_path / "mailward.toml", tmp_path / "in-force.toml"
    path.write_text("[smtp\n")
    assert CurrentSettings(path, in_force=in_force)() == Settings()
    config.save(PAUSED, in_force)
    settings = CurrentSettings(path, in_force=in_force)
    assert settings() == PAUSED and settings.problem
    config.save(Settings(delivery=Delivery(days=2)), path)
    assert settings.fresh().delivery.days == 2 and not settings.problem


def test_looked_at_once_a_second_or_when_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "mailward.toml"
    config.save(Settings(), path)
    settings = CurrentSettings(path, lambda: 0.0)
    config.save(PAUSED, path)
    assert settings() == Settings()
    assert settings.fresh() == PAUSED == settings()
