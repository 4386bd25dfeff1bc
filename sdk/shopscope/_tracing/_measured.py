"""Calls whose trace is not sampled: nothing of them is sent, but the dependency histogram counts them too."""

import time
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import NonRecordingSpan, Span, SpanKind, TraceFlags

from shopscope._metrics._selfmetrics import internal_error
from shopscope._tracing import _span
from shopscope._tracing._custom import Request, journey_of

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext
    from opentelemetry.util.types import Attributes

    from shopscope._tracing._tracer import Tracer

_CALLS = frozenset({SpanKind.CLIENT, SpanKind.PRODUCER})


class Silence(NonRecordingSpan):
    """Where this is the current span, calls are neither traced nor counted."""


class MeasuredSpan(_span.UnsampledSpan):
    """Has the time and the attributes of a call, and no processor sees it.

    It says that it is recording, because instrumentations otherwise keep to themselves whom they call.
    """

    __slots__ = ()

    def add_event(self, name: str, attributes: "Attributes" = None, timestamp: int | None = None) -> None:
        """Nobody would see it."""

    def add_link(self, context: "SpanContext | Any", attributes: "Attributes" = None) -> None:
        """Nobody would see it."""

    def record_exception(
        self,
        exception: BaseException,
        attributes: "Attributes" = None,
        timestamp: int | None = None,
        escaped: bool = False,  # noqa: FBT001,FBT002 (signature of the OpenTelemetry API)
    ) -> None:
        """Nobody would see it."""

    def end(self, end_time: int | None = None) -> None:
        """Observe the dependency, once."""
        now = end_time or time.time_ns()
        if self.end_unix_nano:
            return
        self.end_unix_nano = now
        try:
            self.tracer.provider.observe(self)
        except Exception:  # noqa: BLE001 (telemetry never raises into the service)
            internal_error("end of a measured call")


def measured(tracer: "Tracer", dropped: Span, request: Request) -> Span:
    """What stands for a span that is not recorded: the same identity, and a clock if it is a call."""
    name, kind, parent, context, attributes, _, start_time = request
    if kind not in _CALLS or isinstance(parent, Silence):
        return dropped
    own = dropped.get_span_context()
    journey = parent.journey if isinstance(parent, _span.Span) else journey_of(context)
    flags, state = TraceFlags(own.trace_flags), own.trace_state
    above = parent.get_span_context().span_id
    span = MeasuredSpan(name, kind.value, own.trace_id, own.span_id, above, tracer, flags, journey, state)
    if attributes:
        span.set_attributes(attributes)
    if start_time is not None:
        span.start_unix_nano = start_time
    return span
