"""Event-loop lag: how much later than due a timer of the loop runs; all requests of the loop wait as long."""

import asyncio
import time
import weakref
from collections.abc import Iterator

from prometheus_client.metrics_core import Metric

from shopscope._metrics import _names as names
from shopscope._saturation._plain import PlainHistogram

# Four times a second costs less than a thousandth of a core, most of it for waking up.
INTERVAL_SECONDS = 0.25
_BOUNDS = (*(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1), *(0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0))


class LoopLag:
    """A timer in each event loop that serves requests."""

    def __init__(self) -> None:
        self._histogram = PlainHistogram(names.EVENT_LOOP_LAG, _BOUNDS)
        self._loops: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()
        self._is_stopped = False

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the timer in a loop; called on it."""
        if loop not in self._loops and not self._is_stopped:
            self._loops.add(loop)
            self._wait(loop)

    def stop(self) -> None:
        """Let every timer run out."""
        self._is_stopped = True

    def after_fork_in_child(self) -> None:
        """The loops are the parent's; a loop that goes on in the child is watched from its next request on."""
        self._histogram.restart()
        self._loops = weakref.WeakSet()

    def collect(self) -> Iterator[Metric]:
        """What ``prometheus_client`` calls."""
        return self._histogram.collect()

    def _wait(self, loop: asyncio.AbstractEventLoop) -> None:
        # The loop alone holds the timer: a loop that ends takes it along.
        loop.call_later(INTERVAL_SECONDS, self._tick, loop, time.perf_counter() + INTERVAL_SECONDS)

    def _tick(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        if not self._is_stopped and loop in self._loops:
            # A loop's clock is coarse: a timer may come a little before its time.
            self._histogram.observe(max(0.0, time.perf_counter() - due))
            self._wait(loop)
