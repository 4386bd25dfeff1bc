"""One keep-alive connection to an OTLP/HTTP endpoint, and how its answers are read.

Source: https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

import email.utils
import http.client
import ssl
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from urllib.parse import urlsplit

_RETRYABLE = frozenset({429, 502, 503, 504})
_GZIP = 16 + zlib.MAX_WBITS
_MAX_REPLY_BYTES = 65536
# A wrong header must not silence a service for days.
_LONGEST_PAUSE_SECONDS = 300.0
_FIRST_FIELD_BYTES, _FIRST_FIELD_NUMBER = 0x0A, 0x08


class Outcome(Enum):
    """What an export request came to."""

    ACCEPTED = "accepted"
    RETRY = "retry"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Reply:
    """The endpoint's answer: outcome, reason in words, seconds it asks to wait, records it rejected."""

    outcome: Outcome
    reason: str = ""
    retry_after_seconds: float | None = None
    rejected: int = 0


class Transport:
    """Posts OTLP protobuf to one address; used by one thread at a time."""

    def __init__(self, url: str, headers: Mapping[str, str], timeout_seconds: float, *, gzip: bool = True) -> None:
        parts = urlsplit(url)
        self.url = url
        self._host = parts.hostname or ""
        self._port = parts.port
        self._is_tls = parts.scheme == "https"
        self._path = parts.path + (f"?{parts.query}" if parts.query else "")
        self._timeout_seconds = timeout_seconds
        self._gzip = gzip
        self._headers = {"Content-Type": "application/x-protobuf", "User-Agent": "shopscope-otlp", **headers}
        if gzip:
            self._headers["Content-Encoding"] = "gzip"
        self._connection: http.client.HTTPConnection | None = None

    def post(self, body: bytes) -> Reply:
        """Send one export request; every failure becomes a reply."""
        payload = _gzip(body) if self._gzip else body
        reused = self._connection is not None
        try:
            return self._post(payload)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            # An idle connection may have been closed by the other side; that says nothing about the endpoint.
            if not reused or isinstance(error, TimeoutError):
                return Reply(Outcome.RETRY, f"{type(error).__name__}: {error}")
        try:
            return self._post(payload)
        except (OSError, http.client.HTTPException) as error:
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
            return Reply(Outcome.ACCEPTED, rejected=_rejected(answer))
        reason = f"HTTP {response.status} {response.reason}"
        if response.status in _RETRYABLE:
            return Reply(Outcome.RETRY, reason, _retry_after_seconds(response.headers.get("Retry-After")))
        return Reply(Outcome.REFUSED, reason)

    def _connect(self) -> http.client.HTTPConnection:
        if self._is_tls:
            self._connection = http.client.HTTPSConnection(
                self._host, self._port, timeout=self._timeout_seconds, context=ssl.create_default_context()
            )
        else:
            self._connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_seconds)
        return self._connection


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
    return min(max(0.0, seconds), _LONGEST_PAUSE_SECONDS)


def _seconds_until(date: str) -> float:
    return email.utils.parsedate_to_datetime(date).timestamp() - time.time()


def _rejected(answer: bytes) -> int:
    """Count of rejected records in an ``Export*ServiceResponse``; what cannot be read counts as none.

    ``partial_success`` is field 1, and in it the count is field 1, for all three signals.
    """
    try:
        partial = _first_field(answer)
        return partial if isinstance(partial, int) else int(_first_field(partial) or 0) if partial else 0
    except (IndexError, ValueError):
        return 0


def _first_field(data: bytes) -> bytes | int | None:
    """Value of field 1 if the message starts with it, as encoders write it."""
    if not data:
        return None
    number, position = _read_varint(data, 1)
    if data[0] == _FIRST_FIELD_BYTES:
        return data[position : position + number]
    return number if data[0] == _FIRST_FIELD_NUMBER else None


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[position]
        number |= (byte & 127) << shift
        position += 1
        shift += 7
        if byte < 128:  # noqa: PLR2004 (last group of seven bits)
            return number, position
