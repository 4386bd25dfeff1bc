"""OTLP messages that have a text in every place that has texts."""

import hashlib
from collections.abc import Sequence
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status


def value(content: Any) -> AnyValue:
    """A Python value as OTLP's."""
    found = AnyValue()
    if isinstance(content, dict):
        found.kvlist_value.values.extend(KeyValue(key=key, value=value(one)) for key, one in content.items())
    elif isinstance(content, list):
        found.array_value.values.extend(map(value, content))
    elif isinstance(content, bool):
        found.bool_value = content
    else:
        names = {str: "string_value", int: "int_value", float: "double_value", bytes: "bytes_value"}
        setattr(found, names[type(content)], content)
    return found


def attributes(**content: Any) -> list[KeyValue]:
    """Attributes of anything; two underscores in a key are a dot."""
    return [KeyValue(key=key.replace("__", "."), value=value(one)) for key, one in content.items()]


def everywhere(text: str) -> dict[str, Any]:
    """The text alone, in a list and in a map."""
    return {"note": text, "list": [text, 1], "map": {"inner": {"note": text}}}


def spans(texts: Sequence[str]) -> ExportTraceServiceRequest:
    """A span a text, which has it in every place but attributes of links: no processor of the collector sees those."""
    request = ExportTraceServiceRequest()
    for number, text in enumerate(texts):
        resource = request.resource_spans.add()
        resource.resource.attributes.extend(attributes(service__name="test", **everywhere(text)))
        scope = resource.scope_spans.add()
        scope.scope.name = scope.scope.version = scope.schema_url = resource.schema_url = text
        scope.scope.attributes.extend(attributes(**everywhere(text)))
        span = span_of(number, name=text, **everywhere(text))
        span.status.message = span.trace_state = text
        event = span.events.add(name=text)
        event.attributes.extend(attributes(**everywhere(text)))
        scope.spans.append(span)
    return request


def span_of(number: int, name: str = "work", milliseconds: int = 1, *, failed: bool = False, **tags: Any) -> Span:
    """A root span of a trace of its own."""
    start = 1_764_000_000_000_000_000
    return Span(
        trace_id=trace_id_of(number),
        span_id=(number + 1).to_bytes(8, "big"),
        name=name,
        kind=Span.SPAN_KIND_SERVER,
        start_time_unix_nano=start,
        end_time_unix_nano=start + milliseconds * 1_000_000,
        status=Status(code=Status.STATUS_CODE_ERROR if failed else Status.STATUS_CODE_UNSET),
        attributes=attributes(**tags),
    )


def trace_id_of(number: int) -> bytes:
    """An id for a number, as random as ids are: samplers draw by it."""
    return hashlib.sha256(number.to_bytes(8, "big")).digest()[:16]


def request_of(span_list: Sequence[Span], service: str = "storefront") -> ExportTraceServiceRequest:
    """Spans of one service."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.extend(attributes(service__name=service))
    resource.scope_spans.add().spans.extend(span_list)
    return request


def metrics(texts: Sequence[str]) -> ExportMetricsServiceRequest:
    """A metric of each kind a text, which has it in every place."""
    request = ExportMetricsServiceRequest()
    for text in texts:
        resource = request.resource_metrics.add()
        resource.resource.attributes.extend(attributes(service__name="test", **everywhere(text)))
        scope = resource.scope_metrics.add()
        scope.scope.name = scope.scope.version = scope.schema_url = resource.schema_url = text
        for kind in ("gauge", "sum", "histogram", "exponential_histogram", "summary"):
            metric = scope.metrics.add(name=text, description=text, unit=text)
            point = getattr(metric, kind).data_points.add()
            point.attributes.extend(attributes(**everywhere(text)))
            if kind != "summary":
                point.exemplars.add(trace_id=bytes(15) + b"1").filtered_attributes.extend(
                    attributes(**everywhere(text))
                )
    return request


def logs(texts: Sequence[str]) -> ExportLogsServiceRequest:
    """Records for a text, which have it in every place, and in bodies of every type."""
    request = ExportLogsServiceRequest()
    for text in texts:
        resource = request.resource_logs.add()
        resource.resource.attributes.extend(attributes(service__name="test", **everywhere(text)))
        scope = resource.scope_logs.add()
        scope.scope.name = scope.scope.version = scope.schema_url = resource.schema_url = text
        for body in (text, [text], everywhere(text), text.encode()):
            record = scope.log_records.add(severity_text=text, event_name=text, body=value(body))
            record.attributes.extend(attributes(**everywhere(text)))
    return request
