"""What the client integrations share: a CLIENT span whose constant part is encoded once for each kind of call."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from opentelemetry import trace
from opentelemetry.trace.propagation import get_current_span

from shopscope import _wire as wire
from shopscope._dependencies import Dependency
from shopscope._pipeline import Pipeline
from shopscope._selfmetrics import internal_error
from shopscope._span import ATTRIBUTE, Span

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


def start_call(pipeline: Pipeline, call: Call) -> trace.Span:
    """Start the span of a call below the current span."""
    span = pipeline.tracer.start(call.name, CLIENT, get_current_span())
    if isinstance(span, Span):
        span.constant_attributes = call.attributes
        span.dependency = call.dependency
    return span


def end_call(span: trace.Span, error: BaseException | None = None) -> None:
    """End the span of a call; an error is recorded by its type, since its text may hold the user's data."""
    try:
        if error is not None and isinstance(span, Span):
            span.status_code = _ERROR
            span.outcome = "error"
            span.attributes["error.type"] = type(error).__qualname__
        span.end()
    except Exception:  # noqa: BLE001 (telemetry never raises into the service)
        internal_error("end of call")
