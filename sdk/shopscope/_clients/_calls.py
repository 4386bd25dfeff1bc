"""What the client integrations share: a CLIENT span whose constant part is encoded once for each kind of call.

Nobody but us sees the span of such a call before it ends, so that by default none is made: a `RunningCall` holds the
little that is not constant, and is encoded in the end. A service's own sampler, processors or limits see real spans.
"""

import time
from collections.abc import Callable, Hashable
from contextvars import Token
from typing import TYPE_CHECKING, Any

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
from shopscope._tracing._fields import (
    ATTRIBUTE,
    END,
    JOURNEYS,
    KINDS,
    LOCAL_FLAGS,
    LOW,
    PARENT_ID,
    SPAN_ID,
    START,
    TRACE_ID,
    journey_attribute,
    name_field,
    pack_ids,
    pack_parent,
    pack_times,
    status_field,
)
from shopscope._tracing._ids import random_bits
from shopscope._tracing._measured import Silence
from shopscope._tracing._span import Span
from shopscope._tracing._tracer import SPAN_KEY, Tracer, journey_of, new_span_id, new_trace_id

if TYPE_CHECKING:
    from shopscope._metrics._series import CappedHistogram

CLIENT = trace.SpanKind.CLIENT.value
_ERROR = trace.StatusCode.ERROR.value
_MAX_CALLS, _MAX_JOURNEYS = 2048, 256


class Call:
    """All that calls of one kind share: a peer and an operation.

    Attributes:
        name: of the spans.
        dependency: who is called, and how.
        attributes: the spans' constant ones, encoded.
        constant: all of a span that is constant, encoded.
        good: series of the calls that went well, by journey.
    """

    __slots__ = ("attributes", "constant", "dependency", "good", "name")

    def __init__(self, name: str, dependency: Dependency, attributes: dict[str, Any]) -> None:
        attributes["peer.service"] = dependency.peer
        self.name = name
        self.dependency = dependency
        self.attributes = wire.attributes(ATTRIBUTE, attributes)
        self.constant = _encode_constant(name, CLIENT) + self.attributes
        self.good: dict[str, CappedHistogram] = {}


class Peer(dict[Hashable, Call]):
    """The kinds of call that are made at one address, by operation; an operation that is not known is described.

    Attributes:
        pipeline: the peer is of use as long as this is the running one.
        key: the parts of the address.
        origin: of an address in the web, what its URLs begin with; empty until somebody has asked.
    """

    __slots__ = ("calls", "key", "origin", "pipeline")

    def __init__(self, calls: "Calls", pipeline: Pipeline, key: tuple[Any, ...]) -> None:
        super().__init__()
        self.calls = calls
        self.pipeline = pipeline
        self.key = key
        self.origin = ""

    def __missing__(self, operation: Hashable) -> Call:
        call = Call(*self.calls.describe(self.pipeline, *self.key, operation))
        if self.calls.has_room():
            self[operation] = call
        return call


class Calls(dict[tuple[Any, ...], Peer]):
    """The peers that an integration calls, by address.

    Past the cap operations are described anew each time, since they may be the user's data; and peers with them.

    Args:
        describe: name, dependency and attributes of a call, given pipeline, the parts of its address, and operation.
    """

    def __init__(self, describe: Callable[..., tuple[str, Dependency, dict[str, Any]]]) -> None:
        super().__init__()
        self.describe = describe
        self._pipeline: Pipeline | None = None
        self._count = 0

    def at(self, pipeline: Pipeline, *key: Any) -> Peer:
        """The peer at an address."""
        if pipeline is not self._pipeline:
            super().clear()
            self._pipeline, self._count = pipeline, 0
            pipeline.caches.append(self)
        peer = self.get(key)
        if peer is None:
            peer = Peer(self, pipeline, key)
            if self.has_room():
                self[key] = peer
        return peer

    def has_room(self) -> bool:
        """Count one more kind of call, unless there are too many."""
        if self._count >= _MAX_CALLS:
            return False
        self._count += 1
        return True

    def clear(self) -> None:
        """Let go of series, since they begin anew; whoever holds a peer or a call may keep it."""
        for peer in self.values():
            for call in peer.values():
                call.good.clear()


class RunningCall:
    """A call below a span of ours, sampled, and of no interest to anybody until it ends."""

    __slots__ = (
        "attributes",
        "call",
        "end_unix_nano",
        "outcome",
        "parent",
        "pipeline",
        "span_id",
        "start_unix_nano",
        "status_code",
    )

    def __init__(self, pipeline: Pipeline, call: Call, parent: Span) -> None:
        self.pipeline = pipeline
        self.call = call
        self.parent = parent
        self.span_id = random_bits(64) or 1
        self.attributes: dict[str, Any] = {}
        self.status_code = 0
        self.outcome = ""
        self.end_unix_nano = 0
        self.start_unix_nano = time.time_ns()

    @property
    def name(self) -> str:
        """The span's."""
        return self.call.name

    @property
    def dependency(self) -> Dependency:
        """Who is called."""
        return self.call.dependency

    @property
    def scope(self) -> bytes:
        """The encoded instrumentation scope."""
        return self.pipeline.tracer.scope

    def encode(self) -> bytes:
        """The body of an OTLP ``Span``, as a span of ours would encode itself."""
        parent = self.parent
        trace_id, journey = parent.trace_id, parent.journey
        body = b"".join(
            (
                pack_ids(TRACE_ID, trace_id >> 64, trace_id & LOW, SPAN_ID, self.span_id),
                pack_parent(PARENT_ID, parent.span_id),
                pack_times(START, self.start_unix_nano, END, self.end_unix_nano),
                LOCAL_FLAGS[parent.flags],
                self.call.constant,
                (JOURNEYS.get(journey) or journey_attribute(journey)) if journey else b"",
            )
        )
        if self.attributes:
            body += wire.attributes(ATTRIBUTE, self.attributes)
        if self.status_code:
            body += status_field(self.status_code, "")
        return body


def _encode_constant(name: str, kind: int) -> bytes:
    """Name and kind of a span."""
    return name_field(name) + KINDS[kind]


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


Started = RunningCall | trace.Span
#: What has attributes and a status to note, and what has an outcome.
WITH_ATTRIBUTES = (RunningCall, Span)
WITH_OUTCOME = (RunningCall, Span, UntracedCall)


def attach_silence() -> Token[Context]:
    """Make calls from here on silent, as those that a library makes for a call that is observed already."""
    silence = Silence(SpanContext(new_trace_id(), new_span_id(), is_remote=False))
    return context_api.attach(context_api.set_value(SPAN_KEY, silence))


def is_silent(span: trace.Span) -> bool:
    """Whether ``span`` is what `attach_silence` has made the current one."""
    return isinstance(span, Silence)


def start_call(pipeline: Pipeline, call: Call, context: Context | None = None) -> Started:
    """Start a call below the current span of ``context``, or of the current one."""
    if context is None:
        context = context_api.get_current()
    parent = context.get(SPAN_KEY)
    tracer = pipeline.tracer
    if type(parent) is Span and type(tracer) is Tracer and tracer.custom is None and not parent.trace_state:
        return RunningCall(pipeline, call, parent)
    return _start_span(pipeline, call)


def _start_span(pipeline: Pipeline, call: Call) -> trace.Span:
    parent = get_current_span()
    span = pipeline.tracer.start(call.name, CLIENT, parent)
    if not isinstance(span, Span):
        if isinstance(parent, Silence):
            return span
        return UntracedCall(span.get_span_context(), pipeline, call.dependency)
    span.constant_attributes = call.attributes
    span.dependency = call.dependency
    return span


def end_call(started: Started, error: BaseException | None = None) -> None:
    """End a call; an error is recorded by its type, since its text may hold the user's data."""
    try:
        if error is not None:
            if isinstance(started, WITH_ATTRIBUTES):
                started.status_code = _ERROR
                started.attributes["error.type"] = type(error).__qualname__
            if isinstance(started, WITH_OUTCOME):
                started.outcome = "error"
        if not isinstance(started, RunningCall):
            started.end()
            return
        started.end_unix_nano = now_unix_nano = time.time_ns()
        pipeline, call, parent = started.pipeline, started.call, started.parent
        if _pipeline.watch_call is not None:
            _pipeline.watch_call(pipeline, started, call.dependency)  # type: ignore[arg-type] # marks attributes alone
        series = None if started.outcome else call.good.get(parent.journey)
        if series is None:
            series = _find_series(started)
        series.observe((now_unix_nano - started.start_unix_nano) / 1e9, (parent.trace_id, started.span_id))
        pipeline.spans.add_unencoded(started)
    except Exception:  # noqa: BLE001 (telemetry never raises into the service)
        internal_error("end of call")


def _find_series(running: RunningCall) -> "CappedHistogram":
    good, journey, outcome = running.call.good, running.parent.journey, running.outcome
    series = running.pipeline.instruments.dependency(journey, running.call.dependency, outcome or "ok")
    # Journeys may come from another service's baggage, so their number is not ours to bound.
    if not outcome and len(good) < _MAX_JOURNEYS:
        good[journey] = series
    return series
