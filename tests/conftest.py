"""What holds for all tests: none depends on how fast the machine is, and they may run side by side."""

from typing import Final

import hypothesis
import pytest

# Whole processes that mostly wait: begun first, so that at the end no worker is left alone with them.
SLOW: Final = "tests/system/"

hypothesis.settings.register_profile("mailward", deadline=None)
hypothesis.settings.load_profile("mailward")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(SLOW))
