"""The components' real programs, and ports for them."""

import os

import pytest

from shopscope_ops.engines.native import find_binary, provide
from shopscope_ops.engines.native._stack import default_ports


@pytest.fixture(scope="session")
def programs():
    """Collector, Prometheus and Alertmanager are there: built in CI, else the test is skipped without them."""
    for name in ("collector", "prometheus", "alertmanager"):
        if os.environ.get("CI") == "true":
            provide(name)
        elif find_binary(name) is None:
            pytest.skip(f"{name} is neither on PATH nor in the cache: run make stack-binaries")


@pytest.fixture(scope="session")
def choose_ports(free_ports):
    """Finds a free port for every port of every component."""
    return lambda: dict(zip(default_ports(), free_ports(len(default_ports())), strict=True))
