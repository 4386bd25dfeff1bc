"""All metrics of a process in one place: what we, the service and its libraries measure, pushed or scraped."""

import functools
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric

from shopscope._configuration._resource import Resource
from shopscope._export._worker import RecordQueue
from shopscope._metrics import _meters
from shopscope._metrics import _names as names
from shopscope._metrics._families import ScopeFamilies, families_of, metrics_of
from shopscope._metrics._instruments import Instruments
from shopscope._metrics._otlp_metrics import MetricsEncoder
from shopscope._saturation import Saturation
from shopscope._saturation._plain import metric_of
from shopscope._tracing._tracer import encode_scope
from shopscope._version import __version__

if TYPE_CHECKING:
    from shopscope._metrics._exposition import Exposition

_SCOPE = encode_scope("shopscope", __version__)


class Metering:
    """Registries, meters and saturation, and the two ways out."""

    def __init__(
        self,
        instruments: Instruments,
        resource: Resource,
        queues: Sequence[RecordQueue],
        *,
        freezes_gc: bool = False,
        has_exemplars: bool = True,
    ) -> None:
        self._instruments = instruments
        self._resource = resource
        self._has_exemplars = has_exemplars
        self._saturation = Saturation(instruments, freezes_gc=freezes_gc)
        self.pools = self._saturation.pools
        #: Called by the middleware as soon as a loop serves.
        self.serving = self._saturation.serving
        instruments.add_collector(_Queues(queues))
        self._registries: list[CollectorRegistry] = [instruments.registry]
        self._encoder = MetricsEncoder(self._families, time.time_ns())

    @functools.cached_property
    def exposition(self) -> "Exposition":
        """What a scrape finds."""
        from shopscope._metrics._exposition import Exposition  # noqa: PLC0415 (most only push, and start sooner)

        return Exposition(self._metrics, _meters.provider.collect, lambda: self._resource.attributes)

    async def page(self, scope: Any, receive: Any, send: Any) -> None:
        """An ASGI application that answers with what a scrape finds."""
        from shopscope._metrics._exposition import asgi_app  # noqa: PLC0415 (most only push, and start sooner)

        await asgi_app(self.exposition)(scope, receive, send)

    def push(self) -> tuple[bytes, int]:
        """The body of an export request, and how many data points it has."""
        return self._encoder.collect(self._resource.encoded)

    def add_registry(self, registry: CollectorRegistry) -> None:
        """Send and show the metrics of this registry too."""
        if registry not in self._registries:
            self._registries.append(registry)

    def start(self) -> None:
        """Measure."""
        _meters.install_meter_provider()
        _meters.provider.start(has_exemplars=self._has_exemplars)
        self._saturation.start()

    def stop(self) -> None:
        """Measure no more."""
        self._saturation.stop()
        _meters.provider.stop()

    def after_fork_in_child(self) -> None:
        """Begin at zero; the instruments do so by themselves."""
        self._saturation.after_fork_in_child()
        _meters.provider.restart()

    def _metrics(self) -> Iterator[Metric]:
        self._instruments.before_read()
        for registry in self._registries:
            yield from metrics_of(registry)

    def _families(self) -> Iterator[ScopeFamilies]:
        self._instruments.before_read()
        families = [family for registry in self._registries for family in families_of(registry)]
        yield ScopeFamilies("shopscope", _SCOPE, families)
        yield from _meters.provider.collect()


class _Queues:
    """How full the queues are, read when asked."""

    def __init__(self, queues: Sequence[RecordQueue]) -> None:
        self._queues = queues

    def collect(self) -> Iterator[Metric]:
        """What ``prometheus_client`` calls."""
        figures = [({"signal": queue.signal}, queue.figures()) for queue in self._queues]
        yield metric_of(names.SDK_QUEUED, [(labels, found.queued) for labels, found in figures])
        yield metric_of(names.SDK_QUEUE_RECORDS, [(labels, found.records) for labels, found in figures])
        yield metric_of(names.SDK_QUEUE_BYTES, [(labels, found.bytes) for labels, found in figures])
        yield metric_of(names.SDK_QUEUE_MAX, [(labels, found.max_records) for labels, found in figures])
