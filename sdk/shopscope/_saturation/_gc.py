"""Pauses for garbage collection: the whole process stands still for them."""

import gc
import time
from collections.abc import Iterator
from typing import Any

from prometheus_client.metrics_core import Metric

from shopscope._metrics import _names as names
from shopscope._saturation._plain import PlainHistogram

_BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class GcPauses:
    """Times every collection of the garbage collector; it runs one at a time."""

    def __init__(self) -> None:
        self._histogram = PlainHistogram(names.GC_PAUSE, _BOUNDS)
        self._started = 0.0

    def start(self) -> None:
        """Listen."""
        gc.callbacks.append(self._on_gc)

    def stop(self) -> None:
        """Listen no more."""
        if self._on_gc in gc.callbacks:
            gc.callbacks.remove(self._on_gc)

    def restart(self) -> None:
        """Begin at zero."""
        self._histogram.restart()

    def collect(self) -> Iterator[Metric]:
        """What ``prometheus_client`` calls."""
        return self._histogram.collect()

    def _on_gc(self, phase: str, _: Any) -> None:
        # No lock, no log, nothing that could fail: this runs amid any line of the service.
        if phase == "start":
            self._started = time.perf_counter()
        elif self._started:
            self._histogram.observe(time.perf_counter() - self._started)


def freeze() -> None:
    """Keep all objects that exist now out of further collections, which then take milliseconds instead of tens."""
    gc.collect()
    gc.freeze()
