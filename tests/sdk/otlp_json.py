"""OTLP/JSON read by protobuf's own parser."""

import base64
import json
from typing import Any

from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

REQUESTS = {
    "traces": ExportTraceServiceRequest,
    "metrics": ExportMetricsServiceRequest,
    "logs": ExportLogsServiceRequest,
}
_IDS = ("traceId", "spanId", "parentSpanId")


def with_base64_ids(value: Any) -> Any:
    """OTLP/JSON as protobuf's own JSON has it: OTLP writes ids in hexadecimal, protobuf in base64."""
    if isinstance(value, list):
        return [with_base64_ids(item) for item in value]
    if isinstance(value, dict):
        return {
            key: base64.b64encode(bytes.fromhex(item)).decode() if key in _IDS else with_base64_ids(item)
            for key, item in value.items()
        }
    return value


def parsed(signal: str, line: str | bytes) -> Any:
    """One request."""
    return ParseDict(with_base64_ids(json.loads(line)), REQUESTS[signal]())
