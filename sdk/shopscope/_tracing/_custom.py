"""How spans start and end when the service has its own sampler, ids, processors or limits.

The tracer's short ways are for those who have none; everyone else's spans come here.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry import trace
from opentelemetry.baggage import get_baggage
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, get_value
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.propagation import get_current_span

from shopscope._metrics._selfmetrics import internal_error
from shopscope._tracing._fields import JOURNEY_KEY
from shopscope._tracing._ids import new_span_id, new_trace_id
from shopscope._tracing._sampling import PARENT_BASED_ALWAYS_ON, Sampler
from shopscope._tracing._span import Span, UnsampledSpan

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.util.types import Attributes

    from shopscope._tracing._tracer import Tracer

_SAMPLED, _RANDOM = TraceFlags.SAMPLED, TraceFlags.RANDOM_TRACE_ID


class Custom(NamedTuple):
    """What the service wants otherwise than the default. ``ids`` None means random ids."""

    sampler: Sampler = PARENT_BASED_ALWAYS_ON
    ids: Any = None
    processors: tuple[Any, ...] = ()


class Request(NamedTuple):
    """A span that is to be started."""

    name: str
    kind: SpanKind
    parent: trace.Span
    context: "Context | None"
    attributes: "Attributes" = None
    links: Sequence[Link] | None = None
    start_time: int | None = None


def start_own(tracer: "Tracer", custom: Custom, request: Request) -> trace.Span:
    """Start a span for our own instrumentation."""
    if get_value(_SUPPRESS_INSTRUMENTATION_KEY):
        # The service's own exporter is at work: its calls must not make spans for it to export.
        return trace.INVALID_SPAN
    return start_custom(tracer, custom, request)


def start_custom(tracer: "Tracer", custom: Custom, request: Request) -> trace.Span:
    """Start a span as the specification's SDK does, one step after the other."""
    name, kind, parent, context = request[:4]
    above: SpanContext | None = parent.get_span_context()
    if above is None or not above.is_valid:
        above, (trace_id, is_random) = None, _trace_id(custom.ids)
    else:
        trace_id, is_random = above.trace_id, bool(above.trace_flags & _RANDOM)
    span_id = _span_id(custom.ids)
    if get_current_span(context) is not parent:
        context = trace.set_span_in_context(parent, context)
    result = _decide(custom.sampler, request._replace(context=context), trace_id)
    is_sampled = result.decision.is_sampled()
    flags = TraceFlags((_SAMPLED if is_sampled else 0) | (_RANDOM if is_random else 0))
    if not result.decision.is_recording():
        return NonRecordingSpan(SpanContext(trace_id, span_id, False, flags, result.trace_state))  # noqa: FBT003
    span = (Span if is_sampled else UnsampledSpan)(
        name,
        kind.value,
        trace_id,
        span_id,
        above.span_id if above else 0,
        tracer,
        flags,
        parent.journey if isinstance(parent, Span) else journey_of(context),
        result.trace_state,
        bool(above and above.is_remote),
    )
    span.extra().parent = above
    describe(span, _united(request.attributes, result.attributes), request.links, request.start_time)
    if custom.processors:
        span.hide_secrets()
    for processor in custom.processors:
        try:
            processor.on_start(span, parent_context=context)
        except Exception:  # noqa: BLE001 (telemetry never raises into the service)
            internal_error("on_start of a span processor")
    return span


def describe(span: Span, attributes: "Attributes", links: Sequence[Link] | None, start_time: int | None) -> None:
    """Give a span what it is started with."""
    if attributes:
        span.set_attributes(attributes)
    for link in links or ():
        if link is not None:
            span.add_link(link.context, link.attributes)
    if start_time is not None:
        span.start_unix_nano = start_time


def end_processed(span: Span, processors: tuple[Any, ...]) -> None:
    """Show an ended span to the service's processors."""
    for processor in processors:
        try:
            processor.on_end(span)
        except Exception:  # noqa: BLE001 (telemetry never raises into the service)
            internal_error("on_end of a span processor")


def journey_of(context: "Context | None" = None) -> str:
    """The journey that baggage carries, or an empty string."""
    value = get_baggage(JOURNEY_KEY, context)
    return value if isinstance(value, str) else ""


def _decide(sampler: Sampler, request: Request, trace_id: int) -> Any:
    name, kind, _, context, attributes, links, _ = request
    try:
        result = sampler.should_sample(context, trace_id, name, kind, attributes, links)
        result.decision.is_recording()
    except Exception:  # noqa: BLE001 (telemetry never raises into the service)
        internal_error("should_sample of the sampler")
        result = PARENT_BASED_ALWAYS_ON.should_sample(context, trace_id, name, kind, attributes, links)
    return result


def _united(given: "Attributes", added: Mapping[str, Any] | None) -> "Attributes":
    if not added:
        return given
    return {**(given or {}), **added}


def _trace_id(ids: Any) -> tuple[int, bool]:
    """A trace id, and whether its last 56 bits are random."""
    if ids is not None:
        try:
            trace_id = _checked(ids.generate_trace_id(), 128)
            is_random = getattr(ids, "is_trace_id_random", None)
            return trace_id, bool(is_random and is_random())
        except Exception:  # noqa: BLE001 (telemetry never raises into the service)
            internal_error("generate_trace_id of the id generator")
    return new_trace_id(), True


def _span_id(ids: Any) -> int:
    if ids is not None:
        try:
            return _checked(ids.generate_span_id(), 64)
        except Exception:  # noqa: BLE001 (telemetry never raises into the service)
            internal_error("generate_span_id of the id generator")
    return new_span_id()


def _checked(number: int, bits: int) -> int:
    if not 0 < number < 1 << bits:
        raise ValueError(f"an id must be above zero and have at most {bits} bits: {number}; correct the id generator")
    return number
