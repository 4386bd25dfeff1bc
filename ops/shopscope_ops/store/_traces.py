"""OTLP spans into the span table. The hot path of the engine: about 9 µs a span, most of it reading attributes."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from shopscope_ops.store._decoded import Decoded, Rejections, table_of
from shopscope_ops.store._values import Origin, attributes_of, json_of, origin_of, scope_name, text_of

__all__ = ["MAX_NANO", "decode"]

MAX_NANO: Final = 2**63 - 1
"""OTLP's times are unsigned, the table's are signed: later than the year 2262 is refused."""

_TRACE_ID_BYTES: Final = 16
_SPAN_ID_BYTES: Final = 8
_NO_TRACE: Final = bytes(_TRACE_ID_BYTES)
_NO_SPAN: Final = bytes(_SPAN_ID_BYTES)
_KINDS: Final = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}
_STATUSES: Final = {0: "unset", 1: "ok", 2: "error"}
_CALLS: Final = frozenset({"client", "producer"})
# Best first: what the SDK or a user declared, then the stable conventions, then those of older instrumentations.
_PEER_DECLARED: Final = ("peer.service", "service.peer.name")
_PEER_KEYS: Final = (
    *_PEER_DECLARED,
    "server.address",
    "net.peer.name",
    "db.namespace",
    "db.name",
    "db.system.name",
    "db.system",
    "messaging.destination.name",
)


def decode(request: ExportTraceServiceRequest) -> Decoded:
    """Valid spans as rows; others are refused one by one."""
    rows: list[tuple[Any, ...]] = []
    rejections = Rejections()
    for group in request.resource_spans:
        origin = origin_of(group.resource)
        for scoped in group.scope_spans:
            _read_spans(scoped.spans, origin, scope_name(scoped.scope), rows, rejections)
    return Decoded({"spans": table_of("spans", rows)}, len(rows), rejections.count, rejections.message)


def _read_spans(
    spans: Iterable[Span], origin: Origin, scope: str, rows: list[tuple[Any, ...]], rejections: Rejections
) -> None:
    service, instance, resource = origin.service, origin.instance, origin.resource
    for span in spans:
        trace_id, span_id, parent = span.trace_id, span.span_id, span.parent_span_id
        start, end = span.start_time_unix_nano, span.end_time_unix_nano
        if not (
            len(trace_id) == _TRACE_ID_BYTES
            and len(span_id) == _SPAN_ID_BYTES
            and len(parent) in (0, _SPAN_ID_BYTES)
            and trace_id != _NO_TRACE
            and span_id != _NO_SPAN
            and 0 < start <= end <= MAX_NANO
        ):
            rejections.add(_fault(span))
            continue
        attributes = attributes_of(span.attributes)
        kind = _KINDS.get(span.kind, "")
        status = span.status
        rows.append(
            (
                trace_id.hex(),
                span_id.hex(),
                "" if parent == _NO_SPAN else parent.hex(),
                service,
                instance,
                span.name,
                kind,
                _peer(attributes, kind),
                text_of(attributes.get("shopscope.journey", "")),
                start,
                end - start,
                _STATUSES.get(status.code, ""),
                status.message,
                text_of(attributes.get("shopscope.protection", "")),
                json_of(attributes),
                json_of([_event(event) for event in span.events]),
                json_of([_link(link) for link in span.links]),
                scope,
                span.trace_state,
                resource,
            )
        )


def _peer(attributes: Mapping[str, Any], kind: str) -> str:
    """Whom a call goes to; on a server or internal span ``server.address`` is the service itself and so no peer."""
    for key in _PEER_KEYS if kind in _CALLS else _PEER_DECLARED:
        value = attributes.get(key)
        if value:
            return text_of(value)
    return ""


def _event(event: Span.Event) -> dict[str, Any]:
    return {
        "time_unix_nano": event.time_unix_nano,
        "name": event.name,
        "attributes": attributes_of(event.attributes),
    }


def _link(link: Span.Link) -> dict[str, Any]:
    return {
        "trace_id": link.trace_id.hex(),
        "span_id": link.span_id.hex(),
        "trace_state": link.trace_state,
        "attributes": attributes_of(link.attributes),
    }


def _fault(span: Span) -> str:
    """Why a span is refused: field, rule, value."""
    start, end = span.start_time_unix_nano, span.end_time_unix_nano
    for field, size, zero in (("trace_id", _TRACE_ID_BYTES, _NO_TRACE), ("span_id", _SPAN_ID_BYTES, _NO_SPAN)):
        value = getattr(span, field)
        if len(value) != size:
            return f"span {span.name!r}: {field} must be {size} bytes: {len(value)} bytes"
        if value == zero:
            return f"span {span.name!r}: {field} must not be all zeros: {value.hex()}"
    if len(span.parent_span_id) not in (0, _SPAN_ID_BYTES):
        return (
            f"span {span.name!r}: parent_span_id must be empty or {_SPAN_ID_BYTES} bytes: "
            f"{len(span.parent_span_id)} bytes"
        )
    if start == 0:
        return f"span {span.name!r}: start_time_unix_nano must be set: 0"
    if end < start:
        return f"span {span.name!r}: end_time_unix_nano must not be before start_time_unix_nano {start}: {end}"
    return f"span {span.name!r}: end_time_unix_nano must be at most {MAX_NANO}: {end}"
