"""OTLP requests, protobuf or JSON, into Arrow tables of ``store.schema``. Needs no database: file sources use it too.

A body that cannot be read raises ``DecodeError``. A readable body with wrong rows gives the good rows, and the count
and reason of the others, which is what OTLP calls a partial success.
"""

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from shopscope_ops.store import _logs, _metrics, _traces
from shopscope_ops.store._decoded import Decoded
from shopscope_ops.store._wire import JSON, PROTOBUF, DecodeError, parse

__all__ = ["JSON", "PROTOBUF", "DecodeError", "Decoded", "decode_logs", "decode_metrics", "decode_traces"]


def decode_traces(body: bytes, content_type: str = PROTOBUF) -> Decoded:
    """The spans of an ``ExportTraceServiceRequest`` (in JSON: also of one ``TracesData`` line of a file).

    Args:
        body: the uncompressed body.
        content_type: ``PROTOBUF`` or ``JSON``.

    Raises:
        DecodeError: the body is malformed.
    """
    return _traces.decode(parse(body, content_type, ExportTraceServiceRequest))


def decode_metrics(body: bytes, content_type: str = PROTOBUF) -> Decoded:
    """The points and exemplars of an ``ExportMetricsServiceRequest``.

    Args:
        body: the uncompressed body.
        content_type: ``PROTOBUF`` or ``JSON``.

    Raises:
        DecodeError: the body is malformed.
    """
    return _metrics.decode(parse(body, content_type, ExportMetricsServiceRequest))


def decode_logs(body: bytes, content_type: str = PROTOBUF) -> Decoded:
    """The records of an ``ExportLogsServiceRequest``.

    Args:
        body: the uncompressed body.
        content_type: ``PROTOBUF`` or ``JSON``.

    Raises:
        DecodeError: the body is malformed.
    """
    return _logs.decode(parse(body, content_type, ExportLogsServiceRequest))
