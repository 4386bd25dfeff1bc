"""One pure ASGI middleware: a SERVER span, a histogram observation with exemplar, an SLO event and an access line.

There are no spans for send and receive, and what is the same for every request of a route is encoded once: together
that is most of the difference in cost to other agents.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from contextvars import Token
from types import MappingProxyType
from typing import Any

import orjson
from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.baggage import _BAGGAGE_KEY
from opentelemetry.context import Context
from prometheus_client import Histogram

from shopscope import _logs as logs
from shopscope import _wire as wire
from shopscope._pipeline import Pipeline, active
from shopscope._propagation import baggage_of, parent_of
from shopscope._routes import KNOWN_METHODS, UNTRACED_PATHS, JourneyRoutes, Scope, template_of
from shopscope._selfmetrics import internal_error
from shopscope._span import ATTRIBUTE, Span
from shopscope._tracer import JOURNEY_KEY, SPAN_KEY
from shopscope._worker import Record
from shopscope.config import Journey

Message = Scope
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_SERVER = trace.SpanKind.SERVER.value
_ERROR = trace.StatusCode.ERROR.value
_FIRST_SERVER_ERROR = 500
_MAX_KINDS_OF_REQUEST = 4096
_JOURNEY_PATTERN_LIMIT = 64


class _Kind:
    """What all requests share that have the same route, status, host, agent and protocol: encoded or looked up once."""

    __slots__ = ("duration", "is_error", "line", "log_attributes", "method", "route", "span_attributes", "span_name")

    def __init__(self, request: "_Request", route: str, status: int, requests: Histogram, service: str) -> None:
        scope = request.scope
        known = scope["method"] in KNOWN_METHODS
        self.method = scope["method"] if known else "_OTHER"
        self.route = route
        self.span_name = f"{self.method if known else 'HTTP'} {route}".rstrip()
        self.is_error = status >= _FIRST_SERVER_ERROR or not status
        attributes = _constant_attributes(request, self.method, route, status)
        self.span_attributes = wire.attributes(ATTRIBUTE, attributes)
        shared = ("http.request.method", "http.route", "http.response.status_code", "error.type")
        logged = {key: attributes[key] for key in shared if key in attributes}
        self.log_attributes = wire.attributes(logs.ATTRIBUTE, logged)
        level = "error" if self.is_error else "info"
        line = {"level": level, "event": "request", "logger": "shopscope.access", "service": service, **logged}
        self.line = orjson.dumps(line)[1:-1]
        self.duration = requests.labels(self.method, route, str(status) if status else "")


def _constant_attributes(request: "_Request", method: str, route: str, status: int) -> dict[str, str | int]:
    scope = request.scope
    attributes: dict[str, str | int] = {"http.request.method": method, "url.scheme": scope.get("scheme", "http")}
    if method == "_OTHER":
        attributes["http.request.method_original"] = scope["method"]
    if route:
        attributes["http.route"] = route
    if status:
        attributes["http.response.status_code"] = status
    if status >= _FIRST_SERVER_ERROR:
        attributes["error.type"] = str(status)
    host, port = _host_and_port(request)
    attributes["server.address"] = host
    if port is not None:
        attributes["server.port"] = port
    attributes["network.protocol.version"] = scope.get("http_version", "1.1")
    if request.agent:
        attributes["user_agent.original"] = request.agent.decode("latin-1")
    return attributes


def _host_and_port(request: "_Request") -> tuple[str, int | None]:
    """From the Host header, else from the socket; the address never contains the port."""
    if not request.host:
        address, port = request.scope.get("server") or ("", None)
        return str(address), port
    host, separator, number = request.host.decode("latin-1").rpartition(":")
    if separator and number.isdigit():
        return host.strip("[]"), int(number)
    return request.host.decode("latin-1").strip("[]"), None


class _Request:
    """One request on its way through the application."""

    __slots__ = (
        "agent",
        "end_unix_nano",
        "host",
        "is_counted",
        "journey",
        "journey_name",
        "root_path",
        "scope",
        "send",
        "span",
        "start_unix_nano",
        "status",
        "token",
    )

    scope: Scope
    span: trace.Span
    token: Token[Context]
    journey: Journey | None

    def __init__(self, scope: Scope, send: Send) -> None:
        self.scope = scope
        self.send = send
        self.root_path: str = scope.get("root_path", "")
        self.status = 0
        self.start_unix_nano = time.time_ns()
        self.end_unix_nano = 0
        self.host = self.agent = b""
        self.journey_name = ""
        self.is_counted = False

    async def watch(self, message: Message) -> None:
        """Pass a message on, noting status and end: the customer waits for the last byte, not for background tasks."""
        kind = message["type"]
        if kind == "http.response.start":
            self.status = message["status"]
        await self.send(message)
        if kind == "http.response.body" and not message.get("more_body"):
            self.end_unix_nano = time.time_ns()


class Middleware:
    """Observes one ASGI application."""

    def __init__(self, app: Application, pipeline: Pipeline, on_shutdown: Callable[[], Awaitable[None]]) -> None:
        self.app = app
        self._on_shutdown = on_shutdown
        self._pipeline = pipeline
        self._routes = JourneyRoutes(pipeline.settings.shop.of_service(pipeline.settings.service))
        self._journeys = pipeline.settings.shop.journeys
        self._kinds: dict[tuple[Any, ...], _Kind] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        kind = scope["type"]
        if kind == "lifespan":
            await self._serve_lifespan(scope, receive, send)
            return
        # FastAPI (0.142 and later) would trace the request a second time.
        scope["fastapi.telemetry"] = None
        if kind != "http" or scope["path"] in UNTRACED_PATHS or active() is not self._pipeline:
            await self.app(scope, receive, send)
            return
        request = self._begin(scope, send)
        if request is None:
            await self.app(scope, receive, send)
            return
        try:
            await self.app(scope, receive, request.watch)
        except BaseException as error:
            self._end(request, error)
            raise
        self._end(request, None)

    async def _serve_lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def watch(message: Message) -> None:
            if message["type"] == "lifespan.shutdown.complete":
                await self._on_shutdown()
            elif message["type"] == "lifespan.startup.complete":
                self._pipeline.logs.adopt_server_loggers()
            await send(message)

        await self.app(scope, receive, watch)

    def _begin(self, scope: Scope, send: Send) -> _Request | None:
        try:
            request = _Request(scope, send)
            traceparent = baggage = b""
            tracestate: tuple[bytes, ...] = ()
            for name, value in scope["headers"]:
                if name == b"traceparent":
                    traceparent = value
                elif name == b"baggage":
                    baggage = baggage + b"," + value if baggage else value
                elif name == b"host":
                    request.host = value
                elif name == b"user-agent":
                    request.agent = value
                elif name == b"tracestate":
                    tracestate = (*tracestate, value)
            parent = parent_of(traceparent, tracestate) if traceparent else trace.INVALID_SPAN
            entries = self._set_journey(request, baggage_of(baggage))
            # An empty context, not the current one: what the server's own task holds is no part of the request.
            request.span = span = self._pipeline.tracer.start(scope["method"], _SERVER, parent, _EMPTY)
            if isinstance(span, Span):
                span.journey = request.journey_name
            request.token = context_api.attach(Context({SPAN_KEY: span, _BAGGAGE_KEY: entries}))
            self._pipeline.instruments.active_requests.inc()
        except Exception:  # noqa: BLE001 (telemetry never raises into the service)
            internal_error("start of request")
            return None
        return request

    def _set_journey(self, request: _Request, entries: Mapping[str, object]) -> Mapping[str, object]:
        """The journey is the first service's whose route matches; later ones find it in baggage and keep it."""
        request.journey = self._routes.find(request.scope["method"], request.scope["path"])
        carried = entries.get(JOURNEY_KEY)
        if isinstance(carried, str) and (carried in self._journeys or not self._journeys):
            request.journey_name = carried[:_JOURNEY_PATTERN_LIMIT]
            return entries
        if request.journey is None:
            return entries
        request.journey_name = request.journey.name
        request.is_counted = True
        return MappingProxyType({**entries, JOURNEY_KEY: request.journey_name})

    def _end(self, request: _Request, error: BaseException | None) -> None:
        try:
            context_api.detach(request.token)
            self._pipeline.instruments.active_requests.dec()
            self._record(request, error)
        except Exception:  # noqa: BLE001 (telemetry never raises into the service)
            internal_error("end of request")

    def _record(self, request: _Request, error: BaseException | None) -> None:
        is_answered = bool(request.end_unix_nano)
        if not is_answered:
            request.end_unix_nano = time.time_ns()
        kind = self._kind_of(request)
        span = request.span
        seconds = (request.end_unix_nano - request.start_unix_nano) / 1e9
        identity = span.get_span_context()
        exemplar = {"trace_id": f"{identity.trace_id:032x}", "span_id": f"{identity.span_id:016x}"}
        kind.duration.observe(seconds, exemplar)
        is_error = kind.is_error or (error is not None and not is_answered)
        if request.is_counted and request.journey is not None:
            self._pipeline.instruments.count_journey(request.journey, seconds, exemplar, is_error=is_error)
        if isinstance(span, Span):
            self._end_span(request, span, kind, error, is_error=is_error)
        self._log(request, kind, exemplar)

    def _end_span(
        self, request: _Request, span: Span, kind: _Kind, error: BaseException | None, *, is_error: bool
    ) -> None:
        span.start_unix_nano = request.start_unix_nano
        span.name = kind.span_name
        span.constant_attributes = kind.span_attributes
        span.attributes["url.path"] = request.scope["path"]
        client = request.scope.get("client")
        if client:
            span.attributes["client.address"] = client[0]
        if error is not None:
            span.fail(error)
            span.attributes["error.type"] = type(error).__qualname__
        elif is_error:
            span.status_code = _ERROR
        span.end(request.end_unix_nano)

    def _kind_of(self, request: _Request) -> _Kind:
        scope = request.scope
        route = template_of(scope, request.root_path)
        key = (scope["method"], route, request.status, request.host, request.agent, scope.get("http_version"))
        kind = self._kinds.get(key)
        if kind is None:
            pipeline = self._pipeline
            kind = _Kind(request, route, request.status, pipeline.instruments.requests, pipeline.settings.service)
            # Host and agent are the client's to choose: they must not fill our memory.
            if len(self._kinds) < _MAX_KINDS_OF_REQUEST:
                self._kinds[key] = kind
        return kind

    def _log(self, request: _Request, kind: _Kind, exemplar: dict[str, str]) -> None:
        pipeline = self._pipeline
        now_nano = request.end_unix_nano
        milliseconds = (now_nano - request.start_unix_nano) / 1e6
        journey = request.journey_name
        path = request.scope["path"]
        if pipeline.logs.is_json:
            tail: dict[str, Any] = {"url.path": path, "duration_ms": round(milliseconds, 3), **exemplar}
            if journey:
                tail["journey"] = journey
            head = b'{"timestamp":"' + pipeline.logs.clock.stamp(now_nano).encode() + b'",'
            logs.write_line(head + kind.line + b"," + orjson.dumps(tail)[1:])
        else:
            stamp = pipeline.logs.clock.stamp(now_nano)
            shown: dict[str, Any] = {
                "timestamp": stamp,
                "event": "request",
                "level": "error" if kind.is_error else "info",
            }
            shown |= {"route": kind.span_name, "status": request.status, "duration_ms": round(milliseconds, 3)}
            logs.write_line(pipeline.logs.render(shown | {"trace_id": exemplar["trace_id"]}))
        attributes = {"url.path": path, "duration_ms": milliseconds}
        if journey:
            attributes[JOURNEY_KEY] = journey
        body = logs.encode_log(
            "error" if kind.is_error else "info",
            "request",
            now_nano,
            bytes.fromhex(exemplar["trace_id"]),
            bytes.fromhex(exemplar["span_id"]),
            kind.log_attributes + wire.attributes(logs.ATTRIBUTE, attributes),
        )
        pipeline.log_records.add(Record(logs.SCOPE, body))


_EMPTY = Context()
