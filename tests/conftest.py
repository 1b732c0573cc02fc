"""What holds for all tests: none depends on how fast the machine is, and they may run side by side."""

import hypothesis
import pytest

hypothesis.settings.register_profile("mailward", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("mailward")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first, whole gateways, so that no worker is left alone with one of them at the end."""
    items.sort(key=lambda item: "system" not in item.path.parts)
