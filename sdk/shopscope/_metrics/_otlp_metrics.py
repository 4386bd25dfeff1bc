"""Families of metrics as an OTLP ``ExportMetricsServiceRequest``: cumulative, with start times and exemplars.

Source: opentelemetry/proto/metrics/v1/metrics.proto and
https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/
"""

import struct
import time
from collections.abc import Callable, Iterable

from shopscope._export import _wire as wire
from shopscope._metrics._families import Example, Family, ScopeFamilies, Series
from shopscope._metrics._selfmetrics import internal_error

_CUMULATIVE = 2

_RESOURCE_METRICS = wire.tag(1, wire.LENGTH_DELIMITED)
_SCOPE_METRICS = _METRICS = wire.tag(2, wire.LENGTH_DELIMITED)
_NAME, _DESCRIPTION, _UNIT = (wire.tag(number, wire.LENGTH_DELIMITED) for number in (1, 2, 3))
_GAUGE, _SUM, _HISTOGRAM, _SUMMARY = (wire.tag(number, wire.LENGTH_DELIMITED) for number in (5, 7, 9, 11))
_POINT = wire.tag(1, wire.LENGTH_DELIMITED)
_TEMPORALITY = wire.tag(2, wire.VARINT) + wire.varint(_CUMULATIVE)
_IS_MONOTONIC = wire.tag(3, wire.VARINT) + b"\x01"

_START_TIME, _TIME = wire.tag(2, wire.FIXED64), wire.tag(3, wire.FIXED64)
_AS_DOUBLE, _AS_INT = wire.tag(4, wire.FIXED64), wire.tag(6, wire.FIXED64)
_NUMBER_EXEMPLAR, _NUMBER_ATTRIBUTE = wire.tag(5, wire.LENGTH_DELIMITED), wire.tag(7, wire.LENGTH_DELIMITED)
_COUNT, _TOTAL = wire.tag(4, wire.FIXED64), wire.tag(5, wire.FIXED64)
_BUCKET_COUNTS, _BOUNDS = wire.tag(6, wire.LENGTH_DELIMITED), wire.tag(7, wire.LENGTH_DELIMITED)
_HISTOGRAM_EXEMPLAR, _HISTOGRAM_ATTRIBUTE = wire.tag(8, wire.LENGTH_DELIMITED), wire.tag(9, wire.LENGTH_DELIMITED)
_MIN, _MAX = wire.tag(11, wire.FIXED64), wire.tag(12, wire.FIXED64)
_QUANTILE_VALUE, _QUANTILE, _QUANTILE_RESULT = wire.tag(6, wire.LENGTH_DELIMITED), wire.tag(1, 1), wire.tag(2, 1)
_EXEMPLAR_TIME, _EXEMPLAR_VALUE = wire.tag(2, wire.FIXED64), wire.tag(3, wire.FIXED64)
_EXEMPLAR_SPAN = wire.tag(4, wire.LENGTH_DELIMITED)
_EXEMPLAR_TRACE = wire.tag(5, wire.LENGTH_DELIMITED)
_EXEMPLAR_ATTRIBUTE = wire.tag(7, wire.LENGTH_DELIMITED)

_pack_signed = struct.Struct("<q").pack
_SIGNED_LIMIT = 1 << 63


class MetricsEncoder:
    """Collects families and encodes them; an exemplar is sent once."""

    def __init__(self, collect: Callable[[], Iterable[ScopeFamilies]], started_unix_nano: int) -> None:
        self._collect = collect
        self._started_unix_nano = started_unix_nano
        self._last_unix_nano = self._now_unix_nano = 0

    def collect(self, resource: bytes) -> tuple[bytes, int]:
        """The request's body, and how many data points it has."""
        scopes = []
        points = 0
        now = self._now_unix_nano = time.time_ns()
        for scope in self._collect():
            metrics = []
            for family in scope.families:
                encoded = self._encode(family, now)
                if encoded:
                    points += len(family.series)
                    metrics.append(wire.message(_METRICS, encoded))
            if metrics:
                scopes.append(wire.message(_SCOPE_METRICS, scope.encoded + b"".join(metrics)))
        self._last_unix_nano = now
        return wire.message(_RESOURCE_METRICS, resource + b"".join(scopes)), points

    def _encode(self, family: Family, now: int) -> bytes:
        try:
            return self._encode_family(family, now) if family.series else b""
        except Exception:  # noqa: BLE001 (a metric of the team's own that makes no sense must not cost the others)
            internal_error(f"metric {family.name}")
            return b""

    def _encode_family(self, family: Family, now: int) -> bytes:
        head = wire.message(_NAME, wire.utf8(family.name))
        head += wire.message(_DESCRIPTION, wire.utf8(family.description))
        head += wire.message(_UNIT, wire.utf8(family.unit))
        match family.kind:
            case "counter":
                return head + wire.message(_SUM, self._points(family, self._number, now) + _TEMPORALITY + _IS_MONOTONIC)
            case "updowncounter":
                return head + wire.message(_SUM, self._points(family, self._number, now) + _TEMPORALITY)
            case "histogram":
                return head + wire.message(_HISTOGRAM, self._points(family, self._histogram, now) + _TEMPORALITY)
            case "summary":
                return head + wire.message(_SUMMARY, self._points(family, self._summary, now))
        return head + wire.message(_GAUGE, self._points(family, self._gauge, now))

    def _points(self, family: Family, encode: Callable[[Series, bytes], bytes], now: int) -> bytes:
        at = _TIME + wire.pack_fixed64(now)
        return b"".join(wire.message(_POINT, encode(series, at)) for series in family.series)

    def _start(self, series: Series) -> bytes:
        return _START_TIME + wire.pack_fixed64(series.start_unix_nano or self._started_unix_nano)

    def _gauge(self, series: Series, at: bytes) -> bytes:
        exemplars = self._exemplars(_NUMBER_EXEMPLAR, series)
        return at + _value(series.value) + exemplars + wire.attributes(_NUMBER_ATTRIBUTE, series.attributes)

    def _number(self, series: Series, at: bytes) -> bytes:
        return self._start(series) + self._gauge(series, at)

    def _histogram(self, series: Series, at: bytes) -> bytes:
        extremes = b""
        if series.extremes is not None:
            lowest, highest = series.extremes
            extremes = _MIN + wire.pack_double(lowest) + _MAX + wire.pack_double(highest)
        return (
            self._start(series)
            + at
            + _COUNT
            + wire.pack_fixed64(series.count)
            + _TOTAL
            + wire.pack_double(series.total)
            + wire.packed(_BUCKET_COUNTS, map(wire.pack_fixed64, series.counts))
            + wire.packed(_BOUNDS, map(wire.pack_double, series.bounds))
            + extremes
            + self._exemplars(_HISTOGRAM_EXEMPLAR, series)
            + wire.attributes(_HISTOGRAM_ATTRIBUTE, series.attributes)
        )

    def _summary(self, series: Series, at: bytes) -> bytes:
        quantiles = b"".join(
            wire.message(
                _QUANTILE_VALUE,
                _QUANTILE + wire.pack_double(quantile) + _QUANTILE_RESULT + wire.pack_double(value),
            )
            for quantile, value in series.quantiles
        )
        count = _COUNT + wire.pack_fixed64(series.count) + _TOTAL + wire.pack_double(series.total)
        return self._start(series) + at + count + quantiles + wire.attributes(_NUMBER_ATTRIBUTE, series.attributes)

    def _exemplars(self, field_tag: bytes, series: Series) -> bytes:
        """Exemplars since the last collection; one that came while this one runs belongs to the next."""
        return b"".join(
            wire.message(field_tag, _encode_example(example))
            for example in series.examples
            if self._last_unix_nano < example.unix_nano <= self._now_unix_nano
        )


def _value(value: float) -> bytes:
    if type(value) is int and -_SIGNED_LIMIT <= value < _SIGNED_LIMIT:
        return _AS_INT + _pack_signed(value)
    return _AS_DOUBLE + wire.pack_double(value)


def _encode_example(example: Example) -> bytes:
    body = _EXEMPLAR_TIME + wire.pack_fixed64(example.unix_nano) + _EXEMPLAR_VALUE + wire.pack_double(example.value)
    attributes = dict(example.attributes)
    try:
        trace_id, span_id = bytes.fromhex(example.trace_id), bytes.fromhex(example.span_id)
    except ValueError:
        # A team's own exemplar may call other things so.
        attributes |= {"trace_id": example.trace_id, "span_id": example.span_id}
    else:
        if trace_id:
            body += wire.message(_EXEMPLAR_SPAN, span_id) + wire.message(_EXEMPLAR_TRACE, trace_id)
    return body + wire.attributes(_EXEMPLAR_ATTRIBUTE, attributes)
