"""What was captured, read back from the very bytes that would have been sent."""

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import orjson

from shopscope._export._otlp_json import to_json
from shopscope._tracing._fields import JOURNEY_KEY

_KINDS = ("", "internal", "server", "client", "producer", "consumer")
_STATUSES = ("unset", "ok", "error")
_AGGREGATIONS = frozenset({"sum", "gauge", "histogram", "summary"})


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a span, such as an exception."""

    name: str
    time_unix_nano: int
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CapturedSpan:
    """One ended span. Ids are lower-case hexadecimal; ``parent_id`` is empty for a root."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    start_unix_nano: int
    end_unix_nano: int
    status: str
    status_message: str
    attributes: Mapping[str, Any]
    events: tuple[Event, ...]
    scope: str

    @property
    def journey(self) -> str:
        """The journey it was part of, or an empty string."""
        return str(self.attributes.get(JOURNEY_KEY, ""))

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.end_unix_nano - self.start_unix_nano) / 1e9

    def __str__(self) -> str:
        failed = "" if self.status != "error" else f", error {self.status_message}".rstrip()
        return f"{self.name} [{self.kind}, {self.seconds * 1000:g} ms{failed}]"


@dataclass(frozen=True, slots=True)
class CapturedMetric:
    """One series of a metric as it stands.

    ``kind`` is ``sum``, ``gauge``, ``histogram`` or ``summary``. A sum or gauge has a ``value``; the others have
    ``count`` and ``sum`` (in the metric's unit), and a histogram also ``bounds`` and one more of ``bucket_counts``.
    """

    name: str
    kind: str
    unit: str
    attributes: Mapping[str, Any]
    value: float | None = None
    count: int | None = None
    sum: float | None = None
    bounds: tuple[float, ...] = ()
    bucket_counts: tuple[int, ...] = ()
    exemplar_trace_ids: tuple[str, ...] = ()

    def __str__(self) -> str:
        labels = ", ".join(f"{key}={value!r}" for key, value in sorted(self.attributes.items()))
        figure = f"{self.value:g}" if self.value is not None else f"{self.count} observations, sum {self.sum:g}"
        return f"{self.name}{{{labels}}} {figure}"


@dataclass(frozen=True, slots=True)
class CapturedLog:
    """One log record. Ids are lower-case hexadecimal, empty outside any span."""

    event: str
    level: str
    time_unix_nano: int
    attributes: Mapping[str, Any]
    trace_id: str
    span_id: str

    def __str__(self) -> str:
        return f"{self.level}: {self.event}"


def spans_in(body: bytes) -> Iterator[CapturedSpan]:
    """The spans of one export request."""
    for scope, span in _items("traces", body, "resourceSpans", "scopeSpans", "spans"):
        status = span.get("status", {})
        yield CapturedSpan(
            name=span.get("name", ""),
            kind=_KINDS[span.get("kind", 0)],
            trace_id=span["traceId"],
            span_id=span["spanId"],
            parent_id=span.get("parentSpanId", ""),
            start_unix_nano=int(span["startTimeUnixNano"]),
            end_unix_nano=int(span["endTimeUnixNano"]),
            status=_STATUSES[status.get("code", 0)],
            status_message=status.get("message", ""),
            attributes=_attributes(span),
            events=tuple(
                Event(event.get("name", ""), int(event["timeUnixNano"]), _attributes(event))
                for event in span.get("events", ())
            ),
            scope=scope,
        )


def metrics_in(body: bytes) -> Iterator[CapturedMetric]:
    """The series of one export request."""
    for _, metric in _items("metrics", body, "resourceMetrics", "scopeMetrics", "metrics"):
        for kind in _AGGREGATIONS & metric.keys():
            for point in metric[kind].get("dataPoints", ()):
                yield _series(metric, kind, point)


def _series(metric: Mapping[str, Any], kind: str, point: Mapping[str, Any]) -> CapturedMetric:
    exemplars = point.get("exemplars", ())
    common = {
        "name": metric["name"],
        "kind": kind,
        "unit": metric.get("unit", ""),
        "attributes": _attributes(point),
        "exemplar_trace_ids": tuple(found["traceId"] for found in exemplars if "traceId" in found),
    }
    if kind in {"sum", "gauge"}:
        return CapturedMetric(**common, value=float(point.get("asDouble", point.get("asInt", 0))))
    return CapturedMetric(
        **common,
        count=int(point.get("count", 0)),
        sum=float(point.get("sum", 0)),
        bounds=tuple(float(bound) for bound in point.get("explicitBounds", ())),
        bucket_counts=tuple(int(count) for count in point.get("bucketCounts", ())),
    )


def logs_in(body: bytes) -> Iterator[CapturedLog]:
    """The records of one export request."""
    for _, record in _items("logs", body, "resourceLogs", "scopeLogs", "logRecords"):
        yield CapturedLog(
            event=str(_value(record.get("body", {}))),
            level=record.get("severityText", "").lower(),
            time_unix_nano=int(record.get("timeUnixNano", 0)),
            attributes=_attributes(record),
            trace_id=record.get("traceId", ""),
            span_id=record.get("spanId", ""),
        )


def _items(signal: str, body: bytes, *levels: str) -> Iterator[tuple[str, Any]]:
    """Each record of a request, after the name of its instrumentation scope."""
    resources, scopes, records = levels
    for resource in orjson.loads(to_json(signal, body)).get(resources, ()):
        for scope in resource.get(scopes, ()):
            name = scope.get("scope", {}).get("name", "")
            yield from ((name, record) for record in scope.get(records, ()))


def _attributes(owner: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(_pairs(owner.get("attributes", ())))


def _pairs(pairs: Any) -> dict[str, Any]:
    return {pair["key"]: _value(pair.get("value", {})) for pair in pairs}


def _value(value: Mapping[str, Any]) -> Any:
    """The one field of an OTLP value, as a Python value; text and truth are as they should be."""
    for kind, content in value.items():
        read = _READERS.get(kind)
        return content if read is None else read(content)
    return None


_READERS: dict[str, Callable[[Any], Any]] = {
    "intValue": int,
    "doubleValue": float,
    "bytesValue": base64.b64decode,
    "arrayValue": lambda content: tuple(_value(item) for item in content.get("values", ())),
    "kvlistValue": lambda content: _pairs(content.get("values", ())),
}
