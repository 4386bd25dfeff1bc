"""OTLP/HTTP as its specification says: ``POST /v1/traces``, ``/v1/metrics``, ``/v1/logs``.

The event loop only moves bytes; decompressing and decoding happen on one other thread (more would only take turns at
the interpreter's lock), so that a large request does not hold up the small ones' answers or a health check.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.json_format import MessageToJson  # type: ignore[import-untyped]  # ships no types
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from shopscope_ops.engines.embedded._body import BodyReader, decompress
from shopscope_ops.engines.embedded._refusal import Refusal, status_response
from shopscope_ops.store import QueueFullError, Store, StoreUnavailableError
from shopscope_ops.store.otlp import (
    JSON,
    PROTOBUF,
    Decoded,
    DecodeError,
    decode_logs,
    decode_metrics,
    decode_traces,
)

__all__ = ["SIGNALS", "Receiver", "Signal"]


@dataclass(frozen=True, slots=True)
class Signal:
    """One of OTLP's signals.

    Attributes:
        name: traces, metrics or logs; also the last part of the path.
        decode: its decoder.
        response: the class of its answer.
        rejected_field: the answer's field that counts what was rejected.
    """

    name: str
    decode: Callable[[bytes, str], Decoded]
    response: Callable[[], Any]
    rejected_field: str


SIGNALS: Final = (
    Signal("traces", decode_traces, ExportTraceServiceResponse, "rejected_spans"),
    Signal("metrics", decode_metrics, ExportMetricsServiceResponse, "rejected_data_points"),
    Signal("logs", decode_logs, ExportLogsServiceResponse, "rejected_log_records"),
)


class Receiver:
    """Takes requests into the store and counts them.

    Attributes:
        accepted: spans, points and records acknowledged, by signal.
        rejected: those refused one by one, by signal.
        refused_requests: requests not answered with 200, by signal and status.
        is_closing: requests are answered with 503 from now on.
    """

    def __init__(self, store: Store, bodies: BodyReader | None = None) -> None:
        self.accepted: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()
        self.refused_requests: Counter[tuple[str, int]] = Counter()
        self.is_closing = False
        self._store = store
        self._bodies = bodies or BodyReader()
        self._decoder = ThreadPoolExecutor(1, thread_name_prefix="shopscope-decode")

    def endpoint(self, signal: Signal) -> Callable[[Request], Any]:
        """The handler of a signal's path."""

        async def handle(request: Request) -> Response:
            content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            try:
                decoded = await self._export(request, signal, content_type)
            except Refusal as refusal:
                self.refused_requests[signal.name, refusal.status] += 1
                return status_response(refusal, content_type)
            except ClientDisconnect:
                return Response(status_code=400)  # nobody reads it
            self.accepted[signal.name] += decoded.accepted
            self.rejected[signal.name] += decoded.rejected
            return _success(signal, decoded, content_type)

        return handle

    def close(self) -> None:
        """End the decoding thread."""
        self._decoder.shutdown(cancel_futures=True)

    async def _export(self, request: Request, signal: Signal, content_type: str) -> Decoded:
        """Rows of a request, once they are durable."""
        if content_type not in (PROTOBUF, JSON):
            raise Refusal(415, f"content-type must be {PROTOBUF} or {JSON}: {content_type!r}; choose one of them")
        if self.is_closing:
            raise Refusal(503, "the engine is stopping; send again after it has restarted", 5)
        encoding = request.headers.get("content-encoding", "").strip().lower()
        body = await self._bodies.read(request)
        try:
            loop = asyncio.get_running_loop()
            decoded = await loop.run_in_executor(self._decoder, _decode, signal, body, encoding, content_type)
        except DecodeError as error:
            raise Refusal(400, str(error)) from error
        finally:
            self._bodies.release(body)
        try:
            await asyncio.wrap_future(self._store.submit(decoded.tables))
        except QueueFullError as error:
            raise Refusal(429, str(error), error.retry_after_seconds) from error
        except StoreUnavailableError as error:
            raise Refusal(503, str(error), error.retry_after_seconds) from error
        return decoded


def _decode(signal: Signal, body: bytes, encoding: str, content_type: str) -> Decoded:
    return signal.decode(decompress(body, encoding), content_type)


def _success(signal: Signal, decoded: Decoded, content_type: str) -> Response:
    message = signal.response()
    if decoded.rejected:
        setattr(message.partial_success, signal.rejected_field, decoded.rejected)
        message.partial_success.error_message = decoded.message
    is_protobuf = content_type == PROTOBUF
    body: bytes | str = message.SerializeToString() if is_protobuf else MessageToJson(message, indent=None)
    return Response(body, media_type=content_type)
