"""OTLP log records into the log table."""

import time
from typing import Any, Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from shopscope_ops.store._decoded import Decoded, Rejections, table_of
from shopscope_ops.store._traces import MAX_NANO
from shopscope_ops.store._values import Origin, attributes_of, json_of, origin_of, plain, scope_name, text_of

__all__ = ["decode", "id_text"]

_SEVERITIES: Final = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
_STEPS: Final = 4
"""OTLP numbers four steps of each severity: 9 to 12 are INFO to INFO4."""


def decode(request: ExportLogsServiceRequest) -> Decoded:
    """Records as rows. One without any time gets the time of its arrival, as the specification advises."""
    rows: list[tuple[Any, ...]] = []
    rejections = Rejections()
    arrival = time.time_ns()
    for group in request.resource_logs:
        origin = origin_of(group.resource)
        for scoped in group.scope_logs:
            scope = scope_name(scoped.scope)
            for record in scoped.log_records:
                when = record.time_unix_nano or record.observed_time_unix_nano or arrival
                if when > MAX_NANO:
                    rejections.add(f"log record: time_unix_nano must be at most {MAX_NANO}: {when}")
                    continue
                rows.append(_row(record, when, origin, scope))
    return Decoded({"logs": table_of("logs", rows)}, len(rows), rejections.count, rejections.message)


def _row(record: LogRecord, when: int, origin: Origin, scope: str) -> tuple[Any, ...]:
    attributes = attributes_of(record.attributes)
    if record.event_name:
        attributes.setdefault("event.name", record.event_name)
    return (
        when,
        origin.service,
        origin.instance,
        record.severity_text or _severity(record.severity_number),
        record.severity_number,
        text_of(plain(record.body)),
        id_text(record.trace_id, 16),
        id_text(record.span_id, 8),
        json_of(attributes),
        origin.resource,
        scope,
    )


def id_text(identifier: bytes, size: int) -> str:
    """Hex of a trace or span id; a wrong one means "not part of a trace", as the specification says."""
    return identifier.hex() if len(identifier) == size and any(identifier) else ""


def _severity(number: int) -> str:
    if not 1 <= number <= _STEPS * len(_SEVERITIES):
        return ""
    name, step = _SEVERITIES[(number - 1) // _STEPS], (number - 1) % _STEPS
    return f"{name}{step + 1}" if step else name
