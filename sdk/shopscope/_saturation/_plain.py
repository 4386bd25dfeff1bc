"""Collectors without locks: what they count is counted where a lock may not be taken, or would cost too much."""

import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client.metrics_core import Metric
from prometheus_client.utils import floatToGoString

from shopscope._metrics._names import MetricName

_TYPES = {"updowncounter": "gauge"}


def metric_of(row: MetricName, samples: Iterable[tuple[Mapping[str, str], float]] = ()) -> Metric:
    """A counter or gauge of the SDK with these samples."""
    metric = Metric(row.family, row.description, _TYPES.get(row.kind, row.kind))
    suffix = "_total" if row.kind == "counter" else ""
    for labels, value in samples:
        metric.add_sample(row.family + suffix, dict(labels), value)
    return metric


class PlainHistogram:
    """A histogram without labels and without a lock, for one writer at a time.

    ``prometheus_client``'s own takes locks that are not reentrant: the garbage collector may call us while its thread
    holds one of them.
    """

    def __init__(self, row: MetricName, bounds: tuple[float, ...]) -> None:
        self._row = row
        self._bounds = bounds
        self.restart()

    def restart(self) -> None:
        """Begin at zero."""
        self._counts = [0] * (len(self._bounds) + 1)
        self._total = 0.0
        self._created = time.time()

    def observe(self, seconds: float) -> None:
        """Count one observation."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._total += seconds

    def collect(self) -> Iterator[Metric]:
        """What ``prometheus_client`` calls."""
        row, counts = self._row, self._counts[:]
        metric = Metric(row.family, row.description, "histogram")
        cumulative = 0
        for bound, count in zip((*self._bounds, float("inf")), counts, strict=True):
            cumulative += count
            metric.add_sample(f"{row.family}_bucket", {"le": floatToGoString(bound)}, cumulative)  # type: ignore[no-untyped-call]
        metric.add_sample(f"{row.family}_count", {}, cumulative)
        metric.add_sample(f"{row.family}_sum", {}, self._total)
        metric.add_sample(f"{row.family}_created", {}, self._created)
        yield metric
