"""``SHOPSCOPE_TRACER=opentelemetry``: the stock SDK and its FastAPI instrumentation behind the same one line.

The reference that our tracer is compared with, and a way out for whoever needs it. Spans are the stock SDK's; names,
resource, journey and peers, metrics, logs and the way to the endpoint are as with our own tracer.
"""

import importlib
import os
import time
from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.baggage import set_baggage
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, get_value
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from shopscope import _pipeline
from shopscope._clients._foreign import adopt_call
from shopscope._configuration._settings import Settings
from shopscope._errors import ConfigError
from shopscope._extras import KNOWN_FLAGS
from shopscope._metrics._dependencies import Dependency
from shopscope._metrics._selfmetrics import internal_error, log_once
from shopscope._pipeline import Pipeline, active
from shopscope._tracing._custom import journey_of
from shopscope._tracing._fields import JOURNEY_KEY
from shopscope._tracing._sampling import ParentSampler, RatioSampler
from shopscope._tracing._span import Span
from shopscope._tracing._tracer import Tracer
from shopscope._version import __version__

if TYPE_CHECKING:
    from opentelemetry.context import Context

_NAME = "shopscope"
_SERVER = SpanKind.SERVER.value
_CLIENTS = frozenset({SpanKind.CLIENT, SpanKind.PRODUCER})
_KINDS = tuple(SpanKind)
_PACKAGES = {
    "opentelemetry.sdk.trace": "opentelemetry-sdk",
    "opentelemetry.instrumentation.fastapi": "opentelemetry-instrumentation-fastapi",
}
# The API accepts one provider for the life of the process.
_provider: Any = None


def install(pipeline: Pipeline) -> None:
    """Put the stock SDK behind the OpenTelemetry API.

    Raises:
        ConfigError: its packages are not installed.
    """
    global _provider  # noqa: PLW0603 (see there)
    sdk = _imported("opentelemetry.sdk.trace")
    _imported("opentelemetry.instrumentation.fastapi")
    if _provider is None:
        _provider = _make_provider(sdk, pipeline)
        trace.set_tracer_provider(_provider)
    if trace.get_tracer_provider() is not _provider:
        log_once(
            "stock tracer too late", "another tracer provider is there already; the stock SDK sends our spans alone"
        )
    pipeline.tracer = Bridge(_provider.get_tracer(_NAME, __version__))


def instrument(app: Any, pipeline: Pipeline) -> None:
    """Let the stock instrumentation make the SERVER spans of a FastAPI application; ours goes around it."""
    kinds = {f"{base.__module__}.{base.__qualname__}" for base in type(app).__mro__}
    if "fastapi.applications.FastAPI" not in kinds or not isinstance(pipeline.tracer, Bridge):
        return
    # The names that all else of ours has: the stable ones.
    os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http")
    _imported("opentelemetry.instrumentation.fastapi").FastAPIInstrumentor.instrument_app(
        app,
        tracer_provider=_provider,
        meter_provider=NoOpMeterProvider(),
        server_request_hook=_join,
        exclude_spans=["receive", "send"],
    )
    pipeline.tracer.is_serving = True


def _imported(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        problem = f"SHOPSCOPE_TRACER must be 'shopscope' where {error.name} is not installed: 'opentelemetry'"
        raise ConfigError([f"{problem}; run pip install {' '.join(_PACKAGES.values())} or unset it"]) from error


def _make_provider(sdk: Any, pipeline: Pipeline) -> Any:
    settings = pipeline.settings
    resources = importlib.import_module("opentelemetry.sdk.resources")
    limits = settings.span_size
    provider = sdk.TracerProvider(
        sampler=_stock_sampler(settings),
        resource=resources.Resource(pipeline.resource.attributes),
        shutdown_on_exit=False,
        id_generator=settings.id_generator,
        span_limits=sdk.SpanLimits(
            max_span_attributes=limits.attributes,
            max_events=limits.events,
            max_links=limits.links,
            max_event_attributes=limits.attributes_per_event,
            max_link_attributes=limits.attributes_per_link,
            max_attribute_length=limits.value_length,
            max_span_attribute_length=limits.value_length,
        ),
    )
    provider.add_span_processor(_Processor())
    return provider


def _stock_sampler(settings: Settings) -> Any:
    """The stock sampler that decides as ours of the same name does, or the user's own."""
    ours: Any = settings.sampler
    if not isinstance(ours, RatioSampler):
        return ours
    sampling = importlib.import_module("opentelemetry.sdk.trace.sampling")
    by_ratio = sampling.TraceIdRatioBased(ours.ratio)
    return sampling.ParentBased(by_ratio) if isinstance(ours, ParentSampler) else by_ratio


class Served:
    """A request whose SERVER span the stock instrumentation makes, further in than our middleware.

    No span of the API: the stock instrumentation makes a SERVER span where no other is current, alone.
    """

    def __init__(self) -> None:
        self.journey = ""
        self.span: trace.Span = trace.INVALID_SPAN

    @property
    def is_sampled(self) -> bool:
        """Whether the span leads to a trace."""
        return self.get_span_context().trace_flags.sampled

    def get_span_context(self) -> SpanContext:
        """The identity of the stock span."""
        return self.span.get_span_context()


_served: ContextVar[Served | None] = ContextVar("shopscope_served", default=None)


def _join(span: trace.Span, _: Mapping[str, Any]) -> None:
    """The stock instrumentation has started its span: bring it and our request together."""
    served = _served.get()
    if served is None:
        return
    served.span = span
    if served.journey:
        span.set_attribute(JOURNEY_KEY, served.journey)
        # Its middleware has read baggage anew, without our journey; and detaches whatever is attached when it ends.
        context_api.attach(set_baggage(JOURNEY_KEY, served.journey))


class BridgedSpan(Span):
    """What our own instrumentation of clients fills; it ends into a span of the stock SDK."""

    __slots__ = ("stock",)

    stock: trace.Span


class Bridge(Tracer):
    """Starts spans of the stock SDK for our own instrumentation."""

    __slots__ = ("_stock", "is_serving")

    def __init__(self, stock: trace.Tracer) -> None:
        ours = _pipeline.provider.get_tracer(_NAME, __version__)
        super().__init__(ours.provider, ours.instrumentation_scope)
        self.finish = _end_stock
        self._stock = stock
        self.is_serving = False

    def start(
        self,
        name: str,
        kind: int,
        parent: trace.Span,
        context: "Context | None" = None,
        known: Mapping[str, Any] | None = None,
    ) -> trace.Span:
        """Start a stock span, and what stands for it in our instrumentation."""
        if kind == _SERVER and self.is_serving:
            served = Served()
            _served.set(served)
            return served  # type: ignore[return-value]
        if get_value(_SUPPRESS_INSTRUMENTATION_KEY):
            return trace.INVALID_SPAN
        now = time.time_ns()
        context = trace.set_span_in_context(parent, context)
        stock = self._stock.start_span(name, context, _KINDS[kind], known, start_time=now)
        if not stock.is_recording():
            return stock
        own = stock.get_span_context()
        flags = TraceFlags(own.trace_flags & KNOWN_FLAGS)
        above = parent.get_span_context().span_id
        span = BridgedSpan(name, kind, own.trace_id, own.span_id, above, self, flags, journey_of(context))
        span.trace_state = own.trace_state
        span.start_unix_nano = now
        span.stock = stock
        return span


def _end_stock(span: Span) -> None:
    """Tell the stock span all that our instrumentation has put on ours."""
    if not isinstance(span, BridgedSpan):
        return
    stock = span.stock
    stock.update_name(span.name)
    stock.set_attributes(span.all_attributes())
    for event in span.events:
        stock.add_event(event.name, event.attributes, event.timestamp)
    for link in span.links:
        stock.add_link(link.context, link.attributes)
    if span.status_code:
        stock.set_status(Status(StatusCode(span.status_code), span.status.description))
    _calls[span.span_id] = (span.dependency, span.outcome)
    stock.end(span.end_unix_nano)
    _calls.pop(span.span_id, None)


#: What our instrumentation knows of calls that are ending.
_calls: dict[int, tuple[Dependency | None, str]] = {}


class _Processor:
    """Puts the journey on spans that start, and sends spans that end by our own way."""

    def on_start(self, span: Any, parent_context: "Context | None" = None) -> None:
        journey = journey_of(parent_context)
        if journey:
            span.set_attribute(JOURNEY_KEY, journey)

    def _on_ending(self, span: Any) -> None:
        """Nothing is left to say."""

    def on_end(self, span: Any) -> None:
        pipeline = active()
        if pipeline is None:
            return
        try:
            adopted = adopt(span, pipeline)
            if span.context.trace_flags.sampled:
                _pipeline.finish(adopted)
            else:
                _pipeline.observe(adopted)
        except Exception:  # noqa: BLE001 (telemetry never raises into the service)
            internal_error("end of stock span")

    def shutdown(self) -> None:
        """The pipeline ends with its scope."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        pipeline = active()
        return pipeline is None or pipeline.flush(timeout_millis / 1000)


def adopt(readable: Any, pipeline: Pipeline) -> Span:
    """Our span with all that a readable span of the stock SDK says."""
    own, parent, scope = readable.context, readable.parent, readable.instrumentation_scope
    tracer = _pipeline.provider.get_tracer(scope.name, scope.version, scope.schema_url, scope.attributes)
    span = Span(
        readable.name,
        readable.kind.value,
        own.trace_id,
        own.span_id,
        parent.span_id if parent is not None else 0,
        tracer,
        TraceFlags(own.trace_flags & KNOWN_FLAGS),
        str(readable.attributes.get(JOURNEY_KEY, "")),
        own.trace_state,
        parent is not None and parent.is_remote,
    )
    span.start_unix_nano, span.end_unix_nano = readable.start_time, readable.end_time
    span.attributes = dict(readable.attributes)
    span.dependency, span.outcome = _calls.get(own.span_id, (None, ""))
    span.status_code = readable.status.status_code.value
    extras = span.extra()
    extras.status_message = readable.status.description or ""
    extras.events = [
        (event.name, event.attributes or {}, event.timestamp, event.dropped_attributes) for event in readable.events
    ]
    extras.links = [(link.context, link.attributes or {}, link.dropped_attributes) for link in readable.links]
    extras.dropped_attributes = readable.dropped_attributes
    extras.dropped_events = readable.dropped_events
    extras.dropped_links = readable.dropped_links
    if readable.kind in _CLIENTS:
        span.dependency = span.dependency or adopt_call(span, pipeline.settings.peers)
    return span
