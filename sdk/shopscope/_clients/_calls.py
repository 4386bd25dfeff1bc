"""What the client integrations share: a CLIENT span whose constant part is encoded once for each kind of call."""

import time
from collections.abc import Callable, Hashable
from contextvars import Token
from dataclasses import dataclass
from typing import Any

from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext
from opentelemetry.trace.propagation import get_current_span

from shopscope import _pipeline
from shopscope._export import _wire as wire
from shopscope._metrics._dependencies import Dependency
from shopscope._metrics._selfmetrics import internal_error
from shopscope._pipeline import Pipeline
from shopscope._tracing._measured import Silence
from shopscope._tracing._span import ATTRIBUTE, Span
from shopscope._tracing._tracer import SPAN_KEY, journey_of, new_span_id, new_trace_id

CLIENT = trace.SpanKind.CLIENT.value
_ERROR = trace.StatusCode.ERROR.value
_MAX_CALLS = 2048


@dataclass(frozen=True, slots=True)
class Call:
    """All that calls of one kind share."""

    name: str
    dependency: Dependency
    attributes: bytes


class Calls:
    """Kinds of call by key; past the cap they are made anew each time, since keys may be the user's data."""

    def __init__(self, describe: Callable[..., tuple[str, Dependency, dict[str, Any]]]) -> None:
        self._describe = describe
        self._known: dict[Hashable, Call] = {}
        self._pipeline: Pipeline | None = None

    def find(self, pipeline: Pipeline, *key: Hashable) -> Call:
        """The call that ``key`` names; the key's parts are the arguments of ``describe``."""
        if pipeline is not self._pipeline:
            self._known, self._pipeline = {}, pipeline
        call = self._known.get(key)
        if call is None:
            name, dependency, attributes = self._describe(pipeline, *key)
            attributes["peer.service"] = dependency.peer
            call = Call(name, dependency, wire.attributes(ATTRIBUTE, attributes))
            if len(self._known) < _MAX_CALLS:
                self._known[key] = call
        return call


class UntracedCall(NonRecordingSpan):
    """A call whose trace is not sampled: it is not exported, but who calls whom is counted whatever is sampled."""

    def __init__(self, context: SpanContext, pipeline: Pipeline, dependency: Dependency) -> None:
        super().__init__(context)
        self._pipeline = pipeline
        self._dependency = dependency
        self._start_unix_nano = time.time_ns()
        self.outcome = ""

    def end(self, end_time: int | None = None) -> None:
        """Observe the dependency."""
        if _pipeline.watch_call is not None:
            _pipeline.watch_call(self._pipeline, None, self._dependency)
        seconds = ((end_time or time.time_ns()) - self._start_unix_nano) / 1e9
        series = self._pipeline.instruments.dependency(journey_of(), self._dependency, self.outcome or "ok")
        series.observe(seconds)


def attach_silence() -> Token[Context]:
    """Make calls from here on silent, as those that a library makes for a call that is observed already."""
    silence = Silence(SpanContext(new_trace_id(), new_span_id(), is_remote=False))
    return context_api.attach(context_api.set_value(SPAN_KEY, silence))


def is_silent(span: trace.Span) -> bool:
    """Whether ``span`` is what `attach_silence` has made the current one."""
    return isinstance(span, Silence)


def start_call(pipeline: Pipeline, call: Call) -> trace.Span:
    """Start the span of a call below the current span."""
    parent = get_current_span()
    span = pipeline.tracer.start(call.name, CLIENT, parent)
    if not isinstance(span, Span):
        if isinstance(parent, Silence):
            return span
        return UntracedCall(span.get_span_context(), pipeline, call.dependency)
    span.constant_attributes = call.attributes
    span.dependency = call.dependency
    return span


def end_call(span: trace.Span, error: BaseException | None = None) -> None:
    """End the span of a call; an error is recorded by its type, since its text may hold the user's data."""
    try:
        if error is not None:
            if isinstance(span, Span):
                span.status_code = _ERROR
                span.attributes["error.type"] = type(error).__qualname__
            if isinstance(span, Span | UntracedCall):
                span.outcome = "error"
        span.end()
    except Exception:  # noqa: BLE001 (telemetry never raises into the service)
        internal_error("end of call")
