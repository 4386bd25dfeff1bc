"""Our tracer behind the OpenTelemetry API: user code and every instrumentation package work with it unchanged."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, TraceFlags

from shopscope._export import _wire as wire
from shopscope._export._worker import Batch
from shopscope._extras import KNOWN_FLAGS
from shopscope._tracing._context import SPAN_KEY, current
from shopscope._tracing._current import CurrentSpan
from shopscope._tracing._custom import Custom, Request, describe, journey_of, start_custom, start_own
from shopscope._tracing._ids import new_span_id, new_trace_id, random_bits
from shopscope._tracing._measured import measured
from shopscope._tracing._readable import InstrumentationScope
from shopscope._tracing._sampling import ID_BITS
from shopscope._tracing._span import SAMPLED_RANDOM, Finish, Span, text_of

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.util.types import AnyValue, Attributes

    from shopscope._tracing._limits import SpanLimits
    from shopscope._tracing._provider import TracerProvider

__all__ = [
    "SPAN_KEY",
    "Tracer",
    "encode_scope",
    "frame_spans",
    "journey_of",
    "new_span_id",
    "new_trace_id",
]

_KINDS = tuple(SpanKind)
_RANDOM = TraceFlags(TraceFlags.RANDOM_TRACE_ID)

_RESOURCE_SPANS = _SCOPE = wire.tag(1, wire.LENGTH_DELIMITED)
_SCOPE_SPANS = _SPANS = wire.tag(2, wire.LENGTH_DELIMITED)
_SCHEMA_URL = wire.tag(3, wire.LENGTH_DELIMITED)
_SCOPE_NAME, _SCOPE_VERSION, _SCOPE_ATTRIBUTE = (wire.tag(field, wire.LENGTH_DELIMITED) for field in (1, 2, 3))

_bits = random_bits


def encode_scope(name: str, version: str = "", attributes: "Mapping[str, AnyValue] | None" = None) -> bytes:
    """The ``scope`` field of ScopeSpans, ScopeMetrics and ScopeLogs."""
    body = wire.message(_SCOPE_NAME, wire.utf8(name or ""))
    if version:
        body += wire.message(_SCOPE_VERSION, wire.utf8(version))
    return wire.message(_SCOPE, body + wire.attributes(_SCOPE_ATTRIBUTE, attributes or {}))


class Tracer(trace.Tracer):
    """Starts spans of one instrumentation scope; what they share, they find here."""

    __slots__ = ("custom", "finish", "instrumentation_scope", "limits", "provider", "root_bound", "scope")

    def __init__(self, provider: "TracerProvider", instrumentation_scope: InstrumentationScope) -> None:
        self.provider = provider
        self.instrumentation_scope = instrumentation_scope
        what = instrumentation_scope
        #: The ``scope`` and ``schema_url`` fields of ScopeSpans.
        self.scope = encode_scope(what.name, what.version, what.attributes)
        if what.schema_url:
            self.scope += wire.message(_SCHEMA_URL, wire.utf8(what.schema_url))
        self.follow()

    def follow(self) -> None:
        """Take over what the provider has been told."""
        self.finish: Finish = self.provider.finish
        self.limits: SpanLimits = self.provider.limits
        self.custom: Custom | None = self.provider.custom
        self.root_bound = self.provider.root_bound

    def start_span(
        self,
        name: str,
        context: "Context | None" = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: "Attributes" = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,  # noqa: FBT001,FBT002 (signature of the OpenTelemetry API)
        set_status_on_exception: bool = True,  # noqa: FBT001,FBT002 (same)
    ) -> trace.Span:
        """Start a span whose parent is the current one of ``context``, if the sampler wants it."""
        if type(name) is not str:
            name = text_of(name)
        parent = (current() if context is None else context).get(SPAN_KEY)
        span: trace.Span
        if type(parent) is Span and self.custom is None:
            # Most spans have a parent in the same service.
            trace_id, flags, state = parent.trace_id, parent.flags, parent.trace_state
            number = kind._value_  # ``value`` is a property written in Python
            span = Span(name, number, trace_id, _bits(64) or 1, parent.span_id, self, flags, parent.journey, state)
            if attributes or links or start_time is not None:
                describe(span, attributes, links, start_time)
        else:
            above = parent if isinstance(parent, trace.Span) else trace.INVALID_SPAN
            span = self._start_other(Request(name, kind, above, context, attributes, links, start_time))
        if not (record_exception and set_status_on_exception) and isinstance(span, Span):
            span.choose_exit(records=record_exception, sets_status=set_status_on_exception)
        return span

    def _start_other(self, request: Request) -> trace.Span:
        if self.custom is not None:
            span = start_custom(self, self.custom, request)
        else:
            span = self.start(request.name, request.kind.value, request.parent, request.context)
            if isinstance(span, Span):
                describe(span, request.attributes, request.links, request.start_time)
        return measured(self, span, request) if type(span) is NonRecordingSpan else span

    def start(
        self,
        name: str,
        kind: int,
        parent: trace.Span,
        context: "Context | None" = None,
        known: "Mapping[str, AnyValue] | None" = None,
    ) -> trace.Span:
        """The short way in for our own instrumentation: parent at hand, samplers that follow the parent inline.

        What is ``known`` serves samplers and processors; without any of the service's own it is not set.
        """
        if self.custom is not None:
            return start_own(self, self.custom, Request(name, _KINDS[kind], parent, context, known))
        if type(parent) is Span:
            trace_id, flags, state = parent.trace_id, parent.flags, parent.trace_state
            return Span(name, kind, trace_id, _bits(64) or 1, parent.span_id, self, flags, parent.journey, state)
        above = parent.get_span_context()
        if not above.is_valid:
            trace_id = _bits(128) or 1
            if trace_id & ID_BITS >= self.root_bound:
                return NonRecordingSpan(SpanContext(trace_id, new_span_id(), False, _RANDOM))  # noqa: FBT003
            return Span(name, kind, trace_id, new_span_id(), 0, self, SAMPLED_RANDOM, journey_of(context))
        flags = TraceFlags(above.trace_flags & KNOWN_FLAGS)
        if not flags & TraceFlags.SAMPLED:
            return NonRecordingSpan(
                SpanContext(above.trace_id, new_span_id(), False, flags, above.trace_state)  # noqa: FBT003
            )
        journey, state = journey_of(context), above.trace_state
        return Span(
            name, kind, above.trace_id, new_span_id(), above.span_id, self, flags, journey, state, above.is_remote
        )

    # The API decorates this with a context manager of its own; ours is a class because that costs a third.
    def start_as_current_span(  # type: ignore[override]
        self,
        name: str,
        context: "Context | None" = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: "Attributes" = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,  # noqa: FBT001,FBT002 (signature of the OpenTelemetry API)
        set_status_on_exception: bool = True,  # noqa: FBT001,FBT002 (same)
        end_on_exit: bool = True,  # noqa: FBT001,FBT002 (same)
    ) -> "CurrentSpan":
        """A context manager, or decorator, that starts a span and makes it the current one."""
        arguments = name, context, kind, attributes, links, start_time
        return CurrentSpan(self.start_span, arguments, record_exception, set_status_on_exception, end_on_exit)


def frame_spans(resource: bytes, batch: Batch) -> bytes:
    """An ``ExportTraceServiceRequest`` (and, having the same fields, an ``ExportLogsServiceRequest``)."""
    # Joined once, and without a line of Python for each record: this runs while requests wait for the interpreter.
    parts, size = [resource], len(resource)
    for scope, bodies in batch.items():
        prefixes = [_prefixes[len(body)] for body in bodies]
        length = len(scope) + sum(map(len, prefixes)) + sum(map(len, bodies))
        head = _SCOPE_SPANS + wire.varint(length)
        parts += (head, scope, *chain.from_iterable(zip(prefixes, bodies, strict=True)))
        size += len(head) + length
    return b"".join((_RESOURCE_SPANS, wire.varint(size), *parts))


class _Prefixes(dict[int, bytes]):
    """What stands before a record, by its length."""

    def __missing__(self, size: int) -> bytes:
        prefix = _SPANS + wire.varint(size)
        if size < _LONGEST_KNOWN:
            self[size] = prefix
        return prefix


_LONGEST_KNOWN = 2048
_prefixes = _Prefixes()
