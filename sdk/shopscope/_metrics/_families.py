"""Metrics on their way out, whichever registry or meter they come from: families of series."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Exemplar, Sample

from shopscope._metrics._names import BY_FAMILY, MetricName
from shopscope._metrics._selfmetrics import internal_error, logger
from shopscope._metrics._series import CappedHistogram

if TYPE_CHECKING:
    from prometheus_client.registry import Collector

_STRUCTURAL_LABELS = frozenset({"le", "quantile"})
_KINDS = frozenset({"counter", "histogram", "summary"})


class Example(NamedTuple):
    """An exemplar: one measurement and the span in which it was made (ids in hex, empty if there was none)."""

    value: float
    unix_nano: int
    trace_id: str
    span_id: str
    attributes: Mapping[str, Any]


class Series:
    """One data point to be; none of a data class's methods, whose making takes a third of a millisecond at import.

    Attributes:
        attributes: what tells it from others of its family.
        start_unix_nano: when it began to count; 0 if it is not known.
        value: of counters and gauges.
        count: observations of a histogram or summary.
        total: their sum.
        bounds: upper bounds of all buckets but the last, which has none.
        counts: observations in each bucket, one more than there are bounds.
        extremes: smallest and largest observation, where they are known.
        quantiles: of a summary.
        examples: exemplars.
    """

    __slots__ = (
        "attributes",
        "bounds",
        "count",
        "counts",
        "examples",
        "extremes",
        "quantiles",
        "start_unix_nano",
        "total",
        "value",
    )

    def __init__(
        self,
        attributes: Mapping[str, Any],
        start_unix_nano: int = 0,
        value: float = 0.0,
        *,
        count: int = 0,
        total: float = 0.0,
        bounds: Sequence[float] = (),
        counts: Sequence[int] = (),
        extremes: tuple[float, float] | None = None,
        examples: list[Example] | None = None,
    ) -> None:
        self.attributes = attributes
        self.start_unix_nano = start_unix_nano
        self.value = value
        self.count = count
        self.total = total
        self.bounds = bounds
        self.counts = counts
        self.extremes = extremes
        self.quantiles: list[tuple[float, float]] = []
        self.examples = [] if examples is None else examples


class Family(NamedTuple):
    """One metric: OTLP name, UCUM unit, and kind: counter, updowncounter, gauge, histogram or summary."""

    name: str
    unit: str
    description: str
    kind: str
    series: list[Series]


class ScopeFamilies(NamedTuple):
    """Families of one instrumentation scope: its name, its encoded form, and they."""

    name: str
    encoded: bytes
    families: list[Family]


def metrics_of(registry: CollectorRegistry) -> Iterator[Metric]:
    """All metrics of a registry; a collector of the team's own that raises costs itself alone."""
    for collector in _collectors_of(registry):
        yield from _collect(collector)


def families_of(registry: CollectorRegistry) -> Iterator[Family]:
    """The same, as families."""
    for collector in _collectors_of(registry):
        if isinstance(collector, Histogram):
            try:
                yield _of_histogram(collector)
                continue
            except Exception as error:  # noqa: BLE001 (the slow way may still do, or says what is wrong)
                logger.debug("metric %s is read the slow way: %r", collector, error)
        for metric in _collect(collector):
            try:
                family = family_of(metric)
            except Exception:  # noqa: BLE001 (a metric of the team's own that makes no sense must not cost the others)
                internal_error(f"metric {metric.name}")
                continue
            yield family


def _collectors_of(registry: CollectorRegistry) -> "list[Collector]":
    # Not `registry.collect`, which ends at the first collector that raises.
    with registry._lock:  # noqa: SLF001 (see above)
        return list(registry._collector_to_names)  # noqa: SLF001 (see above)


def _collect(collector: "Collector") -> list[Metric]:
    try:
        return list(collector.collect())
    except Exception:  # noqa: BLE001 (the team's own code)
        internal_error(f"collector {type(collector).__name__}")
        return []


def _of_histogram(histogram: Any) -> Family:
    """A histogram read where it keeps its counts.

    Its own ``collect`` makes an object and a dictionary for each bucket: with hundreds of routes that would hold up
    requests for tens of milliseconds at each push.
    """
    row = BY_FAMILY.get(histogram._name) or _foreign(histogram._get_metric())  # noqa: SLF001 (see above)
    labels = histogram._labelnames  # noqa: SLF001 (see above)
    if labels:
        with histogram._lock:  # noqa: SLF001 (see above)
            children = list(histogram._metrics.items())  # noqa: SLF001 (see above)
    else:
        children = [((), histogram)]
    series = [_of_child(child, _attributes(tuple(zip(labels, values, strict=True)), row)) for values, child in children]
    return Family(row.otlp, row.unit, row.description, row.kind, series)


def _of_child(child: Any, attributes: Mapping[str, Any]) -> Series:
    if isinstance(child, CappedHistogram):
        counts, total, found = child.read()
        examples = [
            Example(value, int(seconds * 1e9), f"{trace_id:032x}", f"{span_id:016x}", {})
            for value, (trace_id, span_id), seconds in filter(None, found)
        ]
    else:
        counts = [int(bucket.get()) for bucket in child._buckets]  # noqa: SLF001 (see above)
        total = child._sum.get()  # noqa: SLF001 (see above)
        exemplars = (bucket.get_exemplar() for bucket in child._buckets)  # noqa: SLF001 (see above)
        examples = [_example_of(exemplar) for exemplar in exemplars if exemplar is not None]
    return Series(
        attributes,
        int(child._created * 1e9),  # noqa: SLF001 (see above)
        count=sum(counts),
        total=total,
        bounds=child._upper_bounds[:-1],  # noqa: SLF001 (see above)
        counts=counts,
        examples=examples,
    )


def family_of(metric: Metric) -> Family:
    """A ``prometheus_client`` metric as a family; the SDK's own get their OTLP names."""
    row = BY_FAMILY.get(metric.name) or _foreign(metric)
    return Family(row.otlp, row.unit, row.description, row.kind, _series_of(metric, row))


def _foreign(metric: Metric) -> MetricName:
    """A metric of the team's own keeps the name that its exposition has."""
    suffix = "_total" if metric.type == "counter" else "_info" if metric.type == "info" else ""
    kind = metric.type if metric.type in _KINDS else "gauge"
    return MetricName(metric.name, metric.name + suffix, metric.unit, metric.documentation, {}, kind)


def _series_of(metric: Metric, row: MetricName) -> list[Series]:
    found: dict[tuple[tuple[str, str], ...], Series] = {}
    buckets: dict[int, list[tuple[float, float]]] = {}
    for sample in metric.samples:
        key = tuple(pair for pair in sample.labels.items() if pair[0] not in _STRUCTURAL_LABELS)
        series = found.get(key)
        if series is None:
            series = found[key] = Series(_attributes(key, row))
        if sample.name.endswith("_bucket") and "le" in sample.labels:
            buckets.setdefault(id(series), []).append((float(sample.labels["le"]), sample.value))
            if sample.exemplar is not None:
                series.examples.append(_example_of(sample.exemplar))
        else:
            _add_sample(series, metric, sample)
    for series in found.values():
        if id(series) in buckets:
            _set_buckets(series, sorted(buckets[id(series)]))
    return list(found.values())


def _attributes(labels: tuple[tuple[str, str], ...], row: MetricName) -> dict[str, Any]:
    attributes: dict[str, Any] = {row.labels.get(key, key): value for key, value in labels}
    # Labels are text; the semantic conventions make this one attribute an integer, and absent where there is no status.
    status = attributes.pop("http.response.status_code", None)
    if status:
        attributes["http.response.status_code"] = int(status)
    return attributes


def _set_buckets(series: Series, buckets: list[tuple[float, float]]) -> None:
    """Prometheus' buckets hold all that is below their bound, OTLP's what is between two."""
    counts, below = [], 0
    for _, cumulative in buckets:
        counts.append(int(cumulative) - below)
        below = int(cumulative)
    series.counts = counts
    series.count = below
    series.bounds = [bound for bound, _ in buckets if not math.isinf(bound)]


def _add_sample(series: Series, metric: Metric, sample: Sample) -> None:
    match sample.name.removeprefix(metric.name):
        case "_count":
            series.count = int(sample.value)
        case "_sum":
            series.total = sample.value
        case "_created":
            series.start_unix_nano = int(sample.value * 1e9)
        case _ if "quantile" in sample.labels:
            series.quantiles.append((float(sample.labels["quantile"]), sample.value))
        case _:
            series.value = float(sample.value)
            if sample.exemplar is not None:
                series.examples.append(_example_of(sample.exemplar))


def _example_of(exemplar: Exemplar) -> Example:
    labels = dict(exemplar.labels)
    ids = labels.pop("trace_id", ""), labels.pop("span_id", "")
    return Example(exemplar.value, int(float(exemplar.timestamp or 0) * 1e9), *ids, labels)
