"""OTLP into tables: the two encodings say the same, wrong rows are refused one by one, and values survive."""

import base64
import json
import math

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from shopscope_ops.store.otlp import JSON, DecodeError, decode_logs, decode_metrics, decode_traces
from shopscope_ops.store.schema import EXEMPLARS, LOGS, METRIC_POINTS, SPANS

DECODERS = {"traces": decode_traces, "metrics": decode_metrics, "logs": decode_logs}


@pytest.mark.parametrize("original_names", [False, True])
@pytest.mark.parametrize("enum_names", [False, True])
@pytest.mark.parametrize("signal", DECODERS)
def test_json_says_the_same_as_protobuf(otlp, signal, original_names, enum_names):
    """All three signals, both spellings of field names, enums as numbers and as names."""
    request = getattr(otlp, signal)()
    body = otlp.json(request, original_names=original_names, enum_names=enum_names)
    expected = DECODERS[signal](request.SerializeToString())
    assert DECODERS[signal](body, JSON) == expected
    assert expected.accepted > 0


def test_span_becomes_a_row(otlp):
    """Every column of the span table."""
    table = decode_traces(otlp.traces().SerializeToString()).tables["spans"]
    assert table.schema == SPANS
    row = table.to_pylist()[0]
    assert orjson.loads(row.pop("attributes")) == {
        "shopscope.journey": "checkout",
        "peer.service": "payment",
        "empty": "",
        "shopscope.protection": "breaker,retry",
        "http.response.status_code": 200,
        "ratio": 0.5,
    }
    event = {"time_unix_nano": otlp.NOW, "name": "exception", "attributes": {"exception.type": "Declined"}}
    assert orjson.loads(row.pop("events")) == [event]
    link = {"trace_id": otlp.TRACE_ID, "span_id": otlp.SPAN_ID, "trace_state": "c=d", "attributes": {}}
    assert orjson.loads(row.pop("links")) == [link]
    assert row == {
        "trace_id": otlp.TRACE_ID,
        "span_id": "0000000000000001",
        "parent_span_id": otlp.SPAN_ID,
        "service": "checkout",
        "instance": "one",
        "name": "POST /payments",
        "kind": "client",
        "peer": "payment",
        "journey": "checkout",
        "start_unix_nano": otlp.NOW,
        "duration_nano": 5_000_000,
        "status": "error",
        "status_message": "declined",
        "protection": "breaker,retry",
        "scope": "shopscope@1.0",
        "trace_state": "a=b",
        "resource": '{"service.instance.id":"one","service.name":"checkout"}',
    }


@pytest.mark.parametrize(
    ("kind", "attributes", "expected"),
    [
        (3, {"peer.service": "bank", "server.address": "10.0.0.1"}, "bank"),
        (3, {"service.peer.name": "bank"}, "bank"),
        (3, {"server.address": "bank.example", "db.namespace": "shop"}, "bank.example"),
        (3, {"db.system.name": "postgresql", "db.namespace": "shop"}, "shop"),
        (4, {"messaging.destination.name": "orders"}, "orders"),
        (2, {"server.address": "127.0.0.1"}, ""),
        (1, {"peer.service": "bank"}, "bank"),
        (3, {}, ""),
    ],
)
def test_peer_is_whom_a_call_goes_to(otlp, kind, attributes, expected):
    """Declared peers first, then addresses; the address on a server span is its own."""
    request = otlp.traces()
    span = request.resource_spans[0].scope_spans[0].spans[0]
    span.kind = kind
    del span.attributes[:]
    for key, value in attributes.items():
        span.attributes.add(key=key).value.string_value = value
    assert decode_traces(request.SerializeToString()).tables["spans"]["peer"].to_pylist() == [expected]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("trace_id", b"short", "trace_id must be 16 bytes: 5 bytes"),
        ("trace_id", bytes(16), "trace_id must not be all zeros: " + "0" * 32),
        ("span_id", b"", "span_id must be 8 bytes: 0 bytes"),
        ("span_id", bytes(8), "span_id must not be all zeros: " + "0" * 16),
        ("parent_span_id", b"xx", "parent_span_id must be empty or 8 bytes: 2 bytes"),
        ("start_time_unix_nano", 0, "start_time_unix_nano must be set: 0"),
        ("end_time_unix_nano", 1, "end_time_unix_nano must not be before start_time_unix_nano 1790000000001000000: 1"),
        ("end_time_unix_nano", 2**63, "end_time_unix_nano must be at most 9223372036854775807: 9223372036854775808"),
    ],
)
def test_wrong_span_is_refused_alone(otlp, field, value, message):
    """The other spans are taken, and the sender hears field, rule and value."""
    request = otlp.traces(3)
    setattr(request.resource_spans[0].scope_spans[0].spans[1], field, value)
    decoded = decode_traces(request.SerializeToString())
    assert decoded.message == f"1 rejected; the first: span 'POST /payments': {message}"
    assert (decoded.accepted, decoded.rejected, decoded.tables["spans"].num_rows) == (2, 1, 2)


def test_metrics_become_points_and_exemplars(otlp):
    """Each kind of point fills its own columns and leaves the others null."""
    decoded = decode_metrics(otlp.metrics().SerializeToString())
    points = {row["name"]: row for row in decoded.tables["metric_points"].to_pylist()}
    shown = {
        name: {key: row[key] for key in ("kind", "value", "count", "sum", "min", "max", "bounds", "bucket_counts")}
        for name, row in points.items()
    }
    nothing = dict.fromkeys(("value", "count", "sum", "min", "max", "bounds", "bucket_counts"))
    histogram = {"count": 3, "sum": 0.6, "min": 0.1, "max": 0.3, "bounds": [0.1, 0.2], "bucket_counts": [1, 1, 1]}
    assert shown == {
        "pool.use": nothing | {"kind": "gauge", "value": 0.25},
        "orders": nothing | {"kind": "sum", "value": 7.0},
        "duration": nothing | {"kind": "histogram"} | histogram,
        "size": nothing | {"kind": "exponential_histogram", "count": 4, "sum": 10.0},
        "age": nothing | {"kind": "summary", "count": 2, "sum": 3.0},
    }
    assert {name: row["temporality"] for name, row in points.items()} == {
        "pool.use": "",
        "orders": "cumulative",
        "duration": "cumulative",
        "size": "delta",
        "age": "",
    }
    assert [points["orders"]["is_monotonic"], points["orders"]["attributes"]] == [True, '{"a":"a","b":"b"}']
    assert orjson.loads(points["age"]["detail"]) == {"quantiles": [{"quantile": 0.5, "value": 1.0}]}
    assert orjson.loads(points["size"]["detail"]) == {
        "scale": 2,
        "zero_count": 1,
        "zero_threshold": 0.0,
        "positive": {"offset": -3, "bucket_counts": [2, 1]},
        "negative": {"offset": 0, "bucket_counts": []},
    }
    (exemplar,) = decoded.tables["exemplars"].to_pylist()
    assert [exemplar[key] for key in ("name", "value", "trace_id", "span_id")] == [
        "duration",
        0.3,
        otlp.TRACE_ID,
        otlp.SPAN_ID,
    ]
    assert decoded.tables["metric_points"].schema == METRIC_POINTS
    assert decoded.tables["exemplars"].schema == EXEMPLARS


def test_wrong_points_are_refused_alone(otlp):
    """Buckets that do not fit their bounds, bounds that do not increase, and a point without time."""
    request = otlp.metrics()
    scope = request.resource_metrics[0].scope_metrics[0]
    data = scope.metrics[2].histogram.data_points
    data.add(time_unix_nano=otlp.NOW, bucket_counts=[1, 2, 3], explicit_bounds=[1.0])
    data.add(time_unix_nano=otlp.NOW, bucket_counts=[1, 2, 3], explicit_bounds=[2.0, 1.0])
    scope.metrics[0].gauge.data_points.add(as_double=1.0)
    decoded = decode_metrics(request.SerializeToString())
    assert (decoded.accepted, decoded.rejected) == (5, 3)
    assert decoded.message == (
        "3 rejected; the first: metric 'pool.use': time_unix_nano must be between 1 and 9223372036854775807: 0"
    )


def test_logs_become_rows(otlp):
    """Severity from its number, time from its observation, ids only where valid, bodies that are not text as JSON."""
    table = decode_logs(otlp.logs().SerializeToString()).tables["logs"]
    assert table.schema == LOGS
    columns = ("time_unix_nano", "severity", "severity_number", "body", "trace_id", "span_id", "attributes")
    assert [tuple(row[column] for column in columns) for row in table.to_pylist()] == [
        (otlp.NOW, "WARN", 13, "stock is low", otlp.TRACE_ID, otlp.SPAN_ID, '{"sku":"A-1"}'),
        (otlp.NOW + 1, "oops", 0, '{"total":62.4}', "", "", '{"event.name":"order.placed"}'),
    ]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "unexpected end of data"),
        (b"[]", "ExportTraceServiceRequest must be an object: []"),
        (b'{"resourceSpans": {}}', "resource_spans must be a list: {}"),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "zz"}]}]}]}', "trace_id must be hexadecimal"),
        (
            b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"startTimeUnixNano": "soon"}]}]}]}',
            "a whole number: 'soon'",
        ),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": 5}]}]}]}', "name must be of type str: 5"),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"kind": "SPAN_KIND_ODD"}]}]}]}', "'SPAN_KIND_ODD'"),
        (b'{"resourceSpans":' * 3000 + b"1" + b"}" * 3000, "depth limit exceeded"),
    ],
)
def test_malformed_json_is_refused_with_its_cause(body, reason):
    """The sender learns what is wrong where."""
    with pytest.raises(DecodeError, match="OTLP JSON ExportTraceServiceRequest") as caught:
        decode_traces(body, JSON)
    assert reason in str(caught.value)


def test_values_nested_too_deeply_are_malformed():
    """Far deeper than any protobuf parser follows, yet less than JSON's own limit."""
    value = b'{"arrayValue":{"values":[' * 250 + b'{"intValue":1}' + b"]}}" * 250
    span = b'{"attributes":[{"key":"a","value":' + value + b"}]}"
    with pytest.raises(DecodeError, match="recursion"):
        decode_traces(b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + span + b"]}]}]}", JSON)


def test_malformed_protobuf_is_refused():
    """A broken message is an error of ours, not of the protobuf library."""
    with pytest.raises(DecodeError, match="must be a protobuf ExportTraceServiceRequest"):
        decode_traces(b"\x0a\xff\xff\xff\xff\x0f")


def test_json_fields_of_a_later_version_are_ignored(otlp):
    """Unknown fields and nulls, at every level."""
    tree = json.loads(otlp.json(otlp.traces()))
    tree["later"] = {"x": 1}
    tree["resourceSpans"][0]["scopeSpans"][0]["spans"][0] |= {"later": [1], "status": None}
    row = decode_traces(json.dumps(tree).encode(), JSON).tables["spans"].to_pylist()[0]
    assert (row["name"], row["status"]) == ("POST /payments", "unset")


def _any_value(value):
    """An AnyValue of a Python value, built without the code under test."""
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, dict):
        made = AnyValue()
        made.kvlist_value.SetInParent()
        for key, entry in value.items():
            made.kvlist_value.values.add(key=key).value.CopyFrom(_any_value(entry))
        return made
    if isinstance(value, list):
        made = AnyValue()
        made.array_value.SetInParent()
        made.array_value.values.extend(_any_value(entry) for entry in value)
        return made
    if value is None:
        return AnyValue()
    fields = {str: "string_value", int: "int_value", float: "double_value", bytes: "bytes_value"}
    return AnyValue(**{fields[type(value)]: value})


def _as_json(value):
    """What JSON can say of a value, as the OTLP specification maps it."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, list):
        return [_as_json(entry) for entry in value]
    return {key: _as_json(entry) for key, entry in value.items()} if isinstance(value, dict) else value


_text = st.text(st.characters(exclude_categories=["Cs"]))
_scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | _text | st.binary()
_values = st.recursive(_scalars, lambda inner: st.lists(inner) | st.dictionaries(_text, inner), max_leaves=8)


@given(st.dictionaries(_text, _values))
def test_attribute_values_survive(attributes):
    """Any value of any nesting, text in any script, every float: one JSON document that reads back the same."""
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"t" * 16, span_id=b"s" * 8)
    span.start_time_unix_nano = span.end_time_unix_nano = 1
    for key, value in attributes.items():
        span.attributes.add(key=key).value.CopyFrom(_any_value(value))
    (found,) = decode_traces(request.SerializeToString()).tables["spans"]["attributes"].to_pylist()
    assert (json.loads(found) if found else {}) == _as_json(attributes)
