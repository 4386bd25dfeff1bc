"""What requests of one kind share, encoded or looked up once, and the little that is left to do for each."""

from collections.abc import Mapping
from typing import Any

import orjson

from shopscope import _logs as logs
from shopscope import _wire as wire
from shopscope._log_values import json_line
from shopscope._pipeline import Pipeline
from shopscope._routes import KNOWN_METHODS, Scope
from shopscope._span import ATTRIBUTE, JOURNEY_KEY
from shopscope._worker import Record

FIRST_SERVER_ERROR = 500
_LOGGED = ("http.request.method", "http.route", "http.response.status_code", "error.type", "url.path", JOURNEY_KEY)
_LAST_PORT = 65535
_DURATION = "duration_ms"


class RequestKind:
    """Requests with the same route, status, journey, host, agent and protocol.

    Most of a server span, of an access line and of its OTLP record is the same for all of them.
    """

    __slots__ = (
        "_has_constant_path",
        "_level",
        "_line",
        "_log_attributes",
        "_pipeline",
        "_span_attributes",
        "duration",
        "is_error",
        "span_attributes",
        "span_name",
    )

    def __init__(
        self, pipeline: Pipeline, scope: Scope, route: str, status: int, journey: str, host: bytes, agent: bytes
    ) -> None:
        is_known = scope["method"] in KNOWN_METHODS
        method = scope["method"] if is_known else "_OTHER"
        attributes = _attributes(scope, method, route, status, host, agent)
        self._pipeline = pipeline
        self._has_constant_path = scope["path"] == route
        if self._has_constant_path:
            attributes["url.path"] = route
        self.is_error = status >= FIRST_SERVER_ERROR or not status
        self._level = "error" if self.is_error else "info"
        self.span_name = f"{method if is_known else 'HTTP'} {route}".rstrip()
        self._span_attributes = dict(attributes)
        self.span_attributes = wire.attributes(ATTRIBUTE, attributes)
        if journey:
            attributes[JOURNEY_KEY] = journey
        logged = {key: attributes[key] for key in _LOGGED if key in attributes}
        self._log_attributes = wire.attributes(logs.ATTRIBUTE, logged)
        if journey:
            logged["journey"] = logged.pop(JOURNEY_KEY)
        service = pipeline.settings.service
        line = {"level": self._level, "event": "request", "logger": "shopscope.access", "service": service, **logged}
        self._line = orjson.dumps(line)[1:-1].decode()
        self.duration = pipeline.instruments.request(method, route, str(status) if status else "")

    def span_attributes_but(self, own: Mapping[str, Any]) -> bytes:
        """The span's attributes without those that the service has set itself."""
        if self._span_attributes.keys().isdisjoint(own):
            return self.span_attributes
        left = {key: value for key, value in self._span_attributes.items() if key not in own}
        return wire.attributes(ATTRIBUTE, left)

    def path_attribute(self, path: str) -> dict[str, Any]:
        """Span attributes that differ between requests of this kind."""
        return {} if self._has_constant_path else {"url.path": path}

    def log(self, path: str, now_nano: int, milliseconds: float, ids: tuple[int, int]) -> None:
        """Write the access line and queue its OTLP record."""
        pipeline = self._pipeline
        trace_id, span_id = ids
        tail = "" if self._has_constant_path else f',"url.path":{json_line(path).decode()}'
        line = (
            f'{{"timestamp":"{pipeline.logs.clock.stamp(now_nano)}",{self._line}{tail},'
            f'"duration_ms":{milliseconds:.3f},"trace_id":"{trace_id:032x}","span_id":"{span_id:016x}"}}'
        )
        if pipeline.logs.is_json:
            logs.write_line(line.encode())
        else:
            logs.write_line(pipeline.logs.render(orjson.loads(line)))
        own: dict[str, Any] = (
            {_DURATION: milliseconds}
            if self._has_constant_path
            else {
                _DURATION: milliseconds,
                "url.path": path,
            }
        )
        attributes = self._log_attributes + wire.attributes(logs.ATTRIBUTE, own)
        record = logs.encode_log(
            self._level, "request", now_nano, trace_id.to_bytes(16), span_id.to_bytes(8), attributes
        )
        pipeline.log_records.add(Record(logs.SCOPE, record))


def _attributes(scope: Scope, method: str, route: str, status: int, host: bytes, agent: bytes) -> dict[str, str | int]:
    """Source: https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server-span."""
    attributes: dict[str, str | int] = {"http.request.method": method, "url.scheme": scope.get("scheme", "http")}
    if method == "_OTHER":
        attributes["http.request.method_original"] = scope["method"]
    if route:
        attributes["http.route"] = route
    if status:
        attributes["http.response.status_code"] = status
    if status >= FIRST_SERVER_ERROR:
        attributes["error.type"] = str(status)
    address, port = _host_and_port(scope, host)
    attributes["server.address"] = address
    if port is not None:
        attributes["server.port"] = port
    attributes["network.protocol.version"] = scope.get("http_version", "1.1")
    if agent:
        attributes["user_agent.original"] = agent.decode("latin-1")
    return attributes


def _host_and_port(scope: Scope, header: bytes) -> tuple[str, int | None]:
    """From the Host header, else from the socket; the address never contains the port."""
    if not header:
        address, port = scope.get("server") or ("", None)
        return str(address), port
    host, separator, number = header.decode("latin-1").rpartition(":")
    if separator and number.isascii() and number.isdigit() and int(number) <= _LAST_PORT:
        return host.strip("[]"), int(number)
    return header.decode("latin-1").strip("[]"), None
