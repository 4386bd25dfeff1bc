"""Sends OTLP batches that can be told apart, and remembers what was answered to each.

A batch is encoded once and marked by replacing eight bytes, so that Python sends as fast as a collector takes. The mark
is the first half of every trace id: what became of a batch can be read from what a backend holds.
"""

import contextlib
import http.client
import re
import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

PROTOBUF = {"Content-Type": "application/x-protobuf"}
_MARK = b"\xa5\x5a" * 4
_MARK_TIME = 0x5A5AA5A5A5A5A5A5  # a fixed64 whose bytes are looked for in the same way
_RETRYABLE = frozenset({0, 429, 502, 503, 504})
_PAUSE_SECONDS = 0.05
_ANSWER_SECONDS = 20.0
NO_ANSWER = 0
"""What stands for a status where the connection broke."""


def _described(resource: Any, run: str) -> None:
    for key, value in (
        ("service.name", f"load-{run}"),
        ("service.namespace", "demo-shop"),
        ("service.instance.id", run),
        ("telemetry.sdk.language", "python"),
    ):
        resource.attributes.add(key=key).value.string_value = value


def trace_batch(run: str, size: int, padding: str = "") -> bytes:
    """A request with ``size`` spans of 250 bytes, or so much longer as the padding."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    _described(group.resource, run)
    scoped = group.scope_spans.add()
    now = time.time_ns()
    for number in range(size):
        mark = number.to_bytes(8, "big")
        span = scoped.spans.add(trace_id=_MARK + mark, span_id=(number + 1).to_bytes(8, "big"))
        span.name, span.kind = "POST /checkout", 2
        span.start_time_unix_nano, span.end_time_unix_nano = now, now + 5_000_000
        for key, text in (("http.request.method", "POST"), ("http.route", "/checkout"), ("padding", padding)):
            span.attributes.add(key=key).value.string_value = text
        span.attributes.add(key="http.response.status_code").value.int_value = 200
    return request.SerializeToString()


def log_batch(run: str, size: int, padding: str = "") -> bytes:
    """A request with ``size`` log records, longer by the padding."""
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    _described(group.resource, run)
    scoped = group.scope_logs.add()
    now = time.time_ns()
    for number in range(size):
        record = scoped.log_records.add(trace_id=_MARK + number.to_bytes(8, "big"), span_id=b"\1" * 8)
        record.time_unix_nano, record.severity_number, record.severity_text = now, 9, "INFO"
        record.body.string_value = f"order placed {padding}"
    return request.SerializeToString()


def metric_batch(run: str, size: int) -> bytes:
    """A request with one point of each of ``size`` series; the mark is the points' time."""
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    _described(group.resource, run)
    metric = group.scope_metrics.add().metrics.add(name="load.probe")
    for number in range(size):
        point = metric.gauge.data_points.add(time_unix_nano=_MARK_TIME, as_double=1.0)
        point.attributes.add(key="series").value.string_value = f"s{number}"
    return request.SerializeToString()


_BATCHES = {"traces": trace_batch, "logs": log_batch, "metrics": metric_batch}


def items_in(signal: str, request: bytes) -> int:
    """How many spans, records or points a whole HTTP request holds; 0 when it is cut short."""
    head, _, body = request.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    if length is None or int(length[1]) != len(body):
        return 0
    if signal == "traces":
        spans = ExportTraceServiceRequest.FromString(body).resource_spans
        return sum(len(scoped.spans) for group in spans for scoped in group.scope_spans)
    if signal == "logs":
        logs = ExportLogsServiceRequest.FromString(body).resource_logs
        return sum(len(scoped.log_records) for group in logs for scoped in group.scope_logs)
    metrics = ExportMetricsServiceRequest.FromString(body).resource_metrics
    return sum(
        len(metric.gauge.data_points)
        for group in metrics
        for scoped in group.scope_metrics
        for metric in scoped.metrics
    )


@dataclass(frozen=True)
class Fate:
    """What became of a load: items that were acknowledged, those of them that arrived or not, and further copies."""

    acknowledged: int
    arrived: int
    lost: int
    twice: int


@dataclass
class Load:
    """Batches of one signal, each sent until it is acknowledged, from several connections.

    Attributes:
        url: the receiver's address.
        signal: traces, logs or metrics.
        size: spans, records or points in a batch.
        connections: how many requests are under way at once.
        rate: batches a second; as fast as possible when 0.
        retries: whether a batch that was refused is sent again.
        padding: makes each span or record so much longer.
        age_seconds: how old the first points are.
        headers: sent beside the content type.
        acknowledged: marks of batches that were answered 200.
        resent: marks of batches that were sent more than once, because they were refused or not answered.
        answers: how often each status was answered; ``NO_ANSWER`` where the connection broke.
    """

    url: str
    signal: str = "traces"
    size: int = 200
    connections: int = 4
    rate: float = 0.0
    retries: bool = True
    padding: str = ""
    age_seconds: int = 60
    headers: dict[str, str] = field(default_factory=dict)
    run: str = field(default_factory=lambda: secrets.token_hex(3))
    acknowledged: set[int] = field(default_factory=set)
    resent: set[int] = field(default_factory=set)
    answers: Counter[int] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        options = {"padding": self.padding} if self.padding else {}
        self._body = _BATCHES[self.signal](self.run, self.size, **options)
        self._began_nano = (time.time_ns() // 10**9 - self.age_seconds) * 10**9
        self._next = self._first = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._began = time.monotonic()

    @property
    def service(self) -> str:
        """The name by which its data are found: no other load has it."""
        return f"load-{self.run}"

    @property
    def items(self) -> int:
        """How many spans, records or points were acknowledged."""
        return len(self.acknowledged) * self.size

    @property
    def refused(self) -> int:
        """How many requests were not acknowledged."""
        return self.answers.total() - self.answers[200]

    def send(self, batches: int) -> None:
        """Send so many batches and come back when each is acknowledged (or refused, where nothing is sent again)."""
        self._work(batches)

    @contextlib.contextmanager
    def running(self) -> Iterator["Load"]:
        """Send while the context lasts; at its end what is under way is finished."""
        self._stop.clear()
        worker = threading.Thread(target=self._work, args=(None,))
        worker.start()
        try:
            yield self
        finally:
            self._stop.set()
            worker.join()

    def wait_for(self, batches: int, seconds: float = 60.0) -> None:
        """Wait until so many batches in all are acknowledged."""
        deadline = time.monotonic() + seconds
        while len(self.acknowledged) < batches:
            assert time.monotonic() < deadline, f"{len(self.acknowledged)} of {batches} batches; {self.answers}"
            time.sleep(0.01)

    def marked(self, number: int) -> bytes:
        """The body of the batch with this number."""
        if self.signal == "metrics":
            return self._body.replace(_MARK_TIME.to_bytes(8, "little"), self.time_nano(number).to_bytes(8, "little"))
        return self._body.replace(_MARK, bytes.fromhex(f"{int(self.run, 16):08x}{number:08x}"))

    def time_nano(self, number: int) -> int:
        """The time of every point of the batch with this number."""
        return self._began_nano + number * 10_000_000

    def fate(self, found: Counter[tuple[int, str]]) -> "Fate":
        """What became of the acknowledged batches.

        Args:
            found: how often each item is there, by batch number and the item's name within the batch.
        """
        of_batch = Counter(number for number, _ in found)
        lost = sum(self.size - of_batch[number] for number in self.acknowledged)
        return Fate(self.items, sum(of_batch[number] for number in self.acknowledged), lost, found.total() - len(found))

    def _work(self, batches: int | None) -> None:
        self._began, self._first = time.monotonic(), self._next
        last = None if batches is None else self._next + batches
        threads = [threading.Thread(target=self._connect, args=(last,)) for _ in range(self.connections)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _connect(self, last: int | None) -> None:
        sender = _Connection(self.url, self.signal, self.headers)
        while not self._stop.is_set() and (number := self._take(last)) is not None:
            if self.rate:
                self._stop.wait(max(0.0, self._began + (number - self._first) / self.rate - time.monotonic()))
            self._deliver(sender, number)
        sender.close()

    def _take(self, last: int | None) -> int | None:
        with self._lock:
            if self._next == last:
                return None
            self._next += 1
            return self._next - 1

    def _deliver(self, sender: "_Connection", number: int) -> None:
        body = self.marked(number)
        gives_up = time.monotonic() + 120.0
        while time.monotonic() < gives_up:
            status = sender.post(body)
            with self._lock:
                self.answers[status] += 1
                if status == 200:
                    self.acknowledged.add(number)
                else:
                    self.resent.add(number)
            if status not in _RETRYABLE or not self.retries:
                return
            time.sleep(_PAUSE_SECONDS)


class _Connection:
    """One kept-alive connection that is opened again when it breaks."""

    def __init__(self, url: str, signal: str, headers: dict[str, str]) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_ANSWER_SECONDS)
        self._path = f"/v1/{signal}"
        self._headers = PROTOBUF | headers

    def post(self, body: bytes) -> int:
        """Status of the answer, or ``NO_ANSWER``."""
        try:
            self._connection.request("POST", self._path, body, self._headers)
            answer = self._connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return NO_ANSWER
        return answer.status

    def close(self) -> None:
        """Close it."""
        self._connection.close()
