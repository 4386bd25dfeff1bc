"""Our tracer behind the OpenTelemetry API: user code and every instrumentation package work with it unchanged."""

import functools
import inspect
import os
import random
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.baggage import get_baggage
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.propagation import _SPAN_KEY, get_current_span

from shopscope import _wire as wire
from shopscope._span import JOURNEY_KEY, Finish, Span
from shopscope._worker import Record

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.util.types import Attributes

SPAN_KEY = _SPAN_KEY
_KNOWN_FLAGS = TraceFlags.SAMPLED | 2  # and "random trace id"

_RESOURCE_SPANS = _SCOPE = wire.tag(1, wire.LENGTH_DELIMITED)
_SCOPE_SPANS = _SPANS = wire.tag(2, wire.LENGTH_DELIMITED)
_SCHEMA_URL = wire.tag(3, wire.LENGTH_DELIMITED)
_SCOPE_NAME, _SCOPE_VERSION, _SCOPE_ATTRIBUTE = (wire.tag(field, wire.LENGTH_DELIMITED) for field in (1, 2, 3))

# A generator of our own: a service that seeds `random` must not repeat trace ids.
_random = random.Random()  # noqa: S311 (ids, not secrets)
os.register_at_fork(after_in_child=_random.seed)
_bits = _random.getrandbits


def new_trace_id() -> int:
    """A random non-zero 128-bit id."""
    return _bits(128) or 1


def new_span_id() -> int:
    """A random non-zero 64-bit id."""
    return _bits(64) or 1


class TracerProvider(trace.TracerProvider):
    """Hands out tracers whose spans end in ``finish``."""

    def __init__(self, finish: Finish) -> None:
        self._finish = finish
        self._tracers: dict[tuple[Any, ...], Tracer] = {}

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: "Attributes" = None,
    ) -> "Tracer":
        """A tracer for an instrumentation scope."""
        key = (instrumenting_module_name, instrumenting_library_version, schema_url, repr(attributes))
        tracer = self._tracers.get(key)
        if tracer is None:
            scope = encode_scope(instrumenting_module_name, instrumenting_library_version or "", attributes)
            if schema_url:
                scope += wire.message(_SCHEMA_URL, wire.utf8(schema_url))
            tracer = self._tracers[key] = Tracer(scope, self._finish)
        return tracer


def encode_scope(name: str, version: str = "", attributes: "Attributes" = None) -> bytes:
    """The ``scope`` field of ScopeSpans, ScopeMetrics and ScopeLogs."""
    body = wire.message(_SCOPE_NAME, wire.utf8(name or ""))
    if version:
        body += wire.message(_SCOPE_VERSION, wire.utf8(version))
    return wire.message(_SCOPE, body + wire.attributes(_SCOPE_ATTRIBUTE, attributes or {}))


class Tracer(trace.Tracer):
    """Starts spans of one instrumentation scope."""

    __slots__ = ("_finish", "scope")

    def __init__(self, scope: bytes, finish: Finish) -> None:
        self.scope = scope
        self._finish = finish

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
        """Start a span whose parent is the current one of ``context``; a parent that is not sampled is followed."""
        span = self.start(name, kind.value, get_current_span(context), context)
        if isinstance(span, Span):
            if attributes:
                span.set_attributes(attributes)
            for link in links or ():
                span.add_link(link.context, link.attributes)
            if start_time is not None:
                span.start_unix_nano = start_time
            if not (record_exception and set_status_on_exception):
                span.choose_exit(records=record_exception, sets_status=set_status_on_exception)
        return span

    def start(self, name: str, kind: int, parent: trace.Span, context: "Context | None" = None) -> trace.Span:
        """The short way in for our own instrumentation: no attributes, parent at hand."""
        if type(parent) is Span:
            span = Span(name, kind, parent.trace_id, new_span_id(), parent.span_id, self.scope, self._finish)
            span.flags = parent.flags
            span.journey = parent.journey
            span.trace_state = parent.trace_state
            return span
        above = parent.get_span_context()
        if not above.is_valid:
            span = Span(name, kind, new_trace_id(), new_span_id(), 0, self.scope, self._finish)
        elif not above.trace_flags & TraceFlags.SAMPLED:
            return NonRecordingSpan(
                SpanContext(above.trace_id, new_span_id(), False, above.trace_flags, above.trace_state)  # noqa: FBT003
            )
        else:
            span = Span(name, kind, above.trace_id, new_span_id(), above.span_id, self.scope, self._finish)
            span.is_parent_remote = above.is_remote
            span.trace_state = above.trace_state
            # Unknown flags are not ours to pass on: https://www.w3.org/TR/trace-context-2/#other-flags
            span.flags = TraceFlags(above.trace_flags & _KNOWN_FLAGS)
        span.journey = journey_of(context)
        return span

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
        start = functools.partial(self.start_span, name, context, kind, attributes, links, start_time)
        return CurrentSpan(start, record_exception, set_status_on_exception, end_on_exit)


class CurrentSpan:
    """Starts a span, makes it current, and ends it; usable with ``with`` and as a decorator of (async) functions."""

    __slots__ = ("_end_on_exit", "_record_exception", "_set_status", "_span", "_start", "_token")

    def __init__(
        self,
        start: Callable[[], trace.Span],
        record_exception: bool,  # noqa: FBT001 (mirrors the API)
        set_status: bool,  # noqa: FBT001 (same)
        end_on_exit: bool,  # noqa: FBT001 (same)
    ) -> None:
        self._start = start
        self._record_exception = record_exception
        self._set_status = set_status
        self._end_on_exit = end_on_exit

    def __enter__(self) -> trace.Span:
        self._span = self._start()
        self._token = context_api.attach(context_api.set_value(SPAN_KEY, self._span))
        return self._span

    def __exit__(
        self, kind: type[BaseException] | None, exception: BaseException | None, where: TracebackType | None
    ) -> Literal[False]:
        context_api.detach(self._token)
        span = self._span
        if isinstance(exception, Exception) and span.is_recording():
            if self._record_exception:
                span.record_exception(exception)
            if self._set_status:
                span.set_status(trace.StatusCode.ERROR, f"{type(exception).__name__}: {wire.safe_str(exception)}")
        if self._end_on_exit:
            span.end()
        return False

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def again() -> CurrentSpan:
            return CurrentSpan(self._start, self._record_exception, self._set_status, self._end_on_exit)

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def awaited(*args: Any, **kwargs: Any) -> Any:
                with again():
                    return await function(*args, **kwargs)

            return awaited

        @functools.wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            with again():
                return function(*args, **kwargs)

        return called


def journey_of(context: "Context | None" = None) -> str:
    """The journey that baggage carries, or an empty string."""
    value = get_baggage(JOURNEY_KEY, context)
    return value if isinstance(value, str) else ""


def frame_spans(resource: bytes, records: Sequence[Record]) -> bytes:
    """An ``ExportTraceServiceRequest`` (and, having the same fields, an ``ExportLogsServiceRequest``)."""
    by_scope: dict[bytes, list[bytes]] = {}
    for record in records:
        by_scope.setdefault(record.scope, []).append(wire.message(_SPANS, record.body))
    scopes = [wire.message(_SCOPE_SPANS, scope + b"".join(bodies)) for scope, bodies in by_scope.items()]
    return wire.message(_RESOURCE_SPANS, resource + b"".join(scopes))
