"""W3C trace context and baggage, with a short way for what our own services send.

Source: https://www.w3.org/TR/trace-context/ and https://www.w3.org/TR/baggage/
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from opentelemetry import trace
from opentelemetry.baggage import _BAGGAGE_KEY, get_all
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shopscope._extras import KNOWN_FLAGS
from shopscope._redaction._baggage import without_secrets
from shopscope._redaction._privacy import KNOWN_CLEAN
from shopscope._tracing._fields import JOURNEY_KEY
from shopscope._tracing._propagators import Headers
from shopscope._tracing._span import Span

# Ids of zeros alone are none: https://www.w3.org/TR/trace-context/#trace-id
TRACEPARENT = re.compile(rb"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")
# Dictionaries, because the API takes nothing else for baggage; nobody changes them: the API copies before it does.
#: Of a parent that records, by their two digits.
SAMPLED_FLAGS = {b"%02x" % flags: TraceFlags(flags & KNOWN_FLAGS) for flags in range(1, 256, 2)}
_NO_BAGGAGE: dict[str, object] = {}
_MAX_CACHED_BAGGAGE = 1024
_MAX_CACHED_LENGTH = 256

#: What ``OTEL_PROPAGATORS`` puts in the place of the W3C's two; chosen by ``init``.
foreign: TextMapPropagator | None = None
_parsed_baggage: dict[bytes, dict[str, object]] = {}
# Baggage that holds a journey alone, by the journey.
_journey_headers: dict[str, tuple[bytes, bytes]] = {}
_W3C_HEADERS = frozenset({b"traceparent", b"tracestate", b"baggage"})
_LISTS = frozenset({"tracestate", "baggage"})
_getter = Headers()
_trace_context = TraceContextTextMapPropagator()
_w3c_baggage = W3CBaggagePropagator()


def as_w3c(headers: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Headers as if the caller spoke W3C trace context and baggage, whatever ``foreign`` reads in them."""
    carrier: dict[str, list[str]] = {}
    for raw_name, value in headers:
        carrier.setdefault(raw_name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    # Of these alone, several headers are one list.
    for name in _LISTS & carrier.keys():
        carrier[name] = [",".join(carrier[name])]
    context = Context() if foreign is None else foreign.extract(carrier, Context(), _getter)
    said: dict[str, str] = {}
    _trace_context.inject(said, context)
    _w3c_baggage.inject(said, context)
    kept = [header for header in headers if header[0].lower() not in _W3C_HEADERS]
    return kept + [(name.encode("latin-1"), value.encode("latin-1")) for name, value in said.items()]


def parent_of(traceparent: bytes, tracestate: Iterable[bytes]) -> trace.Span:
    """The remote parent that the headers name, or the invalid span."""
    match = TRACEPARENT.fullmatch(traceparent)
    if match is None or tracestate:
        # A future version, a tracestate, or rubbish: the API's propagator knows what to do.
        carrier = {"traceparent": traceparent.decode("latin-1"), "tracestate": b",".join(tracestate).decode("latin-1")}
        context = _trace_context.extract({key: value for key, value in carrier.items() if value}, Context())
        return trace.get_current_span(context)
    trace_id, span_id = int(match[1], 16), int(match[2], 16)
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
    if foreign is not None:
        carrier: dict[str, str] = {}
        foreign.inject(carrier, trace.set_span_in_context(span, context))
        return carrier
    state: TraceState | None
    if isinstance(span, Span):
        headers = {"traceparent": f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.flags:02x}"}
        state = span.trace_state
    else:
        identity = span.get_span_context()
        if not identity.is_valid:
            return _baggage_header(context)
        flags = identity.trace_flags & KNOWN_FLAGS
        headers = {"traceparent": f"00-{identity.trace_id:032x}-{identity.span_id:016x}-{flags:02x}"}
        state = identity.trace_state
    if state:
        headers["tracestate"] = state.to_header()
    return headers | _baggage_header(context)


def call_headers(trace_id: int, span_id: int, flags: int, context: Context) -> list[tuple[bytes, bytes]]:
    """The same for a call that is no span: without a tracestate, and as they go over the wire."""
    if foreign is not None:
        identity = SpanContext(trace_id, span_id, is_remote=False, trace_flags=TraceFlags(flags))
        return encoded(outgoing_headers(NonRecordingSpan(identity), context))
    headers = [(b"traceparent", b"00-%032x-%016x-%02x" % (trace_id, span_id, flags))]
    entries: Any = context.get(_BAGGAGE_KEY)
    if not entries:
        return headers
    if len(entries) == 1 and (journey := entries.get(JOURNEY_KEY)) in _journey_headers and journey in KNOWN_CLEAN:
        return [*headers, _journey_headers[journey]]
    baggage = encoded(_baggage_header(context))
    if len(entries) == 1 and isinstance(journey, str) and len(_journey_headers) < _MAX_CACHED_BAGGAGE and baggage:
        _journey_headers[journey] = baggage[0]
    return headers + baggage


def encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Headers as they go over the wire."""
    return [(name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()]


def _baggage_header(context: Context | None) -> dict[str, str]:
    entries = get_all(context)
    if not entries:
        return {}
    if len(entries) == 1 and isinstance(journey := entries.get(JOURNEY_KEY), str) and journey in KNOWN_CLEAN:
        return {"baggage": f"{JOURNEY_KEY}={quote(journey)}"}
    carrier: dict[str, Any] = {}
    _w3c_baggage.inject(carrier, without_secrets(context))
    return carrier
