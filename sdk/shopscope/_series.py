"""Metrics whose number of series is bounded, whatever the data: past the cap all further ones share one.

A label that comes from data (a route, a peer, the name of a cache) could otherwise fill the service's memory.
"""

import threading
from typing import Any, Self

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from shopscope._names import MetricName
from shopscope._selfmetrics import overflowed

OVERFLOW = "_overflow"
MAX_SERIES = 1000


class Capped(MetricWrapperBase):
    """What the capped kinds share: a look-up of series without a lock, and the cap."""

    #: How the metric is called, and which of its labels come from data; its maker sets it.
    row: MetricName

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._children: dict[tuple[object, ...], Self] = {}

    def labels(self, *values: object, **named: object) -> Self:
        """The series with these label values; past the cap the one in which unbounded labels read ``_overflow``."""
        if named:
            values = tuple(named[label] for label in self._labelnames)
        child = self._children.get(values)
        if child is None:
            if len(self._children) >= MAX_SERIES and self.row.unbounded:
                return self._overflow(values)
            child = self._children[values] = super().labels(*values)
        return child

    def _overflow(self, values: tuple[object, ...]) -> Self:
        overflowed(self.row.family)
        pairs = zip(self._labelnames, values, strict=True)
        return super().labels(*(OVERFLOW if label in self.row.unbounded else value for label, value in pairs))

    def restart(self) -> None:
        """Begin at zero, after a fork: with a new lock, because a thread of the parent may hold the old one."""
        self._lock = threading.Lock()
        self._children = {}
        if self._labelnames:
            self._metrics = {}
        else:
            self._metric_init()  # type: ignore[no-untyped-call]


class CappedCounter(Capped, Counter):
    """A counter with bounded series."""


class CappedHistogram(Capped, Histogram):
    """A histogram with bounded series."""


class HistogramWithoutExemplars(CappedHistogram):
    """What ``OTEL_METRICS_EXEMPLAR_FILTER=always_off`` asks for."""

    def observe(self, amount: float, exemplar: dict[str, str] | None = None) -> None:  # noqa: ARG002 (its signature)
        """Count without an example."""
        super().observe(amount)


class CappedGauge(Capped, Gauge):
    """A gauge with bounded series."""
