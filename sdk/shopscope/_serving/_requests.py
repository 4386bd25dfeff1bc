"""What requests of one kind share, encoded or looked up once, and the little that is left to do for each."""

from binascii import hexlify
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

from shopscope._export import _wire as wire
from shopscope._logging import _logs as logs
from shopscope._logging._values import json_line, redact
from shopscope._pipeline import Pipeline
from shopscope._serving._routes import FIRST_SERVER_ERROR
from shopscope._tracing._fields import ATTRIBUTE, JOURNEY_KEY

if TYPE_CHECKING:
    from shopscope._serving._request import Request

_LOGGED = ("http.request.method", "http.route", "http.response.status_code", "error.type", "url.path", JOURNEY_KEY)
_LAST_PORT = 65535
#: Of headers that anyone may send.
MAX_HEADER_BYTES = 256
# The attribute's key and the tag of its value; the eight bytes of the value follow.
_DURATION = wire.attributes(logs.ATTRIBUTE, {"duration_ms": 0.0})[:-8]
encode_path = wire.TextAttribute("url.path").encode
_WEBSOCKETS = ("ws", "wss")


class RequestKind:
    """Requests with the same route, status, journey, host, agent and protocol.

    Most of a server span, of an access line and of its OTLP record is the same for all of them.
    """

    __slots__ = (
        "_add_record",
        "_level",
        "_line",
        "_log_constant",
        "_logs",
        "_span_attributes",
        "duration",
        "has_constant_path",
        "is_error",
        "span_attributes",
        "span_name",
    )

    def __init__(self, pipeline: Pipeline, request: "Request", route: str) -> None:
        is_known = request.method in pipeline.settings.http.known_methods
        method = request.method if is_known else "_OTHER"
        status, journey = request.status, request.journey_name
        attributes = _attributes(request, method, route)
        self._logs, self._add_record = pipeline.logs, pipeline.log_records.add
        #: The path is the route, so that it is among what is encoded once.
        self.has_constant_path = request.path == route
        if self.has_constant_path:
            attributes["url.path"] = route
        self.is_error = status >= FIRST_SERVER_ERROR or not status
        self._level = "error" if self.is_error else "info"
        self.span_name = f"{method if is_known else 'HTTP'} {route}".rstrip()
        self._span_attributes = dict(attributes)
        self.span_attributes = wire.attributes(ATTRIBUTE, attributes)
        if journey:
            attributes[JOURNEY_KEY] = journey
        logged = {key: attributes[key] for key in _LOGGED if key in attributes}
        self._log_constant = logs.encode_head(self._level, "request") + wire.attributes(logs.ATTRIBUTE, logged)
        if journey:
            logged["journey"] = logged.pop(JOURNEY_KEY)
        service = pipeline.settings.service
        line = {"level": self._level, "event": "request", "logger": "shopscope.access", "service": service, **logged}
        redact(line)
        self._line = b'Z",' + json_line(line)[1:-1] + b',"duration_ms":'
        #: None for a websocket, which lasts as long as its client likes: among durations it would only mislead.
        self.duration = (
            None
            if request.protocol[0] in _WEBSOCKETS
            else pipeline.instruments.request(method, route, str(status) if status else "")
        )

    def span_attributes_but(self, own: Mapping[str, Any]) -> bytes:
        """The span's attributes without those that the service has set itself."""
        if self._span_attributes.keys().isdisjoint(own):
            return self.span_attributes
        left = {key: value for key, value in self._span_attributes.items() if key not in own}
        return wire.attributes(ATTRIBUTE, left)

    def log(self, request: "Request", path: str, path_attribute: bytes, ids: tuple[int, int]) -> bytes:
        """Make the access line, and queue its OTLP record.

        Args:
            request: that has ended.
            path: its path without secrets; empty if it is the route.
            path_attribute: the same, encoded.
            ids: of the trace and the span.

        Returns:
            The line, which is still to be written: what ends the process in between must find the record queued.
        """
        output, now_nano = self._logs, request.end_unix_nano
        nanoseconds = now_nano - request.start_unix_nano
        trace_id, span_id = ids[0].to_bytes(16), ids[1].to_bytes(8)
        second, microseconds = output.clock.parts(now_nano)
        line = b"".join(
            (
                b'{"timestamp":"',
                second,
                b"%06d" % microseconds,
                self._line,
                b"%d.%03d" % divmod(nanoseconds // 1000, 1000),
                b',"trace_id":"',
                hexlify(trace_id),
                b'","span_id":"',
                hexlify(span_id),
                b'","url.path":' if path else b'"',
                json_line(path) if path else b"",
                b"}",
            )
        )
        path_field = logs.ATTRIBUTE + path_attribute if path_attribute else b""
        record = b"".join(
            (
                logs.encode_numbers(now_nano, trace_id, span_id),
                self._log_constant,
                path_field,
                _DURATION,
                wire.pack_double(nanoseconds / 1e6),
            )
        )
        self._add_record(logs.SCOPE, record)
        return line if output.is_json else output.render(orjson.loads(line))


def _attributes(request: "Request", method: str, route: str) -> dict[str, str | int]:
    """Source: https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server-span."""
    (scheme, version), status = request.protocol, request.status
    attributes: dict[str, str | int] = {"http.request.method": method, "url.scheme": scheme}
    if method == "_OTHER":
        attributes["http.request.method_original"] = request.method
    if route:
        attributes["http.route"] = route
    if status:
        attributes["http.response.status_code"] = status
    if status >= FIRST_SERVER_ERROR:
        attributes["error.type"] = str(status)
    address, port = _host_and_port(request)
    attributes["server.address"] = address
    if port is not None:
        attributes["server.port"] = port
    if scheme in _WEBSOCKETS:
        attributes["network.protocol.name"] = "websocket"
    attributes["network.protocol.version"] = version
    if request.agent:
        attributes["user_agent.original"] = _text_of(request.agent[:MAX_HEADER_BYTES])
    return attributes


def _text_of(header: bytes) -> str:
    """A header's text; of one that was cut, without the last word: of a secret cut in two the form is not known."""
    text = header.decode("latin-1")
    return text.rpartition(" ")[0] if len(header) >= MAX_HEADER_BYTES else text


def _host_and_port(request: "Request") -> tuple[str, int | None]:
    """From the Host header, else from the socket; the address never contains the port."""
    if not request.host:
        address, port = request.server or ("", None)
        return str(address), port
    header = _text_of(request.host[:MAX_HEADER_BYTES])
    host, separator, number = header.rpartition(":")
    if separator and number.isascii() and number.isdigit() and int(number) <= _LAST_PORT:
        return host.strip("[]"), int(number)
    return header.strip("[]"), None
