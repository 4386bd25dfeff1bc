"""Requests of all three signals, as protobuf messages and as the JSON that the OTLP specification describes."""

import base64
import json

import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

NOW = 1_790_000_000_000_000_000
TRACE_ID = bytes(range(16))
SPAN_ID = bytes(range(8))
_IDS = {"traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id"}


def otlp_json(message, *, original_names=False, enum_names=False):
    """The message in OTLP's JSON: protobuf's mapping, but ids in hex."""
    tree = MessageToDict(message, preserving_proto_field_name=original_names, use_integers_for_enums=not enum_names)
    return json.dumps(_with_hex_ids(tree)).encode()


def _with_hex_ids(tree):
    if isinstance(tree, dict):
        return {
            key: base64.b64decode(value).hex() if key in _IDS else _with_hex_ids(value) for key, value in tree.items()
        }
    return [_with_hex_ids(value) for value in tree] if isinstance(tree, list) else tree


def fill_resource(resource, service="checkout"):
    resource.attributes.add(key="service.name").value.string_value = service
    resource.attributes.add(key="service.instance.id").value.string_value = "one"


def traces(count=1, service="checkout", start=NOW):
    """Client spans of one service, a millisecond apart."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    fill_resource(group.resource, service)
    scoped = group.scope_spans.add()
    scoped.scope.name, scoped.scope.version = "shopscope", "1.0"
    for number in range(count):
        span = scoped.spans.add(trace_id=TRACE_ID, span_id=(number + 1).to_bytes(8), parent_span_id=SPAN_ID)
        span.name, span.kind, span.trace_state = "POST /payments", 3, "a=b"
        span.start_time_unix_nano = start + number * 1_000_000
        span.end_time_unix_nano = span.start_time_unix_nano + 5_000_000
        for key, text in (("shopscope.journey", "checkout"), ("peer.service", "payment"), ("empty", "")):
            span.attributes.add(key=key).value.string_value = text
        span.attributes.add(key="shopscope.protection").value.string_value = "breaker,retry"
        span.attributes.add(key="http.response.status_code").value.int_value = 200
        span.attributes.add(key="ratio").value.double_value = 0.5
        span.status.code, span.status.message = 2, "declined"
        event = span.events.add(time_unix_nano=span.start_time_unix_nano, name="exception")
        event.attributes.add(key="exception.type").value.string_value = "Declined"
        span.links.add(trace_id=TRACE_ID, span_id=SPAN_ID, trace_state="c=d")
    return request


def metrics():
    """One point of each kind, with exemplars."""
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    fill_resource(group.resource)
    scoped = group.scope_metrics.add()
    times = {"time_unix_nano": NOW, "start_time_unix_nano": NOW - 10**9}
    scoped.metrics.add(name="pool.use", unit="1").gauge.data_points.add(as_double=0.25, **times)
    total = scoped.metrics.add(name="orders").sum
    total.is_monotonic, total.aggregation_temporality = True, 2
    point = total.data_points.add(as_int=7, **times)
    for key in ("b", "a"):
        point.attributes.add(key=key).value.string_value = key
    histogram = scoped.metrics.add(name="duration", unit="s").histogram
    histogram.aggregation_temporality = 2
    point = histogram.data_points.add(count=3, sum=0.6, min=0.1, max=0.3, **times)
    point.explicit_bounds.extend([0.1, 0.2])
    point.bucket_counts.extend([1, 1, 1])
    point.exemplars.add(as_double=0.3, time_unix_nano=NOW, trace_id=TRACE_ID, span_id=SPAN_ID)
    exponential = scoped.metrics.add(name="size").exponential_histogram
    exponential.aggregation_temporality = 1
    point = exponential.data_points.add(count=4, sum=10.0, scale=2, zero_count=1, **times)
    point.positive.offset = -3
    point.positive.bucket_counts.extend([2, 1])
    summary = scoped.metrics.add(name="age").summary.data_points.add(count=2, sum=3.0, **times)
    summary.quantile_values.add(quantile=0.5, value=1.0)
    return request


def logs():
    """A text record with ids, and a structured one with little else."""
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    fill_resource(group.resource)
    scoped = group.scope_logs.add()
    record = scoped.log_records.add(time_unix_nano=NOW, severity_number=13, trace_id=TRACE_ID, span_id=SPAN_ID)
    record.body.string_value = "stock is low"
    record.attributes.add(key="sku").value.string_value = "A-1"
    record = scoped.log_records.add(observed_time_unix_nano=NOW + 1, severity_text="oops", trace_id=b"short")
    record.event_name = "order.placed"
    record.body.kvlist_value.values.add(key="total").value.double_value = 62.4
    return request


class Otlp:
    """The builders above, as one fixture: tests are collected by path and cannot import each other."""

    NOW = NOW
    TRACE_ID = TRACE_ID.hex()
    SPAN_ID = SPAN_ID.hex()
    traces = staticmethod(traces)
    metrics = staticmethod(metrics)
    logs = staticmethod(logs)
    json = staticmethod(otlp_json)


@pytest.fixture(scope="session")
def otlp():
    return Otlp
