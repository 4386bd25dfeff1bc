"""OTLP metrics into points and exemplars: gauges, sums, histograms, exponential histograms and summaries."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Exemplar,
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    SummaryDataPoint,
)

from shopscope_ops.store._decoded import Decoded, Rejections, table_of
from shopscope_ops.store._logs import id_text
from shopscope_ops.store._traces import MAX_NANO
from shopscope_ops.store._values import Origin, attributes_of, finite, json_of, json_sorted, origin_of, scope_name

__all__ = ["decode"]

_TEMPORALITIES: Final = {1: "delta", 2: "cumulative"}


@dataclass(frozen=True, slots=True)
class _Measures:
    """The columns in which the kinds of point differ; null where a kind has no such thing."""

    value: float | None = None
    count: int | None = None
    sum: float | None = None
    min: float | None = None
    max: float | None = None
    bounds: Sequence[float] | None = None
    bucket_counts: Sequence[int] | None = None
    detail: str = ""
    exemplars: Sequence[Exemplar] = ()


@dataclass(slots=True)
class _Sink:
    """Rows under construction."""

    points: list[tuple[Any, ...]] = field(default_factory=list)
    exemplars: list[tuple[Any, ...]] = field(default_factory=list)
    rejections: Rejections = field(default_factory=Rejections)


def decode(request: ExportMetricsServiceRequest) -> Decoded:
    """Valid points as rows; others are refused one by one."""
    sink = _Sink()
    for group in request.resource_metrics:
        origin = origin_of(group.resource)
        for scoped in group.scope_metrics:
            scope = scope_name(scoped.scope)
            for metric in scoped.metrics:
                _read_metric(metric, origin, scope, sink)
    tables = {
        "metric_points": table_of("metric_points", sink.points),
        "exemplars": table_of("exemplars", sink.exemplars),
    }
    return Decoded(tables, len(sink.points), sink.rejections.count, sink.rejections.message)


def _read_metric(metric: Metric, origin: Origin, scope: str, sink: _Sink) -> None:
    kind = metric.WhichOneof("data")
    if kind is None:
        return
    data = getattr(metric, kind)
    is_monotonic = kind == "sum" and data.is_monotonic
    temporality = _TEMPORALITIES.get(getattr(data, "aggregation_temporality", 0), "")
    measure: Callable[[Any], _Measures] = _MEASURES[kind]
    for point in data.data_points:
        try:
            _check_time(point)
            measures = measure(point)
        except ValueError as error:
            sink.rejections.add(f"metric {metric.name!r}: {error}")
            continue
        attributes = json_sorted(attributes_of(point.attributes))
        sink.points.append(
            (
                point.time_unix_nano,
                point.start_time_unix_nano,
                origin.service,
                origin.instance,
                metric.name,
                kind,
                metric.unit,
                is_monotonic,
                temporality,
                attributes,
                measures.value,
                measures.count,
                measures.sum,
                measures.min,
                measures.max,
                measures.bounds,
                measures.bucket_counts,
                origin.resource,
                scope,
                measures.detail,
            )
        )
        sink.exemplars.extend(_exemplar_rows(measures.exemplars, metric.name, attributes, origin))


def _exemplar_rows(
    exemplars: Iterable[Exemplar], name: str, attributes: str, origin: Origin
) -> Iterable[tuple[Any, ...]]:
    for exemplar in exemplars:
        kind = exemplar.WhichOneof("value")
        if kind is None or exemplar.time_unix_nano > MAX_NANO:
            continue
        yield (
            exemplar.time_unix_nano,
            origin.service,
            origin.instance,
            name,
            attributes,
            float(getattr(exemplar, kind)),
            id_text(exemplar.trace_id, 16),
            id_text(exemplar.span_id, 8),
        )


def _check_time(point: Any) -> None:
    if not 0 < point.time_unix_nano <= MAX_NANO:
        raise ValueError(f"time_unix_nano must be between 1 and {MAX_NANO}: {point.time_unix_nano}")
    if point.start_time_unix_nano > point.time_unix_nano:
        raise ValueError(
            f"start_time_unix_nano must not be after time_unix_nano {point.time_unix_nano}: "
            f"{point.start_time_unix_nano}"
        )


def _check_counts(name: str, counts: Iterable[int]) -> list[int]:
    checked = list(counts)
    if checked and max(checked) > MAX_NANO:
        raise ValueError(f"{name} must be at most {MAX_NANO}: {max(checked)}")
    return checked


def _number(point: NumberDataPoint) -> _Measures:
    kind = point.WhichOneof("value")
    return _Measures(value=None if kind is None else float(getattr(point, kind)), exemplars=point.exemplars)


def _histogram(point: HistogramDataPoint) -> _Measures:
    bounds, counts = list(point.explicit_bounds), _check_counts("bucket_counts", point.bucket_counts)
    if counts and len(counts) != len(bounds) + 1:
        raise ValueError(
            f"bucket_counts must have one entry more than explicit_bounds ({len(bounds)}): {len(counts)} entries"
        )
    if any(low >= high for low, high in pairwise(bounds)):
        raise ValueError(f"explicit_bounds must increase: {bounds}")
    return _Measures(
        count=_check_counts("count", [point.count])[0],
        sum=_optional(point, "sum"),
        min=_optional(point, "min"),
        max=_optional(point, "max"),
        bounds=bounds,
        bucket_counts=counts,
        exemplars=point.exemplars,
    )


def _exponential(point: ExponentialHistogramDataPoint) -> _Measures:
    buckets = {
        side: {"offset": part.offset, "bucket_counts": _check_counts(f"{side}.bucket_counts", part.bucket_counts)}
        for side, part in (("positive", point.positive), ("negative", point.negative))
    }
    detail = {"scale": point.scale, "zero_count": point.zero_count, "zero_threshold": finite(point.zero_threshold)}
    return _Measures(
        count=_check_counts("count", [point.count])[0],
        sum=_optional(point, "sum"),
        min=_optional(point, "min"),
        max=_optional(point, "max"),
        detail=json_of(detail | buckets),
        exemplars=point.exemplars,
    )


def _summary(point: SummaryDataPoint) -> _Measures:
    quantiles = [{"quantile": finite(at.quantile), "value": finite(at.value)} for at in point.quantile_values]
    return _Measures(
        count=_check_counts("count", [point.count])[0], sum=point.sum, detail=json_of({"quantiles": quantiles})
    )


def _optional(point: Any, name: str) -> float | None:
    return getattr(point, name) if point.HasField(name) else None


_MEASURES: Final[dict[str, Callable[[Any], _Measures]]] = {
    "gauge": _number,
    "sum": _number,
    "histogram": _histogram,
    "exponential_histogram": _exponential,
    "summary": _summary,
}
