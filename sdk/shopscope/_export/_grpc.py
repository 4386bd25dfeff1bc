"""OTLP over gRPC by ``grpcio``, where it is installed: our requests are complete messages, so bytes go as they are.

Source: https://opentelemetry.io/docs/specs/otlp/#otlpgrpc
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc

from shopscope._export._endpoints import Endpoint, Tls
from shopscope._export._protobuf import field, fields
from shopscope._export._transport import LONGEST_PAUSE_SECONDS, USER_AGENT, Outcome, Reply, rejected_in

_METHODS = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}
_Code = grpc.StatusCode
_RETRYABLE = frozenset(
    {_Code.CANCELLED, _Code.DEADLINE_EXCEEDED, _Code.ABORTED, _Code.OUT_OF_RANGE, _Code.UNAVAILABLE, _Code.DATA_LOSS}
)
_DETAILS, _RETRY_INFO = "grpc-status-details-bin", b"google.rpc.RetryInfo"
# A parent's channels in a child: their threads are not there, so not even a destructor may touch them.
_forgotten: list[Any] = []


class GrpcTransport:
    """Sends the requests of one signal to one gRPC server."""

    def __init__(self, signal: str, endpoint: Endpoint) -> None:
        self.url = endpoint.url
        parts = urlsplit(endpoint.url)
        self._target = parts.netloc if parts.scheme in {"http", "https"} else endpoint.url
        self._method = _METHODS[signal]
        self._metadata = tuple((key.lower(), value) for key, value in endpoint.headers.items())
        self._timeout_seconds = endpoint.timeout_seconds
        self._compression = grpc.Compression.Gzip if endpoint.is_gzip else grpc.Compression.NoCompression
        self._tls = endpoint.tls if endpoint.is_secure else None
        self._channel: Any = None
        self._call: Any = None

    def post(self, body: bytes) -> Reply:
        """Send one export request; every failure becomes a reply."""
        try:
            if self._call is None:
                self._connect()
            answer = self._call(body, timeout=self._timeout_seconds, metadata=self._metadata)
        except grpc.RpcError as error:
            return _reply_to(error)
        except (OSError, ValueError) as error:
            # Files of the secure connection that are gone, or a channel that was closed under way.
            self.close()
            return Reply(Outcome.RETRY, f"{type(error).__name__}: {error}")
        return Reply(Outcome.ACCEPTED, rejected=rejected_in(answer))

    def close(self) -> None:
        """Close the channel; the next request opens a new one."""
        channel, self._channel, self._call = self._channel, None, None
        if channel is not None:
            channel.close()

    def forget(self) -> None:
        """Drop the channel without closing it: after a fork it belongs to the parent."""
        _forgotten.append((self._channel, self._call))
        self._channel = self._call = None

    def _connect(self) -> None:
        options = [("grpc.primary_user_agent", USER_AGENT)]
        if self._tls is None:
            self._channel = grpc.insecure_channel(self._target, options, self._compression)
        else:
            credentials = _credentials(self._tls)
            self._channel = grpc.secure_channel(self._target, credentials, options, self._compression)
        self._call = self._channel.unary_unary(self._method)


def _credentials(tls: Tls) -> Any:
    certificate, key, chain = (
        Path(path).read_bytes() if path else None for path in (tls.certificate, tls.client_key, tls.client_certificate)
    )
    return grpc.ssl_channel_credentials(certificate, key, chain)


def _reply_to(error: Any) -> Reply:
    code = error.code()
    reason = f"gRPC {code.name}: {error.details()}"
    pause = _retry_after_seconds(error.trailing_metadata() or ())
    # Exhausted is for good, unless the server says when to come again.
    if code in _RETRYABLE or (code is _Code.RESOURCE_EXHAUSTED and pause is not None):
        return Reply(Outcome.RETRY, reason, pause)
    return Reply(Outcome.REFUSED, reason)


def _retry_after_seconds(metadata: Iterable[tuple[str, str | bytes]]) -> float | None:
    """The delay of a ``google.rpc.RetryInfo`` among the status's details."""
    details = dict(metadata).get(_DETAILS)
    if not isinstance(details, bytes):
        return None
    try:
        for number, value in fields(details):
            if number == 3 and isinstance(value, bytes):  # noqa: PLR2004 (google.rpc.Status.details)
                kind, info = field(value, 1), field(value, 2)
                if isinstance(kind, bytes) and kind.endswith(_RETRY_INFO) and isinstance(info, bytes):
                    return _seconds(field(info, 1))
    except ValueError:
        return None
    return None


def _seconds(duration: int | bytes | None) -> float | None:
    if not isinstance(duration, bytes):
        return None
    seconds, nanoseconds = field(duration, 1) or 0, field(duration, 2) or 0
    if not isinstance(seconds, int) or not isinstance(nanoseconds, int):
        return None
    return min(seconds + nanoseconds / 1e9, LONGEST_PAUSE_SECONDS)
