"""What holds for all tests: none depends on how fast the machine is, and they may run side by side."""

import gc

import hypothesis
import pytest

# The same examples in each run: what fails here fails for everybody, and is the fault of what was changed. New ones are
# looked for by `make fuzz`, and by `pytest --hypothesis-profile=search`, which keeps what it finds.
_EVERYWHERE = hypothesis.settings(
    deadline=None, print_blob=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.register_profile("mailward", _EVERYWHERE, derandomize=True, database=None)
hypothesis.settings.register_profile("search", _EVERYWHERE)
hypothesis.settings.load_profile("mailward")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first, whole gateways, so that no worker is left alone with one of them at the end."""
    items.sort(key=lambda item: "system" not in item.path.parts)


def pytest_collection_finish() -> None:
    """Ten thousand tests and all that they import stay to the end: no collection has to walk them."""
    gc.freeze()
