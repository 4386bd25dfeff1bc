"""What tests of several packages need."""

import random

import pytest

from shopscope_ops.demo._ports import DemoPorts
from shopscope_ops.engines._probes import is_port_free

# Below the range that systems give to outgoing connections: one of those could take a port first.
_FIRST_PORT, _LAST_PORT = 20_000, 30_000


_FIRST_STACK_PORT, _LAST_STACK_PORT, _STEP = 10_000, 19_900, 50


@pytest.fixture(scope="session")
def free_ports():
    """Finds so many ports in a row that are free now, for a stack of components."""

    def find(count):
        while True:
            base = random.SystemRandom().randrange(_FIRST_STACK_PORT, _LAST_STACK_PORT, _STEP)
            if all(is_port_free(base + number) for number in range(count)):
                return list(range(base, base + count))

    return find


@pytest.fixture
def ports():
    """Ports of a whole demo that are free now."""
    while True:
        base = random.SystemRandom().randrange(_FIRST_PORT, _LAST_PORT, 10)
        found = DemoPorts(base, base + 9)
        if all(is_port_free(port) for port in found.all().values()):
            return found
