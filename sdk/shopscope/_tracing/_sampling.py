"""Which traces are recorded: the samplers that ``OTEL_TRACES_SAMPLER`` names, and a user's own.

A sampler of ours decides as the stock SDK's of the same name does for the same ids.
Source: https://opentelemetry.io/docs/specs/otel/trace/sdk/#sampling
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from opentelemetry.trace import Link, SpanContext, SpanKind, TraceFlags, TraceState, get_current_span

from shopscope._errors import ConfigError

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.util.types import Attributes

ID_BITS = (1 << 64) - 1


class Decision(Enum):
    """What becomes of a span; the stock SDK's values."""

    DROP = 0
    RECORD_ONLY = 1
    RECORD_AND_SAMPLE = 2

    def is_recording(self) -> bool:
        """Whether the span is recorded at all."""
        return self is not Decision.DROP

    def is_sampled(self) -> bool:
        """Whether it is exported, and says so to the services that it calls."""
        return self is Decision.RECORD_AND_SAMPLE


class SamplingResult(NamedTuple):
    """A decision, attributes that are added to the span, and its tracestate."""

    decision: Decision
    attributes: Mapping[str, Any] | None = None
    trace_state: TraceState | None = None


class Sampler(Protocol):
    """What a sampler must have: the stock SDK's interface."""

    def should_sample(
        self,
        parent_context: "Context | None",
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: "Attributes" = None,
        links: Sequence[Link] | None = None,
    ) -> Any:
        """Decide: an object with ``decision``, ``attributes`` and ``trace_state``."""


class RatioSampler:
    """Samples this share of traces, by their id and whatever the parent's decision."""

    def __init__(self, ratio: float) -> None:
        self.ratio = ratio
        #: Trace ids whose last 64 bits are below this are sampled.
        self.bound = round(ratio * (ID_BITS + 1))

    def should_sample(
        self,
        parent_context: "Context | None",
        trace_id: int,
        name: str,  # noqa: ARG002 (the stock interface)
        kind: SpanKind | None = None,  # noqa: ARG002 (same)
        attributes: "Attributes" = None,  # noqa: ARG002 (same)
        links: Sequence[Link] | None = None,  # noqa: ARG002 (same)
    ) -> SamplingResult:
        """Sample if the last 64 bits of the trace id are below the ratio."""
        above = get_current_span(parent_context).get_span_context()
        return SamplingResult(self._decide(above, trace_id), None, above.trace_state if above.is_valid else None)

    def _decide(self, above: SpanContext, trace_id: int) -> Decision:  # noqa: ARG002 (see ParentSampler)
        return Decision.RECORD_AND_SAMPLE if trace_id & ID_BITS < self.bound else Decision.DROP

    def get_description(self) -> str:
        """The specification's name of it."""
        return f"TraceIdRatioBased{{{self.ratio:g}}}"


class ParentSampler(RatioSampler):
    """Follows the parent's decision; samples this share of traces that begin here."""

    def _decide(self, above: SpanContext, trace_id: int) -> Decision:
        if above.is_valid:
            return Decision.RECORD_AND_SAMPLE if above.trace_flags & TraceFlags.SAMPLED else Decision.DROP
        return super()._decide(above, trace_id)

    def get_description(self) -> str:
        """The specification's name of it."""
        return f"ParentBased{{root:{super().get_description()}}}"


#: The default. For this and all that follow the parent the tracer has a short way.
PARENT_BASED_ALWAYS_ON = ParentSampler(1)
_ALWAYS: dict[str, Sampler] = {
    "always_on": RatioSampler(1),
    "always_off": RatioSampler(0),
    "parentbased_always_on": PARENT_BASED_ALWAYS_ON,
    "parentbased_always_off": ParentSampler(0),
}
_RATIO = {"traceidratio": RatioSampler, "parentbased_traceidratio": ParentSampler}
SAMPLER_NAMES = (*_ALWAYS, *_RATIO)


def sampler_of(name: str, argument: str = "") -> Sampler:
    """The sampler that ``OTEL_TRACES_SAMPLER`` and ``OTEL_TRACES_SAMPLER_ARG`` mean; nothing means the default.

    Raises:
        ConfigError: there is no such sampler, or its argument is no share between 0 and 1.
    """
    name = name.strip().lower() or "parentbased_always_on"
    if name in _ALWAYS:
        return _ALWAYS[name]
    if name not in _RATIO:
        known = ", ".join(SAMPLER_NAMES)
        raise ConfigError([f"OTEL_TRACES_SAMPLER must be one of {known}: {name!r}; correct it or unset it"])
    try:
        ratio = float(argument.strip() or 1)
    except ValueError:
        ratio = -1.0
    if not 0 <= ratio <= 1:
        problem = f"OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1: {argument!r}; write for example '0.1'"
        raise ConfigError([problem])
    return _RATIO[name](ratio)


def wrong_parts(sampler: Any, id_generator: Any) -> list[str]:
    """What is wrong with a sampler and an id generator that ``init`` was given; None is never wrong."""
    needed = (
        ("sampler", sampler, ("should_sample",)),
        ("id_generator", id_generator, ("generate_trace_id", "generate_span_id")),
    )
    return [
        f"{argument} must be an object with {method}: {type(given).__qualname__}; "
        f"pass one with the interface of the OpenTelemetry SDK"
        for argument, given, methods in needed
        for method in methods
        if given is not None and not callable(getattr(given, method, None))
    ]
