"""When to start a component again that ended by itself: soon at first, later each time."""

import math
import time
from collections.abc import Callable

from shopscope_ops.engines._processes import describe_exit

_FIRST_SECONDS = 1.0
_LONGEST_SECONDS = 60.0
_FORGIVEN_SECONDS = 120.0


class Restarts:
    """Keeps for each component how long to wait before its next start.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due: dict[str, float] = {}
        self._waits: dict[str, tuple[float, float]] = {}

    def ended(self, name: str, code: int) -> str:
        """Take note that a component has ended; a sentence that says so and when it is started again."""
        now = self._clock()
        last, wait = self._waits.get(name, (-math.inf, 0.0))
        is_forgiven = now - last > _FORGIVEN_SECONDS + wait
        wait = _FIRST_SECONDS if is_forgiven else min(wait * 2, _LONGEST_SECONDS)
        self._waits[name] = (now, wait)
        self._due[name] = now + wait
        return f"{name} {describe_exit(code)}; it is started again in {wait:.0f} s"

    def due(self) -> list[str]:
        """The components to start now; each is named once."""
        now = self._clock()
        names = [name for name, at in self._due.items() if at <= now]
        for name in names:
            del self._due[name]
        return names
