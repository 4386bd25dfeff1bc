"""Everything behind the one line: queues, threads, instruments, tracer, and what becomes of an ended span."""

import os
import time
from collections.abc import Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from opentelemetry import trace

from shopscope._configuration._resource import Resource
from shopscope._configuration._settings import Settings, announce
from shopscope._exits import settle
from shopscope._export._exporters import queue_of, reader_of
from shopscope._export._worker import Batch, RecordQueue
from shopscope._lifespan import Lifespans
from shopscope._logging._logs import LogPipeline
from shopscope._metrics import _selfmetrics
from shopscope._metrics._dependencies import Dependency
from shopscope._metrics._instruments import Instruments
from shopscope._metrics._metering import Metering
from shopscope._metrics._scrape import ScrapePage
from shopscope._metrics._selfmetrics import log_once
from shopscope._redaction import _privacy
from shopscope._tracing._provider import TracerProvider
from shopscope._tracing._span import Span
from shopscope._tracing._tracer import Tracer, frame_spans
from shopscope._version import __version__

if TYPE_CHECKING:
    from prometheus_client.registry import Collector

    from shopscope._serving._endings import Endings

_CALLS = frozenset({trace.SpanKind.CLIENT.value, trace.SpanKind.PRODUCER.value})
_SERVER = trace.SpanKind.SERVER.value
_FEW_ATTRIBUTES = 8
_UNSET_OR_OK = (trace.StatusCode.UNSET.value, trace.StatusCode.OK.value)


class Pipeline:
    """The running telemetry of one service."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        # First: from here on things are encoded.
        _privacy.configure(settings.redaction.keys, settings.redaction.patterns)
        self.resource = Resource(settings.service, settings.resource, settings.detectors)
        self.instruments = Instruments(settings.shop.of_service(settings.service), has_exemplars=settings.has_exemplars)
        self._collectors: list[Collector] = []
        self._process_id = os.getpid()
        self._queues: list[RecordQueue] = []
        self.metering = Metering(
            self.instruments,
            self.resource,
            self._queues,
            freezes_gc=settings.freezes_gc,
            has_exemplars=settings.has_exemplars,
        )
        self._make_workers()
        self.scrape_page = None if settings.scrape is None else ScrapePage(settings.scrape, self.metering.exposition)
        #: Of the applications that are observed; filled in by the scope.
        self.lifespans = Lifespans()
        #: Requests that have ended and are still to be recorded, of each application.
        self.endings: list[Endings] = []
        self.instruments.before_read = self.settle
        #: What holds series of the instruments, and is emptied where those begin anew.
        self.caches: list[MutableMapping[Any, Any]] = []
        self.logs = LogPipeline(
            settings.service,
            settings.log_format,
            settings.log_level,
            self.log_records.add,
            repeats=settings.log_repeats,
            max_attributes=settings.log_size.attributes,
            max_characters=settings.log_size.value_length,
        )
        self.tracer: Tracer = provider.get_tracer("shopscope", __version__)

    def _make_workers(self) -> None:
        settings = self.settings
        self.spans = queue_of("traces", settings.endpoints["traces"], settings.span_limits, self._frame)
        self.log_records = queue_of("logs", settings.endpoints["logs"], settings.log_limits, self._frame)
        self.metrics = reader_of(settings.endpoints["metrics"], settings.metric_interval_seconds, self.metering.push)
        self._queues[:] = self.spans, self.log_records

    def start(self) -> None:
        """Become the process's telemetry."""
        global _active  # noqa: PLW0603 (the one owner of the running pipeline; see `active`)
        _active = self
        settings = self.settings
        provider.begin(self.resource.attributes, settings.sampler, settings.id_generator, settings.span_size)
        self.logs.install()
        announce(self.settings)
        self.metering.start()
        self.metrics.start()
        if self.scrape_page is not None:
            self.scrape_page.start()

    def serving(self) -> None:
        """The service has started and serves."""
        settle()
        self.metering.serving()

    def observe_call(self, span: Span) -> None:
        """Observe the dependency that an ended span called."""
        dependency = span.dependency
        if dependency is None:
            from shopscope._clients._foreign import adopt_call  # noqa: PLC0415 (ours alone: all others start sooner)

            dependency = adopt_call(span, self.settings.peers)
        if watch_call is not None:
            watch_call(self, span, dependency)
        outcome = span.outcome or ("ok" if span.status_code in _UNSET_OR_OK else "error")
        is_sampled = span.is_sampled
        exemplar = (span.trace_id, span.span_id) if is_sampled else None
        seconds = (span.end_unix_nano - span.start_unix_nano) / 1e9
        self.instruments.dependency(span.journey, dependency, outcome).observe(seconds, exemplar)

    def settle(self) -> None:
        """Record what has ended."""
        for endings in self.endings:
            endings.settle()
        self.spans.encode()

    def flush(self, timeout_seconds: float) -> bool:
        """Wait until the spans and log records queued now have been sent."""
        self.settle()
        deadline = time.monotonic() + timeout_seconds
        return all(queue.flush(deadline - time.monotonic()) for queue in (self.spans, self.log_records))

    def shutdown(self, timeout_seconds: float) -> None:
        """Send what is left, all signals at once, until the deadline; then stop."""
        global _active  # noqa: PLW0603 (see `start`)
        deadline = time.monotonic() + timeout_seconds
        self.settle()
        wait_for_processors = provider.shutdown_processors()
        self.logs.repeats.flush()
        # Spans and logs first, so that the last push of metrics counts what became of them.
        self.spans.request_stop(deadline)
        self.log_records.request_stop(deadline)
        self.spans.shutdown(deadline)
        self.log_records.shutdown(deadline)
        self.metrics.shutdown(deadline)
        if self.scrape_page is not None:
            self.scrape_page.stop()
        self.metering.stop()
        self.logs.send_to(None)
        self._collectors = self.instruments.unregister()
        if _active is self:
            _active = None
        wait_for_processors(deadline - time.monotonic())

    def resume(self) -> None:
        """Go on after `shutdown`: as the same instance, whose metrics go on too."""
        # New workers: a thread of the old ones that was still sending at the deadline may be left.
        self._make_workers()
        self.logs.send_to(self.log_records.add)
        for collector in self._collectors:
            self.instruments.add_collector(collector)
        if self._process_id != os.getpid():
            self._begin_anew()
        self.start()

    def after_fork_in_child(self) -> None:
        """The child is a process of its own: new identity, empty queues, own threads."""
        self._begin_anew()
        for worker in (*self._queues, self.metrics):
            worker.after_fork_in_child()
        self.metrics.start()
        if self.scrape_page is not None:
            self.scrape_page.after_fork_in_child()

    def _begin_anew(self) -> None:
        self._process_id = os.getpid()
        self.resource.renew()
        provider.describe(self.resource.attributes)
        for endings in self.endings:
            endings.forget()
        self.instruments.after_fork_in_child()
        self.logs.repeats.reset()
        self.metering.after_fork_in_child()
        for cache in self.caches:
            cache.clear()

    def _frame(self, batch: Batch) -> bytes:
        return frame_spans(self.resource.encoded, batch)


_active: Pipeline | None = None
#: Sees every call that ends, as soon as the service uses a protection; see `shopscope._protection._guards`.
watch_call: Callable[[Pipeline, Span | None, Dependency], None] | None = None


def active() -> Pipeline | None:
    """The running pipeline, or none before ``init`` and after ``shutdown``: instrumentation then does nothing."""
    return _active


def finish(span: Span) -> None:
    """Queue an ended span and observe the dependency that it called."""
    pipeline = _active
    if pipeline is not None:
        if span.kind_number in _CALLS:
            pipeline.observe_call(span)
        if span.kind_number == _SERVER or span.extras is not None or len(span.attributes) > _FEW_ATTRIBUTES:
            # Servers' end several in a row already, and large ones would hold memory that nobody counts.
            pipeline.spans.add(span.tracer.scope, span.encode())
        else:
            pipeline.spans.add_unencoded(span)


def observe(span: Span) -> None:
    """Observe the dependency that an ended span called, which is not to be sent."""
    if _active is not None and span.kind_number in _CALLS:
        _active.observe_call(span)


def _flush(timeout_seconds: float) -> bool:
    return _active is None or _active.flush(timeout_seconds)


def _after_fork_in_child() -> None:
    provider.after_fork_in_child()
    _selfmetrics.after_fork_in_child()
    if _active is not None:
        _active.after_fork_in_child()


# The API accepts one provider for the life of the process, so that it outlives any pipeline.
provider = TracerProvider(finish, observe, _flush)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def install_provider() -> None:
    """Put our tracer behind the OpenTelemetry API, unless the service has put another one there."""
    present = trace.get_tracer_provider()
    if present is provider:
        return
    if isinstance(present, trace.ProxyTracerProvider):
        trace.set_tracer_provider(provider)
        return
    log_once(
        "foreign tracer provider",
        "OpenTelemetry has a tracer provider already (%s); shopscope sends its own spans alone",
        type(present).__qualname__,
    )
