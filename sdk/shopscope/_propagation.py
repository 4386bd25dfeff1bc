"""W3C trace context and baggage, with a short way for what our own services send.

Source: https://www.w3.org/TR/trace-context/ and https://www.w3.org/TR/baggage/
"""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from opentelemetry import trace
from opentelemetry.baggage import get_all
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shopscope._span import JOURNEY_KEY, SAMPLED, Span

_TRACEPARENT = re.compile(rb"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
# Dictionaries, because the API takes nothing else for baggage; nobody changes them: the API copies before it does.
_NO_BAGGAGE: dict[str, object] = {}
_NO_SPAN = trace.INVALID_SPAN
_MAX_CACHED_BAGGAGE = 1024
_MAX_CACHED_LENGTH = 256

_parsed_baggage: dict[bytes, dict[str, object]] = {}
_trace_context = TraceContextTextMapPropagator()
_w3c_baggage = W3CBaggagePropagator()


def parent_of(traceparent: bytes, tracestate: Iterable[bytes]) -> trace.Span:
    """The remote parent that the headers name, or the invalid span."""
    match = _TRACEPARENT.fullmatch(traceparent)
    if match is None or tracestate:
        # A future version, a tracestate, or rubbish: the API's propagator knows what to do.
        carrier = {"traceparent": traceparent.decode("latin-1"), "tracestate": b",".join(tracestate).decode("latin-1")}
        context = _trace_context.extract({key: value for key, value in carrier.items() if value}, Context())
        return trace.get_current_span(context)
    trace_id, span_id = int(match[1], 16), int(match[2], 16)
    if not trace_id or not span_id:
        return _NO_SPAN
    flags = TraceFlags(int(match[3], 16))
    return NonRecordingSpan(SpanContext(trace_id, span_id, True, flags))  # noqa: FBT003 (is_remote)


def baggage_of(header: bytes) -> dict[str, object]:
    """Entries of a ``baggage`` header; short headers are parsed once."""
    if not header:
        return _NO_BAGGAGE
    entries = _parsed_baggage.get(header)
    if entries is None:
        context = _w3c_baggage.extract({"baggage": header.decode("latin-1")}, Context())
        entries = dict(get_all(context))
        if len(header) <= _MAX_CACHED_LENGTH and len(_parsed_baggage) < _MAX_CACHED_BAGGAGE:
            _parsed_baggage[header] = entries
    return entries


def outgoing_headers(span: trace.Span, context: Context | None = None) -> dict[str, str]:
    """Headers that carry ``span`` and the baggage of ``context`` (the current one) to the next service."""
    state: TraceState | None
    if isinstance(span, Span):
        headers = {"traceparent": f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.flags:02x}"}
        state = span.trace_state
    else:
        identity = span.get_span_context()
        if not identity.is_valid:
            return _baggage_header(context)
        flags = identity.trace_flags & SAMPLED
        headers = {"traceparent": f"00-{identity.trace_id:032x}-{identity.span_id:016x}-{flags:02x}"}
        state = identity.trace_state
    if state:
        headers["tracestate"] = state.to_header()
    return headers | _baggage_header(context)


def _baggage_header(context: Context | None) -> dict[str, str]:
    entries = get_all(context)
    if not entries:
        return {}
    if len(entries) == 1 and isinstance(journey := entries.get(JOURNEY_KEY), str):
        return {"baggage": f"{JOURNEY_KEY}={quote(journey)}"}
    carrier: dict[str, Any] = {}
    _w3c_baggage.inject(carrier, context)
    return carrier
