"""An installation with a certificate made at its first start, and an authority."""

import time
from pathlib import Path

import pytest

from control.certificates.keeper import Keeper
from engine.certificate import own_names, server_context
from engine.config import Settings, Smtp, Web
from engine.layout import Layout
from tests.control.certificates.authority import Authority, root

SETTINGS = Settings(smtp=Smtp(hostname="gate.example.com"), web=Web(names=("pages.example.com",)))


@pytest.fixture(scope="session")
def authority() -> Authority:
    return root()


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path)
    layout.make()
    server_context(layout.tls, *own_names(SETTINGS))
    return layout


@pytest.fixture
def keeper(layout: Layout) -> Keeper:
    return Keeper(layout, lambda: SETTINGS, time.time)
