"""Our tracer provider: it hands out tracers and knows what the service wants otherwise than the default."""

import threading
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from opentelemetry import trace

from shopscope._metrics._selfmetrics import internal_error, log_once
from shopscope._tracing._custom import Custom, end_processed
from shopscope._tracing._limits import DEFAULT_LIMITS, SpanLimits
from shopscope._tracing._readable import InstrumentationScope, ReadableResource
from shopscope._tracing._sampling import PARENT_BASED_ALWAYS_ON, ParentSampler, Sampler, sampler_of
from shopscope._tracing._span import Finish, Span
from shopscope._tracing._tracer import Tracer

if TYPE_CHECKING:
    from opentelemetry.util.types import Attributes

_EMPTY: Mapping[str, Any] = MappingProxyType({})


class TracerProvider(trace.TracerProvider):
    """Hands out tracers.

    Args:
        export: receives each ended span that is sampled.
        observe: receives each ended span that is recorded but not sampled.
        flush: sends what is queued, within seconds.
    """

    def __init__(self, export: Finish, observe: Finish, flush: Callable[[float], bool]) -> None:
        self._export = self.finish = export
        self.observe = observe
        self._flush = flush
        self._tracers: dict[tuple[Any, ...], Tracer] = {}
        self._lock = threading.RLock()
        self._wanted = Custom()
        self._resource = ReadableResource()
        self.limits = DEFAULT_LIMITS
        #: None while all but the share of sampled traces is as by default: then spans take the short way.
        self.custom: Custom | None = None
        self.root_bound = PARENT_BASED_ALWAYS_ON.bound

    @property
    def resource(self) -> ReadableResource:
        """Who sends."""
        return self._resource

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: "Attributes" = None,
    ) -> Tracer:
        """A tracer for an instrumentation scope."""
        key = (instrumenting_module_name, instrumenting_library_version, schema_url, repr(attributes))
        with self._lock:
            tracer = self._tracers.get(key)
            if tracer is None:
                scope = InstrumentationScope(
                    instrumenting_module_name or "",
                    instrumenting_library_version or "",
                    schema_url or "",
                    MappingProxyType(dict(attributes)) if attributes else _EMPTY,
                )
                tracer = self._tracers[key] = Tracer(self, scope)
        return tracer

    def begin(self, resource: Mapping[str, Any], sampler: Sampler | None, ids: Any, limits: SpanLimits) -> None:
        """Serve a pipeline that starts; processors that are there already stay."""
        with self._lock:
            self.describe(resource)
            self.limits = limits
            self._want(Custom(sampler or PARENT_BASED_ALWAYS_ON, ids, self._wanted.processors))

    def describe(self, resource: Mapping[str, Any]) -> None:
        """Say who sends."""
        self._resource = ReadableResource(MappingProxyType(dict(resource)))

    def add_span_processor(self, span_processor: Any) -> None:
        """Show every span to a processor when it starts and when it ends.

        Args:
            span_processor: has ``on_start``, ``on_end``, ``shutdown`` and ``force_flush``, as the stock SDK's have.
        """
        with self._lock:
            wanted = self._wanted
            self._want(Custom(wanted.sampler, wanted.ids, (*wanted.processors, span_processor)))

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Send all spans that have ended.

        Args:
            timeout_millis: how long to wait, in milliseconds.

        Returns:
            False if it took longer.
        """
        deadline = time.monotonic() + timeout_millis / 1000
        is_flushed = True
        for processor in self._wanted.processors:
            remaining = deadline - time.monotonic()
            try:
                # The stock processors answer None, or anything but False, for yes.
                is_flushed = processor.force_flush(max(0, int(remaining * 1000))) is not False and is_flushed
            except Exception:  # noqa: BLE001 (telemetry never raises into the service)
                internal_error("force_flush of a span processor")
                is_flushed = False
        return self._flush(max(0.0, deadline - time.monotonic())) and is_flushed

    def shutdown(self) -> None:
        """End tracing until the next ``init``: send what has ended, shut the processors down, record no more."""
        self.force_flush(5000)
        self.shutdown_processors()(5.0)
        with self._lock:
            self._want(Custom(sampler_of("always_off")))

    def shutdown_processors(self) -> Callable[[float], None]:
        """Forget the service's processors and begin to shut them down, beside all else that ends.

        Returns:
            A function that waits until they are done, for at most so many seconds; then they are left to themselves.
        """
        with self._lock:
            wanted = self._wanted
            self._want(Custom(wanted.sampler, wanted.ids))
        if not wanted.processors:
            return lambda _: None
        thread = threading.Thread(
            target=_shut_down, args=(wanted.processors,), name="shopscope-processors", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:
            # The interpreter ends and starts no threads any more.
            _shut_down(wanted.processors)
            return lambda _: None

        def wait(timeout_seconds: float) -> None:
            thread.join(max(0.0, timeout_seconds))
            if thread.is_alive():
                log_once("slow span processor", "a span processor was not shut down in time; it is left to itself")

        return wait

    def after_fork_in_child(self) -> None:
        """Another thread of the parent may have held the lock."""
        self._lock = threading.RLock()

    def _want(self, wanted: Custom) -> None:
        self._wanted = wanted
        sampler = wanted.sampler
        is_short = type(sampler) is ParentSampler and wanted.ids is None and not wanted.processors
        if type(sampler) is ParentSampler:
            self.root_bound = sampler.bound
        self.custom = None if is_short and self.limits == DEFAULT_LIMITS else wanted
        if self.custom is None:
            self.finish = self._export
        elif wanted.processors or self.limits != DEFAULT_LIMITS:
            self.finish = self._finish_settled
        else:
            self.finish = self._finish_sampled
        for tracer in self._tracers.values():
            tracer.follow()

    def _finish_sampled(self, span: Span) -> None:
        (self._export if span.is_sampled else self.observe)(span)

    def _finish_settled(self, span: Span) -> None:
        span.settle(self.limits)
        self._finish_sampled(span)
        end_processed(span, self._wanted.processors)


def _shut_down(processors: tuple[Any, ...]) -> None:
    for processor in processors:
        try:
            processor.shutdown()
        except Exception:  # noqa: BLE001 (telemetry never raises into the service)
            internal_error("shutdown of a span processor")
