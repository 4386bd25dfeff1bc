"""A real OTLP/gRPC server on a free port, that can be told how to answer."""

import contextlib
import threading
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_REQUESTS = {
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export": ExportTraceServiceRequest,
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export": ExportMetricsServiceRequest,
    "/opentelemetry.proto.collector.logs.v1.LogsService/Export": ExportLogsServiceRequest,
}
_DEADLINE_SECONDS = 20.0


class GrpcSink:
    """What the server has received, and what it shall answer."""

    def __init__(self) -> None:
        self.port = 0
        self.requests: list[Any] = []
        self.metadata: list[dict[str, Any]] = []
        #: Answers to come, each a status, a text and trailing metadata; afterwards all is well.
        self.refusals: list[tuple[grpc.StatusCode, str, tuple[tuple[str, bytes], ...]]] = []
        self.answer = b""
        self._changed = threading.Condition()

    @property
    def target(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.port}"

    def wait_for(self, count: int) -> list[Any]:
        """Requests, as soon as there are ``count`` of them."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.requests) >= count, _DEADLINE_SECONDS), len(self.requests)
            return list(self.requests)

    def serve(self, method: str, body: bytes, context: grpc.ServicerContext) -> bytes:
        """Answer one call."""
        metadata = dict(context.invocation_metadata())
        with self._changed:
            self.metadata.append(metadata)
            self.requests.append(_REQUESTS[method].FromString(body))
            refusal = self.refusals.pop(0) if self.refusals else None
            self._changed.notify_all()
        if refusal is not None:
            code, text, trailing = refusal
            context.set_trailing_metadata(trailing)
            context.abort(code, text)
        return self.answer

    @classmethod
    @contextlib.contextmanager
    def running(cls, credentials: grpc.ServerCredentials | None = None) -> Iterator["GrpcSink"]:
        """A server that listens while the context lasts."""
        sink = cls()
        server = grpc.server(futures.ThreadPoolExecutor(2))
        server.add_generic_rpc_handlers((_Handler(sink),))
        if credentials is None:
            sink.port = server.add_insecure_port("127.0.0.1:0")
        else:
            sink.port = server.add_secure_port("127.0.0.1:0", credentials)
        server.start()
        try:
            yield sink
        finally:
            server.stop(None).wait()


class _Handler(grpc.GenericRpcHandler):
    def __init__(self, sink: GrpcSink) -> None:
        self._sink = sink

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        """The one kind of call that there is."""
        method = details.method
        return grpc.unary_unary_rpc_method_handler(lambda body, context: self._sink.serve(method, body, context))
