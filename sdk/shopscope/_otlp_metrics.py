"""Prometheus families as an OTLP ``ExportMetricsServiceRequest``: cumulative, with start times and exemplars.

Source: opentelemetry/proto/metrics/v1/metrics.proto and
https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/
"""

import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Exemplar, Sample

from shopscope import _wire as wire
from shopscope._names import BY_FAMILY, MetricName
from shopscope._selfmetrics import internal_error
from shopscope._tracer import encode_scope
from shopscope._version import __version__

_CUMULATIVE = 2
_SCOPE = encode_scope("shopscope", __version__)

_RESOURCE_METRICS = wire.tag(1, wire.LENGTH_DELIMITED)
_SCOPE_METRICS = _METRICS = wire.tag(2, wire.LENGTH_DELIMITED)
_NAME, _DESCRIPTION, _UNIT = (wire.tag(number, wire.LENGTH_DELIMITED) for number in (1, 2, 3))
_GAUGE, _SUM, _HISTOGRAM, _SUMMARY = (wire.tag(number, wire.LENGTH_DELIMITED) for number in (5, 7, 9, 11))
_POINT = wire.tag(1, wire.LENGTH_DELIMITED)
_TEMPORALITY = wire.tag(2, wire.VARINT) + wire.varint(_CUMULATIVE)
_IS_MONOTONIC = wire.tag(3, wire.VARINT) + b"\x01"

_START_TIME, _TIME = wire.tag(2, wire.FIXED64), wire.tag(3, wire.FIXED64)
_AS_DOUBLE = wire.tag(4, wire.FIXED64)
_NUMBER_EXEMPLAR, _NUMBER_ATTRIBUTE = wire.tag(5, wire.LENGTH_DELIMITED), wire.tag(7, wire.LENGTH_DELIMITED)
_COUNT, _TOTAL = wire.tag(4, wire.FIXED64), wire.tag(5, wire.FIXED64)
_BUCKET_COUNTS, _BOUNDS = wire.tag(6, wire.LENGTH_DELIMITED), wire.tag(7, wire.LENGTH_DELIMITED)
_HISTOGRAM_EXEMPLAR, _HISTOGRAM_ATTRIBUTE = wire.tag(8, wire.LENGTH_DELIMITED), wire.tag(9, wire.LENGTH_DELIMITED)
_QUANTILE_VALUE, _QUANTILE, _QUANTILE_RESULT = wire.tag(6, wire.LENGTH_DELIMITED), wire.tag(1, 1), wire.tag(2, 1)
_EXEMPLAR_TIME, _EXEMPLAR_VALUE = wire.tag(2, wire.FIXED64), wire.tag(3, wire.FIXED64)
_EXEMPLAR_SPAN = wire.tag(4, wire.LENGTH_DELIMITED)
_EXEMPLAR_TRACE = wire.tag(5, wire.LENGTH_DELIMITED)
_EXEMPLAR_ATTRIBUTE = wire.tag(7, wire.LENGTH_DELIMITED)

_OWN_SAMPLES = [
    family + suffix for family in BY_FAMILY for suffix in ("", "_total", "_created", "_bucket", "_count", "_sum")
]
_STRUCTURAL_LABELS = frozenset({"le", "quantile"})


@dataclass(slots=True)
class _Series:
    """Samples of one label set of a family, on their way into one data point."""

    labels: dict[str, str]
    value: float = 0.0
    count: float = 0.0
    total: float = 0.0
    created: float = 0.0
    buckets: list[tuple[float, float]] = field(default_factory=list)
    quantiles: list[tuple[float, float]] = field(default_factory=list)
    exemplars: list[Exemplar] = field(default_factory=list)


class MetricsEncoder:
    """Collects a registry and encodes it; an exemplar is sent once."""

    def __init__(self, registry: CollectorRegistry, started: float) -> None:
        self._registry = registry
        self._started = started
        self._last_collected = 0.0

    def collect(self, resource: bytes) -> tuple[bytes, int]:
        """The request's body, and how many data points it has."""
        now = time.time()
        metrics = []
        points = 0
        for family in self._families():
            try:
                series = _series_of(family)
                encoded = self._encode_family(family, series, now) if series else b""
            except Exception:  # noqa: BLE001 (a metric of the team's own that makes no sense must not cost the others)
                internal_error(f"metric {family.name}")
                continue
            if encoded:
                points += len(series)
                metrics.append(wire.message(_METRICS, encoded))
        self._last_collected = now
        scope = wire.message(_SCOPE_METRICS, _SCOPE + b"".join(metrics))
        return wire.message(_RESOURCE_METRICS, resource + scope), points

    def _families(self) -> list[Metric]:
        try:
            return list(self._registry.collect())
        except Exception:  # noqa: BLE001 (a collector of the team's own may raise; ours still have to leave)
            internal_error("collector")
            return list(self._registry.restricted_registry(_OWN_SAMPLES).collect())

    def _encode_family(self, family: Metric, series: Iterable[_Series], now: float) -> bytes:
        name = BY_FAMILY.get(family.name) or _foreign_name(family)
        head = wire.message(_NAME, wire.utf8(name.otlp))
        head += wire.message(_DESCRIPTION, wire.utf8(name.description))
        head += wire.message(_UNIT, wire.utf8(name.unit))
        match family.type:
            case "counter":
                points = self._points(series, name, now, self._number)
                return head + wire.message(_SUM, points + _TEMPORALITY + _IS_MONOTONIC)
            case "histogram":
                points = self._points(series, name, now, self._histogram)
                return head + wire.message(_HISTOGRAM, points + _TEMPORALITY)
            case "summary":
                return head + wire.message(_SUMMARY, self._points(series, name, now, self._summary))
        return head + wire.message(_GAUGE, self._points(series, name, now, self._gauge))

    def _points(self, series: Iterable[_Series], name: MetricName, now: float, encode: Any) -> bytes:
        return b"".join(wire.message(_POINT, encode(one, _attributes(one.labels, name), now)) for one in series)

    def _times(self, series: _Series, now: float) -> bytes:
        start = series.created or self._started
        return _START_TIME + wire.pack_fixed64(int(start * 1e9)) + _TIME + wire.pack_fixed64(int(now * 1e9))

    def _gauge(self, series: _Series, attributes: Mapping[str, Any], now: float) -> bytes:
        value = _AS_DOUBLE + wire.pack_double(series.value)
        return _TIME + wire.pack_fixed64(int(now * 1e9)) + value + wire.attributes(_NUMBER_ATTRIBUTE, attributes)

    def _number(self, series: _Series, attributes: Mapping[str, Any], now: float) -> bytes:
        value = _AS_DOUBLE + wire.pack_double(series.value) + self._exemplars(_NUMBER_EXEMPLAR, series, now)
        return self._times(series, now) + value + wire.attributes(_NUMBER_ATTRIBUTE, attributes)

    def _histogram(self, series: _Series, attributes: Mapping[str, Any], now: float) -> bytes:
        buckets = sorted(series.buckets)
        counts, below = [], 0.0
        for _, cumulative in buckets:
            counts.append(int(cumulative - below))
            below = cumulative
        bounds = [bound for bound, _ in buckets if not math.isinf(bound)]
        return (
            self._times(series, now)
            + _COUNT
            + wire.pack_fixed64(int(below))
            + _TOTAL
            + wire.pack_double(series.total)
            + wire.packed(_BUCKET_COUNTS, map(wire.pack_fixed64, counts))
            + wire.packed(_BOUNDS, map(wire.pack_double, bounds))
            + self._exemplars(_HISTOGRAM_EXEMPLAR, series, now)
            + wire.attributes(_HISTOGRAM_ATTRIBUTE, attributes)
        )

    def _summary(self, series: _Series, attributes: Mapping[str, Any], now: float) -> bytes:
        quantiles = b"".join(
            wire.message(
                _QUANTILE_VALUE,
                _QUANTILE + wire.pack_double(quantile) + _QUANTILE_RESULT + wire.pack_double(value),
            )
            for quantile, value in series.quantiles
        )
        count = _COUNT + wire.pack_fixed64(int(series.count)) + _TOTAL + wire.pack_double(series.total)
        return self._times(series, now) + count + quantiles + wire.attributes(_NUMBER_ATTRIBUTE, attributes)

    def _exemplars(self, field_tag: bytes, series: _Series, now: float) -> bytes:
        """Exemplars since the last collection; one that came while this one runs belongs to the next."""
        fresh = (one for one in series.exemplars if self._last_collected < float(one.timestamp or 0) <= now)
        return b"".join(wire.message(field_tag, _encode_exemplar(one)) for one in fresh)


def _encode_exemplar(exemplar: Exemplar) -> bytes:
    labels = dict(exemplar.labels)
    body = _EXEMPLAR_TIME + wire.pack_fixed64(int(float(exemplar.timestamp or 0) * 1e9))
    body += _EXEMPLAR_VALUE + wire.pack_double(exemplar.value)
    try:
        trace_id, span_id = bytes.fromhex(labels["trace_id"]), bytes.fromhex(labels["span_id"])
    except (KeyError, ValueError):
        return body + wire.attributes(_EXEMPLAR_ATTRIBUTE, labels)
    del labels["trace_id"], labels["span_id"]
    ids = wire.message(_EXEMPLAR_SPAN, span_id) + wire.message(_EXEMPLAR_TRACE, trace_id)
    return body + ids + wire.attributes(_EXEMPLAR_ATTRIBUTE, labels)


def _foreign_name(family: Metric) -> MetricName:
    """A metric of the team's own keeps the name that its exposition has."""
    suffix = "_total" if family.type == "counter" else "_info" if family.type == "info" else ""
    return MetricName(family.name, family.name + suffix, family.unit, family.documentation, {})


def _attributes(labels: Mapping[str, str], name: MetricName) -> dict[str, Any]:
    attributes: dict[str, Any] = {name.labels.get(key, key): value for key, value in labels.items()}
    # Labels are text; the semantic conventions make this one attribute an integer, and absent where there is no status.
    status = attributes.pop("http.response.status_code", None)
    if status:
        attributes["http.response.status_code"] = int(status)
    return attributes


def _series_of(family: Metric) -> list[_Series]:
    found: dict[tuple[tuple[str, str], ...], _Series] = {}
    for sample in family.samples:
        key = tuple(pair for pair in sample.labels.items() if pair[0] not in _STRUCTURAL_LABELS)
        series = found.get(key)
        if series is None:
            series = found[key] = _Series(dict(key))
        _add_sample(series, family, sample)
    return list(found.values())


def _add_sample(series: _Series, family: Metric, sample: Sample) -> None:
    if sample.exemplar is not None:
        series.exemplars.append(sample.exemplar)
    match sample.name.removeprefix(family.name):
        case "_bucket":
            series.buckets.append((float(sample.labels["le"]), sample.value))
        case "_count":
            series.count = sample.value
        case "_sum":
            series.total = sample.value
        case "_created":
            series.created = sample.value
        case _ if "quantile" in sample.labels:
            series.quantiles.append((float(sample.labels["quantile"]), sample.value))
        case _:
            series.value = sample.value
