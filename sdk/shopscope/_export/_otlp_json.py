"""Our own OTLP requests as OTLP/JSON: what ``http/json`` sends and the console exporter prints.

Read back from the protobuf bytes, so that there is one encoder; who asks for JSON pays for it on the export thread.
Source: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

import base64
import math
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

import orjson

from shopscope._export._protobuf import fields, read_varint

_SIGN_BIT, _TWO_TO_64 = 1 << 63, 1 << 64


class _Field(NamedTuple):
    """Name in JSON, how to read the value, and whether there is a list of them."""

    name: str
    read: Callable[[Any], Any]
    is_list: bool = False


def _text(value: bytes) -> str:
    return value.decode(errors="replace")


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _signed(value: int) -> str:
    return str(value - _TWO_TO_64 if value & _SIGN_BIT else value)


def _zigzag(value: int) -> int:
    return (value >> 1) ^ -(value & 1)


def _fixed32(value: bytes) -> int:
    return int.from_bytes(value, "little")


def _fixed64(value: bytes) -> str:
    return str(int.from_bytes(value, "little"))


def _signed_fixed64(value: bytes) -> str:
    return str(int.from_bytes(value, "little", signed=True))


def _double(value: bytes) -> float | str:
    (number,) = struct.unpack("<d", value)
    if math.isfinite(number):
        return float(number)
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def _packed(read: Callable[[bytes], Any]) -> Callable[[bytes], list[Any]]:
    return lambda value: [read(value[start : start + 8]) for start in range(0, len(value), 8)]


def _packed_varints(value: bytes) -> list[str]:
    numbers, position = [], 0
    while position < len(value):
        number, position = read_varint(value, position)
        numbers.append(str(number))
    return numbers


def _message(name: str) -> Callable[[bytes], dict[str, Any]]:
    return lambda value: _read(name, value)


def _one(name: str, message: str) -> _Field:
    return _Field(name, _message(message))


def _many(name: str, message: str) -> _Field:
    return _Field(name, _message(message), is_list=True)


_DROPPED = "droppedAttributesCount"
_ATTRIBUTES = _many("attributes", "KeyValue")
_START, _TIME = _Field("startTimeUnixNano", _fixed64), _Field("timeUnixNano", _fixed64)
_TRACE_ID, _SPAN_ID = _Field("traceId", bytes.hex), _Field("spanId", bytes.hex)
_POINT_FLAGS = _Field("flags", int)


def _envelope(kind: str, items: str, item: str) -> dict[str, dict[int, _Field]]:
    return {
        f"{kind}Request": {1: _many(f"resource{kind}", f"Resource{kind}")},
        f"Resource{kind}": {
            1: _one("resource", "Resource"),
            2: _many(f"scope{kind}", f"Scope{kind}"),
            3: _Field("schemaUrl", _text),
        },
        f"Scope{kind}": {1: _one("scope", "Scope"), 2: _many(items, item), 3: _Field("schemaUrl", _text)},
    }


def _aggregation(point: str) -> dict[int, _Field]:
    return {1: _many("dataPoints", point), 2: _Field("aggregationTemporality", int), 3: _Field("isMonotonic", bool)}


# opentelemetry/proto/common, resource, trace, metrics and logs, v1
_MESSAGES: dict[str, dict[int, _Field]] = {
    **_envelope("Spans", "spans", "Span"),
    **_envelope("Metrics", "metrics", "Metric"),
    **_envelope("Logs", "logRecords", "LogRecord"),
    "Resource": {1: _ATTRIBUTES, 2: _Field(_DROPPED, int)},
    "Scope": {1: _Field("name", _text), 2: _Field("version", _text), 3: _ATTRIBUTES, 4: _Field(_DROPPED, int)},
    "KeyValue": {1: _Field("key", _text), 2: _one("value", "AnyValue")},
    "AnyValue": {
        1: _Field("stringValue", _text),
        2: _Field("boolValue", bool),
        3: _Field("intValue", _signed),
        4: _Field("doubleValue", _double),
        5: _one("arrayValue", "ArrayValue"),
        6: _one("kvlistValue", "KeyValueList"),
        7: _Field("bytesValue", _base64),
    },
    "ArrayValue": {1: _many("values", "AnyValue")},
    "KeyValueList": {1: _many("values", "KeyValue")},
    "Span": {
        1: _TRACE_ID,
        2: _SPAN_ID,
        3: _Field("traceState", _text),
        4: _Field("parentSpanId", bytes.hex),
        5: _Field("name", _text),
        6: _Field("kind", int),
        7: _START,
        8: _Field("endTimeUnixNano", _fixed64),
        9: _ATTRIBUTES,
        10: _Field(_DROPPED, int),
        11: _many("events", "Event"),
        12: _Field("droppedEventsCount", int),
        13: _many("links", "Link"),
        14: _Field("droppedLinksCount", int),
        15: _one("status", "Status"),
        16: _Field("flags", _fixed32),
    },
    "Event": {1: _TIME, 2: _Field("name", _text), 3: _ATTRIBUTES, 4: _Field(_DROPPED, int)},
    "Link": {
        1: _TRACE_ID,
        2: _SPAN_ID,
        3: _Field("traceState", _text),
        4: _ATTRIBUTES,
        5: _Field(_DROPPED, int),
        6: _Field("flags", _fixed32),
    },
    "Status": {2: _Field("message", _text), 3: _Field("code", int)},
    "LogRecord": {
        1: _TIME,
        2: _Field("severityNumber", int),
        3: _Field("severityText", _text),
        5: _one("body", "AnyValue"),
        6: _ATTRIBUTES,
        7: _Field(_DROPPED, int),
        8: _Field("flags", _fixed32),
        9: _TRACE_ID,
        10: _SPAN_ID,
        11: _Field("observedTimeUnixNano", _fixed64),
        12: _Field("eventName", _text),
    },
    "Metric": {
        1: _Field("name", _text),
        2: _Field("description", _text),
        3: _Field("unit", _text),
        5: _one("gauge", "Gauge"),
        7: _one("sum", "Sum"),
        9: _one("histogram", "Histogram"),
        10: _one("exponentialHistogram", "ExponentialHistogram"),
        11: _one("summary", "Summary"),
        12: _many("metadata", "KeyValue"),
    },
    "Gauge": {1: _many("dataPoints", "NumberPoint")},
    "Sum": _aggregation("NumberPoint"),
    "Histogram": _aggregation("HistogramPoint"),
    "ExponentialHistogram": _aggregation("ExponentialPoint"),
    "Summary": {1: _many("dataPoints", "SummaryPoint")},
    "NumberPoint": {
        2: _START,
        3: _TIME,
        4: _Field("asDouble", _double),
        5: _many("exemplars", "Exemplar"),
        6: _Field("asInt", _signed_fixed64),
        7: _ATTRIBUTES,
        8: _POINT_FLAGS,
    },
    "HistogramPoint": {
        2: _START,
        3: _TIME,
        4: _Field("count", _fixed64),
        5: _Field("sum", _double),
        6: _Field("bucketCounts", _packed(_fixed64)),
        7: _Field("explicitBounds", _packed(_double)),
        8: _many("exemplars", "Exemplar"),
        9: _ATTRIBUTES,
        10: _POINT_FLAGS,
        11: _Field("min", _double),
        12: _Field("max", _double),
    },
    "ExponentialPoint": {
        1: _ATTRIBUTES,
        2: _START,
        3: _TIME,
        4: _Field("count", _fixed64),
        5: _Field("sum", _double),
        6: _Field("scale", _zigzag),
        7: _Field("zeroCount", _fixed64),
        8: _one("positive", "Buckets"),
        9: _one("negative", "Buckets"),
        10: _POINT_FLAGS,
        11: _many("exemplars", "Exemplar"),
        12: _Field("min", _double),
        13: _Field("max", _double),
        14: _Field("zeroThreshold", _double),
    },
    "Buckets": {1: _Field("offset", _zigzag), 2: _Field("bucketCounts", _packed_varints)},
    "SummaryPoint": {
        2: _START,
        3: _TIME,
        4: _Field("count", _fixed64),
        5: _Field("sum", _double),
        6: _many("quantileValues", "Quantile"),
        7: _ATTRIBUTES,
        8: _POINT_FLAGS,
    },
    "Quantile": {1: _Field("quantile", _double), 2: _Field("value", _double)},
    "Exemplar": {
        2: _TIME,
        3: _Field("asDouble", _double),
        4: _SPAN_ID,
        5: _TRACE_ID,
        6: _Field("asInt", _signed_fixed64),
        7: _many("filteredAttributes", "KeyValue"),
    },
}
_REQUESTS = {"traces": "SpansRequest", "metrics": "MetricsRequest", "logs": "LogsRequest"}


def to_json(signal: str, body: bytes) -> bytes:
    """One ``Export*ServiceRequest`` as one line of OTLP/JSON.

    Args:
        signal: ``traces``, ``metrics`` or ``logs``.
        body: the request's protobuf bytes.
    """
    return orjson.dumps(_read(_REQUESTS[signal], body))


def _read(message: str, data: bytes) -> dict[str, Any]:
    known = _MESSAGES[message]
    found: dict[str, Any] = {}
    for number, value in fields(data):
        field = known.get(number)
        if field is None:
            continue
        if field.is_list:
            found.setdefault(field.name, []).append(field.read(value))
        else:
            found[field.name] = field.read(value)
    return found
