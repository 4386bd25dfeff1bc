"""Metrics whose number of series is bounded, whatever the data: past the cap all further ones share one.

A label that comes from data (a route, a peer, the name of a cache) could otherwise fill the service's memory.
"""

import threading
import time
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Iterable
from itertools import repeat, starmap
from operator import itemgetter
from typing import Any, Self

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Exemplar, Sample
from prometheus_client.utils import floatToGoString

from shopscope._metrics._names import MetricName
from shopscope._metrics._selfmetrics import overflowed

# Trace id and span id of an exemplar.
Ids = tuple[int, int]
# Value, trace and span if it is an example, unix seconds.
_Observation = tuple[float, Ids | None, float]
_Example = tuple[float, Ids, float]
_amount_of: Callable[[_Observation], float] = itemgetter(0)

OVERFLOW = "_overflow"
MAX_SERIES = 1000
# Observations of a series that are not counted yet; each weighs some 150 bytes.
_MAX_WAITING = 64


class Capped(MetricWrapperBase):
    """What the capped kinds share: a look-up of series without a lock, and the cap."""

    #: How the metric is called, and which of its labels come from data; its maker sets it.
    row: MetricName
    #: Called before somebody reads; its maker sets it.
    before_read: Callable[[], None]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._children: dict[tuple[object, ...], Self] = {}

    def collect(self) -> Iterable[Metric]:
        """What ``prometheus_client`` calls."""
        self.before_read()
        return super().collect()

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
    """A counter with bounded series, and an increment of one call where ``prometheus_client`` makes three."""

    def _metric_init(self) -> None:
        self._created = time.time()
        self._total = 0.0
        self._values_lock = threading.Lock()

    def inc(self, amount: float = 1, exemplar: dict[str, str] | None = None) -> None:  # noqa: ARG002 (the base's)
        """Count ``amount``, which is never negative."""
        with self._values_lock:
            self._total += amount

    def _child_samples(self) -> Iterable[Sample]:
        return Sample("_total", {}, self._total), Sample("_created", {}, self._created)


class CappedHistogram(Capped, Histogram):
    """A histogram with bounded series, and an observation that costs a fifth of ``prometheus_client``'s.

    That takes three locks, walks the bounds and checks the exemplar's labels each time. Here an observation is put
    aside without a lock, and counted with some others or when somebody reads; the exemplar is two numbers until then.
    """

    def _metric_init(self) -> None:
        self._created = time.time()
        self._counts = [0] * len(self._upper_bounds)
        self._examples: list[_Example | None] = [None] * len(self._upper_bounds)
        self._total = 0.0
        self._values_lock = threading.Lock()
        self._waiting: deque[_Observation] = deque()

    def observe(  # type: ignore[override]
        self, amount: float, exemplar: Ids | None = None, unix_seconds: float | None = None
    ) -> None:
        """Count ``amount``; ``exemplar`` is the trace id and span id of an example, seen now or at ``unix_seconds``."""
        waiting = self._waiting
        # A deque's ``append`` and ``popleft`` are atomic.
        waiting.append((amount, exemplar, unix_seconds or time.time()))
        if len(waiting) >= _MAX_WAITING:
            with self._values_lock:
                self._count_waiting()

    def _count_waiting(self) -> None:
        # Nearly all in C, and a line of Python for each bucket that is met, because of observations there are many.
        bounds, position = self._upper_bounds, 0
        count = len(self._waiting)
        batch = sorted(starmap(self._waiting.popleft, repeat((), count)), key=_amount_of)
        self._total += sum(map(_amount_of, batch))
        while position < count:
            index = bisect_left(bounds, batch[position][0])
            # One at least: what is not a number has no order.
            end = max(position + 1, bisect_right(batch, bounds[index], position, key=_amount_of))
            self._counts[index] += end - position
            for amount, exemplar, unix_seconds in reversed(batch[position:end]):
                if exemplar is not None:
                    self._examples[index] = amount, exemplar, unix_seconds
                    break
            position = end

    def read(self) -> tuple[list[int], float, list[_Example | None]]:
        """Observations in each bucket, their sum, and an example (value, ids, unix seconds) of each."""
        with self._values_lock:
            self._count_waiting()
            return list(self._counts), self._total, list(self._examples)

    def _child_samples(self) -> Iterable[Sample]:
        counts, total, examples = self.read()
        samples, below = [], 0.0
        for bound, count, example in zip(self._upper_bounds, counts, examples, strict=True):
            below += count
            samples.append(Sample("_bucket", {"le": _text_of(bound)}, below, None, _exemplar(example)))
        samples.append(Sample("_count", {}, below))
        samples.append(Sample("_sum", {}, total))
        samples.append(Sample("_created", {}, self._created))
        return samples


def _text_of(bound: float) -> str:
    return str(floatToGoString(bound))  # type: ignore[no-untyped-call]


def _exemplar(example: _Example | None) -> Exemplar | None:
    if example is None:
        return None
    value, (trace_id, span_id), now = example
    return Exemplar({"trace_id": f"{trace_id:032x}", "span_id": f"{span_id:016x}"}, value, now)


class HistogramWithoutExemplars(CappedHistogram):
    """What ``OTEL_METRICS_EXEMPLAR_FILTER=always_off`` asks for."""

    def observe(  # type: ignore[override]
        self,
        amount: float,
        exemplar: Ids | None = None,  # noqa: ARG002 (what it is for)
        unix_seconds: float | None = None,  # noqa: ARG002 (same)
    ) -> None:
        """Count without an example."""
        super().observe(amount)


class CappedGauge(Capped, Gauge):
    """A gauge with bounded series."""
