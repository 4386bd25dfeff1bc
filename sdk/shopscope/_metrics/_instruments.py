"""The SDK's own instruments in the ``prometheus_client`` registry, and the cached children that make them cheap."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.registry import Collector

from shopscope._errors import ConfigError
from shopscope._metrics import _names as names
from shopscope._metrics._dependencies import Dependency
from shopscope._metrics._selfmetrics import renew_locks
from shopscope._metrics._series import OVERFLOW as OVERFLOW  # noqa: PLC0414 (callers find it beside the instruments)
from shopscope._metrics._series import (
    Capped,
    CappedCounter,
    CappedGauge,
    CappedHistogram,
    HistogramWithoutExemplars,
    Ids,
)
from shopscope.config import Journey

# https://opentelemetry.io/docs/specs/semconv/http/http-metrics/#metric-httpserverrequestduration
_SEMCONV_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
# A journey's p99 is read from these: steps of at most a third keep the interpolation honest.
_JOURNEY_BOUNDS = (
    *(0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.065, 0.08, 0.1, 0.13, 0.16, 0.2, 0.25, 0.3, 0.4, 0.5, 0.65, 0.8),
    *(1.0, 1.3, 1.6, 2.0, 2.5, 3.0, 4.0, 5.0, 6.5, 8.0, 10.0, 15.0, 30.0),
)
_WAIT_BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, *_SEMCONV_BOUNDS)
C = TypeVar("C", bound=Collector)
M = TypeVar("M", bound=Capped)

OUTCOMES = ("good", "slow", "error")
# From the second that a price may be old to the day that nobody wanted.
_AGE_BOUNDS = (0.1, 0.5, 1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0, 43200.0, 86400.0)


def _nothing() -> None:
    """As long as nobody has anything to count."""


def bounds_with(base: Iterable[float], thresholds: Iterable[float]) -> tuple[float, ...]:
    """Bucket bounds that contain every threshold, so that "slower than the objective" can be read exactly."""
    return tuple(sorted({*base, *thresholds}))


class Instruments:
    """All metrics that the SDK observes for one service."""

    def __init__(
        self, journeys: Iterable[Journey], registry: CollectorRegistry = REGISTRY, *, has_exemplars: bool = True
    ) -> None:
        journeys = tuple(journeys)
        thresholds = [journey.latency_seconds for journey in journeys]
        self.registry = registry
        #: Counts what has not been counted yet; called before somebody reads.
        self.before_read: Callable[[], None] = _nothing
        self._histogram_kind = CappedHistogram if has_exemplars else HistogramWithoutExemplars
        self._registered: list[Collector] = []
        self._journey_series: dict[str, tuple[CappedHistogram, dict[str, CappedCounter]]] = {}
        #: Counters of events that have begun, by journey.
        self.started: dict[str, CappedCounter] = {}
        self._journeys = journeys
        self.requests = self._histogram(names.REQUEST_DURATION, bounds_with(_SEMCONV_BOUNDS, thresholds))
        #: Requests being served; a plain number that the gauge reads, because a gauge costs two locks a request.
        self.active = 0
        self._gauge(names.ACTIVE_REQUESTS).set_function(lambda: self.active)
        self.journeys = self._histogram(names.JOURNEY_DURATION, bounds_with(_JOURNEY_BOUNDS, thresholds))
        self.journeys_started = self._counter(names.JOURNEY_STARTED)
        self.slo_events = self._counter(names.SLO_EVENTS)
        self.dependencies = self._histogram(names.DEPENDENCY_DURATION, bounds_with(_JOURNEY_BOUNDS, thresholds))
        self.orders = self._counter(names.ORDERS)
        self.order_value = self._counter(names.ORDER_VALUE)
        self.guards = self._gauge(names.GUARD_INFO)
        self.guard_events = self._counter(names.GUARD_EVENTS)
        self.cache_requests = self._counter(names.CACHE_REQUESTS)
        self.cache_ages = self._histogram(names.CACHE_AGE, _AGE_BOUNDS)
        self.write_conflicts = self._counter(names.WRITE_CONFLICTS)
        self.stale_reads = self._counter(names.STALE_READS)
        self.pool_wait = self._histogram(names.POOL_WAIT, _WAIT_BOUNDS)
        self.pool_timeouts = self._counter(names.POOL_TIMEOUTS)
        self._prepare_journeys()

    def _before_read(self) -> None:
        self.before_read()

    def _prepare_journeys(self) -> None:
        for journey in self._journeys:
            # Zero at start: without it the first failure is invisible to increase().
            events = {outcome: self.slo_events.labels(journey.name, outcome) for outcome in OUTCOMES}
            self._journey_series[journey.name] = self.journeys.labels(journey.name), events
            self.started[journey.name] = self.journeys_started.labels(journey.name)

    def unregister(self) -> list[Collector]:
        """Leave the registry, so that a later ``init`` can enter it.

        Returns:
            What was in it, for `add_collector` to bring back.
        """
        collectors, self._registered = self._registered, []
        for collector in collectors:
            self.registry.unregister(collector)
        return collectors

    def after_fork_in_child(self) -> None:
        """Begin at zero: what the parent has counted is the parent's to report."""
        self.active = 0
        renew_locks(self.registry)
        for metric in self._registered:
            if isinstance(metric, Capped):
                metric.restart()
        self._journey_series.clear()
        self._prepare_journeys()

    def request(self, method: str, route: str, status: str) -> CappedHistogram:
        """The series of a kind of request."""
        return self.requests.labels(method, route, status)

    def dependency(self, journey: str, dependency: Dependency, outcome: str) -> CappedHistogram:
        """The series of a dependency."""
        return self.dependencies.labels(journey, dependency.peer, dependency.kind, dependency.access, outcome)

    def count_journey(
        self,
        journey: Journey,
        seconds: float,
        exemplar: Ids | None,
        unix_seconds: float | None = None,
        *,
        is_error: bool,
    ) -> None:
        """Observe an event of a journey, ended now or at ``unix_seconds``: its duration, and good, slow or error."""
        outcome = "error" if is_error else "slow" if seconds > journey.latency_seconds else "good"
        duration, events = self._journey_series[journey.name]
        duration.observe(seconds, exemplar, unix_seconds)
        events[outcome].inc()

    def add_collector(self, collector: Collector) -> None:
        """Collect this too, until `unregister`."""
        self._register(collector)

    def _histogram(self, row: names.MetricName, bounds: tuple[float, ...]) -> CappedHistogram:
        return self._make(self._histogram_kind, row, buckets=bounds)

    def _counter(self, row: names.MetricName) -> CappedCounter:
        return self._make(CappedCounter, row)

    def _gauge(self, row: names.MetricName) -> CappedGauge:
        return self._make(CappedGauge, row)

    def _make(self, kind: type[M], row: names.MetricName, **options: Any) -> M:
        metric = kind(row.family, row.description, tuple(row.labels), registry=None, **options)
        metric.row = row
        metric.before_read = self._before_read
        return self._register(metric)

    def _register(self, metric: C) -> C:
        try:
            self.registry.register(metric)
        except ValueError as error:
            self.unregister()
            problem = f"metric names of shopscope must be free in prometheus_client's registry: {error}; rename yours"
            raise ConfigError([problem]) from error
        self._registered.append(metric)
        return metric
