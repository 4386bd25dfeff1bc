"""From an endpoint's settings to what sends, and to what stands in where nothing is sent."""

from collections.abc import Callable

from shopscope._export._endpoints import Endpoint
from shopscope._export._transport import Exporter, Outcome, Reply, Transport
from shopscope._export._worker import Batch, MetricReader, QueueLimits, Record, RecordQueue

Frame = Callable[[Batch], bytes]
Collect = Callable[[], tuple[bytes, int]]


def queue_of(signal: str, endpoint: Endpoint, limits: QueueLimits, frame: Frame) -> RecordQueue:
    """The queue of spans or of log records."""
    kind = RecordQueue if endpoint.exporters else NoQueue
    return kind(signal, exporter_of(signal, endpoint), limits, frame)


def reader_of(endpoint: Endpoint, interval_seconds: float, collect: Collect) -> MetricReader:
    """What pushes metrics; the exporter ``prometheus`` is asked instead."""
    kind = MetricReader if {"otlp", "console"} & set(endpoint.exporters) else NoReader
    return kind(exporter_of("metrics", endpoint), interval_seconds, collect)


def exporter_of(signal: str, endpoint: Endpoint) -> Exporter:
    """What sends one signal's requests."""
    exporter = _otlp(signal, endpoint) if "otlp" in endpoint.exporters else None
    if "console" in endpoint.exporters:
        from shopscope._export._console import Console  # noqa: PLC0415 (few choose it; all others start sooner)

        return Console(signal, exporter)
    return exporter or Nowhere()


def _otlp(signal: str, endpoint: Endpoint) -> Exporter:
    if endpoint.protocol == "grpc":
        from shopscope._export._grpc import GrpcTransport  # noqa: PLC0415 (needs grpcio, which only those have who chose it)

        return GrpcTransport(signal, endpoint)
    json_of = signal if endpoint.protocol == "http/json" else ""
    return Transport(
        endpoint.url,
        endpoint.headers,
        endpoint.timeout_seconds,
        gzip=endpoint.is_gzip,
        tls=endpoint.tls,
        json_of=json_of,
    )


class Nowhere:
    """The exporter ``none``; nothing gets as far as here."""

    url = "nowhere"

    def post(self, body: bytes) -> Reply:  # noqa: ARG002 (an exporter's signature)
        """Accept without sending."""
        return Reply(Outcome.ACCEPTED)

    def close(self) -> None:
        """Nothing is open."""

    forget = close


class NoQueue(RecordQueue):
    """The queue of a signal that is not exported: nothing is kept, no thread runs, nothing counts as lost."""

    def add(self, scope: bytes, body: bytes) -> None:
        """Let the record go."""

    def add_unencoded(self, record: Record) -> None:
        """The same."""

    def flush(self, timeout_seconds: float) -> bool:  # noqa: ARG002 (a queue's signature)
        """There is nothing to wait for."""
        return True


class NoReader(MetricReader):
    """The reader of metrics that are not pushed: no thread runs."""

    def start(self) -> None:
        """Collect nothing."""
