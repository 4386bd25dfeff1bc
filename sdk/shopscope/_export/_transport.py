"""One keep-alive connection to an OTLP/HTTP endpoint, and how its answers are read.

Source: https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

import base64
import contextlib
import email.utils
import http.client
import importlib
import socket
import time
import zlib
from collections.abc import Mapping
from enum import Enum
from typing import Any, NamedTuple, Protocol
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

import orjson

from shopscope._export._endpoints import Tls
from shopscope._export._protobuf import field
from shopscope._version import __version__

USER_AGENT = f"shopscope-otlp/{__version__}"
_RETRYABLE = frozenset({429, 502, 503, 504})
_GZIP = 16 + zlib.MAX_WBITS
_MAX_REPLY_BYTES = 65536
# A wrong header must not silence a service for days.
LONGEST_PAUSE_SECONDS = 300.0


class Outcome(Enum):
    """What an export request came to."""

    ACCEPTED = "accepted"
    RETRY = "retry"
    REFUSED = "refused"


class Reply(NamedTuple):
    """The endpoint's answer: outcome, reason in words, seconds it asks to wait, records it rejected."""

    outcome: Outcome
    reason: str = ""
    retry_after_seconds: float | None = None
    rejected: int = 0


class Exporter(Protocol):
    """What sends the requests of one signal; used by one thread at a time."""

    url: str

    def post(self, body: bytes) -> Reply:
        """Send one ``Export*ServiceRequest``; every failure becomes a reply."""

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""

    def forget(self) -> None:
        """Drop the connection without closing it: after a fork it belongs to the parent."""


class Transport:
    """Posts OTLP protobuf, or JSON if ``json_of`` names the signal, to one address."""

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        timeout_seconds: float,
        *,
        gzip: bool = True,
        tls: Tls | None = None,
        json_of: str = "",
    ) -> None:
        parts = urlsplit(url)
        # For messages: neither credentials nor a query, which may be one.
        self.url = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
        self._host = parts.hostname or ""
        self._port = parts.port
        self._is_tls = parts.scheme == "https"
        if self._is_tls or not self._host.isascii():
            # Now: a fork amid the export thread's first look-up would leave it half imported.
            importlib.import_module("encodings.idna")
        self._tls = tls or Tls()
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._timeout_seconds = timeout_seconds
        self._gzip = gzip
        self._json_of = json_of
        kind = "application/json" if json_of else "application/x-protobuf"
        self._headers = {"Content-Type": kind, "User-Agent": USER_AGENT, **_basic(parts), **headers}
        if gzip:
            self._headers["Content-Encoding"] = "gzip"
        self._connection: http.client.HTTPConnection | None = None

    def post(self, body: bytes) -> Reply:
        """Send one export request; every failure becomes a reply."""
        if self._json_of:
            from shopscope._export._otlp_json import to_json  # noqa: PLC0415 (few choose JSON; all others start sooner)

            body = to_json(self._json_of, body)
        payload = _gzip(body) if self._gzip else body
        reused = self._connection is not None
        try:
            return self._post(payload)
        except Exception as error:  # noqa: BLE001 (the promise of this method)
            self.close()
            # An idle connection may have been closed by the other side; that says nothing about the endpoint.
            if not reused or isinstance(error, TimeoutError):
                return Reply(Outcome.RETRY, f"{type(error).__name__}: {error}")
        try:
            return self._post(payload)
        except Exception as error:  # noqa: BLE001 (the promise of this method)
            self.close()
            return Reply(Outcome.RETRY, f"{type(error).__name__}: {error}")

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def forget(self) -> None:
        """Drop the connection without closing it: after a fork it belongs to the parent."""
        self._connection = None

    def _post(self, payload: bytes) -> Reply:
        connection = self._connection or self._connect()
        connection.request("POST", self._path, payload, self._headers)
        response = connection.getresponse()
        answer = response.read(_MAX_REPLY_BYTES)
        if response.will_close or not response.isclosed():
            self.close()
        if 200 <= response.status < 300:  # noqa: PLR2004 (success, RFC 9110)
            return Reply(Outcome.ACCEPTED, rejected=(_rejected_in_json if self._json_of else rejected_in)(answer))
        reason = f"HTTP {response.status} {response.reason}"
        if response.status in _RETRYABLE:
            return Reply(Outcome.RETRY, reason, _retry_after_seconds(response.headers.get("Retry-After")))
        return Reply(Outcome.REFUSED, reason)

    def _connect(self) -> http.client.HTTPConnection:
        timeout = self._timeout_seconds
        if self._is_tls:
            context = self._tls.context()
            self._connection = http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=context)
        else:
            self._connection = _Connection(self._host, self._port, timeout=timeout)
        return self._connection


class _Connection(http.client.HTTPConnection):
    """Looks an ASCII name up as bytes: as text it goes through IDNA, whose tables take milliseconds to import."""

    def connect(self) -> None:
        host: Any = self.host.encode("ascii") if self.host.isascii() else self.host
        self.sock = socket.create_connection((host, self.port), self.timeout)
        with contextlib.suppress(OSError):  # where the system has no such option
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _basic(parts: SplitResult) -> dict[str, str]:
    """Credentials in the address, as every HTTP client sends them."""
    if parts.username is None:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def _gzip(body: bytes) -> bytes:
    # Level 1: spans of one service repeat so much that higher levels cost three times the CPU for a tenth of the bytes.
    compressor = zlib.compressobj(1, zlib.DEFLATED, _GZIP)
    return compressor.compress(body) + compressor.flush()


def _retry_after_seconds(header: str | None) -> float | None:
    if not header:
        return None
    try:
        seconds = float(header) if header.strip().isdigit() else _seconds_until(header)
    except (ValueError, OverflowError):
        return None
    return min(max(0.0, seconds), LONGEST_PAUSE_SECONDS)


def _seconds_until(date: str) -> float:
    return email.utils.parsedate_to_datetime(date).timestamp() - time.time()


def rejected_in(answer: bytes) -> int:
    """Count of rejected records in an ``Export*ServiceResponse``; what cannot be read counts as none.

    ``partial_success`` is field 1, and in it the count is field 1, for all three signals.
    """
    try:
        partial = field(answer, 1)
        count = field(partial, 1) if isinstance(partial, bytes) else 0
    except ValueError:
        return 0
    return count if isinstance(count, int) else 0


def _rejected_in_json(answer: bytes) -> int:
    """The same of a JSON answer, where the count is a number or, being 64 bits wide, a string."""
    try:
        partial = orjson.loads(answer)["partialSuccess"]
        return max(0, *(int(count) for name, count in partial.items() if name.startswith("rejected")), 0)
    except (ValueError, TypeError, KeyError, AttributeError):
        return 0
