"""A real OTLP/HTTP endpoint on a free port, that can be told to misbehave."""

import contextlib
import gzip
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

_REQUESTS = {
    "/v1/traces": ExportTraceServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
    "/v1/logs": ExportLogsServiceRequest,
}
_DEADLINE_SECONDS = 20.0


def plain(value: AnyValue) -> Any:
    """An OTLP value as a Python value."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {item.key: plain(item.value) for item in value.kvlist_value.values}
    return getattr(value, kind)


def plain_attributes(pairs: Any) -> dict[str, Any]:
    """OTLP attributes as a dictionary; the specification wants every key once."""
    keys = [pair.key for pair in pairs]
    assert sorted(set(keys)) == sorted(keys)
    return {pair.key: plain(pair.value) for pair in pairs}


@dataclass(frozen=True)
class Received:
    """One span, metric or log record, and who sent it; other names are those of the protobuf message."""

    resource: dict[str, Any]
    scope: str
    item: Any

    @property
    def tags(self) -> dict[str, Any]:
        """Its attributes."""
        return plain_attributes(self.item.attributes)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.item, name)


class Point(NamedTuple):
    """One data point of a metric."""

    tags: dict[str, Any]
    point: Any


@dataclass
class Answer:
    """How the endpoint answers: status, headers, body, after a delay, or ``hang`` or ``reset``."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    misbehaviour: str = ""
    delay_seconds: float = 0.0


class Sink:
    """What the endpoint has accepted, and what it shall answer."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.sizes: list[int] = []
        self.attempts: list[tuple[str, int]] = []
        self.headers: list[dict[str, str]] = []
        self.answers: dict[str, Answer] = {}
        self.released = threading.Event()
        self._changed = threading.Condition()
        self._spans: list[Received] = []
        self._logs: list[Received] = []
        self._metrics: list[list[Received]] = []

    @classmethod
    @contextlib.contextmanager
    def running(cls, port: int = 0) -> Iterator["Sink"]:
        """A sink that listens while the context lasts."""
        server = _Server(("127.0.0.1", port), _Handler)
        server.sink = cls(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.sink
        finally:
            server.sink.released.set()
            server.shutdown()
            server.server_close()
            thread.join()

    def answer(self, signal: str = "", **how: Any) -> None:
        """Answer requests of one signal (all by default) in this way from now on; nothing given: well."""
        for name in (signal,) if signal else ("traces", "metrics", "logs"):
            self.answers[f"/v1/{name}"] = Answer(**how)

    def accept(self, path: str, body: bytes) -> None:
        """Keep what a request holds."""
        request = _REQUESTS[path].FromString(body)
        with self._changed:
            if path == "/v1/traces":
                spans = _flatten(request.resource_spans, "scope_spans", "spans")
                self._spans += spans
                self.sizes.append(len(spans))
            elif path == "/v1/logs":
                self._logs += _flatten(request.resource_logs, "scope_logs", "log_records")
            else:
                self._metrics.append(_flatten(request.resource_metrics, "scope_metrics", "metrics"))

    def note(self, path: str, status: int, headers: dict[str, str]) -> None:
        """Remember an attempt, after all else is done with it."""
        with self._changed:
            self.attempts.append((path, status))
            self.headers.append(headers)
            self._changed.notify_all()

    def spans(self, count: int = 0, name: str = "") -> list[Received]:
        """Spans (of that name), as soon as there are ``count`` of them."""
        return self._wait(lambda: [span for span in self._spans if name in ("", span.item.name)], count)

    def span(self, name: str = "") -> Received:
        """The one span (of that name)."""
        (span,) = self.spans(1, name)
        return span

    def logs(self, count: int = 0, body: str = "") -> list[Received]:
        """Log records (with that body), as soon as there are ``count`` of them."""
        return self._wait(lambda: [log for log in self._logs if body in ("", log.item.body.string_value)], count)

    def log(self, body: str) -> Received:
        """The one log record with that body."""
        (log,) = self.logs(1, body)
        return log

    def pushes(self, count: int = 0) -> list[list[Received]]:
        """Requests with metrics, as soon as there are ``count`` of them."""
        return self._wait(lambda: self._metrics[:], count)

    def points(self, name: str, push: int = -1) -> list[Point]:
        """Data points of one metric in one push, the latest by default."""
        found = [metric for metric in self.pushes(1)[push] if metric.item.name == name]
        points = [
            point for metric in found for point in getattr(metric.item, metric.item.WhichOneof("data")).data_points
        ]
        return [Point(plain_attributes(point.attributes), point) for point in points]

    def wait_for_attempts(self, path: str, count: int) -> list[int]:
        """Answers that requests to ``path`` got, as soon as there are ``count`` of them."""
        return self._wait(lambda: [status for its, status in self.attempts if its == path], count)

    def _wait(self, find: Any, count: int) -> list[Any]:
        deadline = time.monotonic() + _DEADLINE_SECONDS
        with self._changed:
            while len(found := find()) < count:
                remaining = deadline - time.monotonic()
                assert remaining > 0, f"{len(found)} of {count} arrived within {_DEADLINE_SECONDS} s"
                self._changed.wait(remaining)
        return found


def _flatten(resources: Any, scopes: str, items: str) -> list[Received]:
    return [
        Received(plain_attributes(resource.resource.attributes), scope.scope.name, item)
        for resource in resources
        for scope in getattr(resource, scopes)
        for item in getattr(scope, items)
    ]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    sink: Sink

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is part of the game."""


class TlsServer(_Server):
    """The endpoint behind TLS."""

    context: ssl.SSLContext

    def get_request(self) -> tuple[Any, Any]:
        """Accept; a client that is gone before we look leaves nothing open."""
        connection, address = self.socket.accept()
        try:
            secure = self.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        except OSError:
            connection.close()
            raise
        return secure, address


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        sink = self.server.sink
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        answer = sink.answers.get(self.path, Answer())
        if answer.misbehaviour == "hang":
            sink.note(self.path, 0, dict(self.headers))
            sink.released.wait(_DEADLINE_SECONDS)
            self.close_connection = True
            return
        if answer.misbehaviour == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            sink.note(self.path, 0, dict(self.headers))
            return
        sink.released.wait(answer.delay_seconds)
        if answer.status == 200:
            sink.accept(self.path, body)
        # Noted before the answer leaves: the sender's next step must find it.
        sink.note(self.path, answer.status, dict(self.headers))
        self.send_response(answer.status)
        for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, *_: Any) -> None:
        """Quiet."""
