"""One pure ASGI middleware: a SERVER span, a histogram observation with exemplar, an SLO event and an access line.

There are no spans for send and receive, and what is the same for every request of a route is encoded once: together
that is most of the difference in cost to other agents.
"""

import time
from collections.abc import Awaitable, Callable
from contextvars import Token
from typing import Any

from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.baggage import _BAGGAGE_KEY
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext

from shopscope import _wire as wire
from shopscope._pipeline import Pipeline, active
from shopscope._propagation import baggage_of, parent_of
from shopscope._requests import RequestKind
from shopscope._routes import UNTRACED_PATHS, JourneyRoutes, Scope, path_in_app, template_of
from shopscope._selfmetrics import internal_error
from shopscope._span import ATTRIBUTE, JOURNEY_KEY, Span
from shopscope._tracer import SPAN_KEY, new_span_id, new_trace_id
from shopscope.config import Journey, is_journey_name

Message = Scope
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_SERVER = trace.SpanKind.SERVER.value
CLIENT_ADDRESS = "client.address"
_MAX_KINDS_OF_REQUEST = 4096
_MAX_CLIENTS = 1024
_MAX_HEADER_BYTES = 256


class _Request:
    """One request on its way through the application."""

    __slots__ = (
        "agent",
        "end_unix_nano",
        "host",
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

    def __init__(self, scope: Scope, send: Send) -> None:
        self.scope = scope
        self.send = send
        self.root_path: str = scope.get("root_path", "")
        self.status = 0
        self.start_unix_nano = time.time_ns()
        self.end_unix_nano = 0
        self.host = self.agent = b""
        #: The journey that this service answers for.
        self.journey: Journey | None = None
        self.journey_name = ""

    async def watch(self, message: Message) -> None:
        """Pass a message on, noting status and end: the customer waits for the last byte, not for background tasks.

        The end is taken before the last byte leaves, or a caller on another core could see its answer before we ended.
        """
        kind = message["type"]
        if kind == "http.response.start":
            self.status = message["status"]
        elif kind == "http.response.body" and not message.get("more_body"):
            self.end_unix_nano = time.time_ns()
        await self.send(message)


class Middleware:
    """Observes one ASGI application."""

    def __init__(self, app: Application, pipeline: Pipeline, on_shutdown: Callable[[], Awaitable[None]]) -> None:
        self.app = app
        self._on_shutdown = on_shutdown
        self._pipeline = pipeline
        self._routes = JourneyRoutes(pipeline.settings.shop.of_service(pipeline.settings.service))
        self._journeys = pipeline.settings.shop.journeys
        self._kinds: dict[tuple[Any, ...], RequestKind] = {}
        self._clients: dict[str, bytes] = {}
        pipeline.caches.append(self._kinds)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        kind = scope["type"]
        if kind == "lifespan":
            await self._serve_lifespan(scope, receive, send)
            return
        # FastAPI (0.142 and later) would trace the request a second time.
        scope["fastapi.telemetry"] = None
        if kind != "http" or active() is not self._pipeline:
            await self.app(scope, receive, send)
            return
        path = path_in_app(scope)
        if path in UNTRACED_PATHS:
            await self._serve_untraced(scope, receive, send)
            return
        request = self._begin(scope, send, path)
        if request is None:
            await self.app(scope, receive, send)
            return
        try:
            await self.app(scope, receive, request.watch)
        except BaseException as error:
            self._end(request, error)
            raise
        self._end(request, None)

    async def _serve_untraced(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve below a span that is not sampled, so that the statements of a health check are no traces either."""
        identity = SpanContext(new_trace_id(), new_span_id(), is_remote=False)
        token = context_api.attach(Context({SPAN_KEY: NonRecordingSpan(identity)}))
        try:
            await self.app(scope, receive, send)
        finally:
            context_api.detach(token)

    async def _serve_lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_asked = False

        async def ask() -> Message:
            nonlocal is_asked
            is_asked = True
            return await receive()

        async def watch(message: Message) -> None:
            if message["type"] in {"lifespan.shutdown.complete", "lifespan.shutdown.failed"}:
                await self._on_shutdown()
            elif message["type"] == "lifespan.startup.complete":
                self._pipeline.logs.adopt_server_loggers()
            await send(message)

        try:
            await self.app(scope, ask, watch)
        except Exception:
            if is_asked:
                raise
        if not is_asked:
            # The application knows no lifespan; ours is what sends the last telemetry before the server ends.
            for event in ("startup", "shutdown"):
                await receive()
                await watch({"type": f"lifespan.{event}.complete"})

    def _begin(self, scope: Scope, send: Send, path: str) -> _Request | None:
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
                    request.host = value[:_MAX_HEADER_BYTES]
                elif name == b"user-agent":
                    request.agent = value[:_MAX_HEADER_BYTES]
                elif name == b"tracestate":
                    tracestate = (*tracestate, value)
            parent = parent_of(traceparent, tracestate) if traceparent else trace.INVALID_SPAN
            entries = self._set_journey(request, path, baggage_of(baggage))
            # An empty context, not the current one: what the server's own task holds is no part of the request.
            request.span = span = self._pipeline.tracer.start(scope["method"], _SERVER, parent, _EMPTY)
            if isinstance(span, Span):
                span.journey = request.journey_name
            request.token = context_api.attach(Context({SPAN_KEY: span, _BAGGAGE_KEY: entries}))
            self._pipeline.instruments.active += 1
        except Exception:  # noqa: BLE001 (telemetry never raises into the service)
            internal_error("start of request")
            return None
        return request

    def _set_journey(self, request: _Request, path: str, entries: dict[str, object]) -> dict[str, object]:
        """The journey is the first service's whose route matches; later ones find it in baggage and keep it."""
        journey = self._routes.find(request.scope["method"], path)
        # Counted whatever baggage says: anyone can send some, and a failure must not be hidden by it.
        request.journey = journey
        carried = entries.get(JOURNEY_KEY)
        if isinstance(carried, str) and self._is_known(carried):
            request.journey_name = carried
            return entries
        if journey is None:
            return entries
        request.journey_name = journey.name
        return {**entries, JOURNEY_KEY: journey.name}

    def _is_known(self, journey: str) -> bool:
        """Baggage may come from anyone: without a file only its form can be checked."""
        return journey in self._journeys if self._journeys else is_journey_name(journey)

    def _end(self, request: _Request, error: BaseException | None) -> None:
        try:
            context_api.detach(request.token)
            self._pipeline.instruments.active -= 1
            self._record(request, error)
        except Exception:  # noqa: BLE001 (telemetry never raises into the service)
            internal_error("end of request")

    def _record(self, request: _Request, error: BaseException | None) -> None:
        is_answered = bool(request.end_unix_nano)
        if not is_answered:
            request.end_unix_nano = time.time_ns()
        kind = self._kind_of(request)
        span = request.span
        # Asking our own span for its context would build one; its ids are at hand.
        identity = span if isinstance(span, Span) else span.get_span_context()
        ids = identity.trace_id, identity.span_id
        nanoseconds = request.end_unix_nano - request.start_unix_nano
        seconds = nanoseconds / 1e9
        exemplar = {"trace_id": f"{ids[0]:032x}", "span_id": f"{ids[1]:016x}"}
        is_recorded = isinstance(span, Span)
        # An exemplar that leads to no trace would be worse than none.
        example = exemplar if is_recorded else None
        kind.duration.observe(seconds, example)
        is_error = kind.is_error or (error is not None and not is_answered)
        if request.journey is not None:
            self._pipeline.instruments.count_journey(request.journey, seconds, example, is_error=is_error)
        if isinstance(span, Span):
            self._end_span(request, span, kind, error, is_error=is_error)
        kind.log(request.scope["path"], request.end_unix_nano, nanoseconds / 1e6, ids)

    def _end_span(
        self, request: _Request, span: Span, kind: RequestKind, error: BaseException | None, *, is_error: bool
    ) -> None:
        span.start_unix_nano = request.start_unix_nano
        if span.name is request.scope["method"]:  # not renamed by the service
            span.name = kind.span_name
        if error is not None and is_error:
            span.fail(error)
            span.attributes.setdefault("error.type", type(error).__qualname__)
        elif error is not None:
            # A background task's: the customer has the answer.
            span.record_exception(error)
        elif is_error:
            span.set_status(trace.StatusCode.ERROR)
        own, path = span.attributes, kind.path_attribute(request.scope["path"])
        # What the service has set itself comes before what we know; a key must not be there twice.
        span.constant_attributes = kind.span_attributes_but(own) if own else kind.span_attributes
        if CLIENT_ADDRESS not in own:
            span.constant_attributes += self._client_attribute(request.scope)
        span.attributes = {**path, **own} if own else path
        span.end(request.end_unix_nano)

    def _client_attribute(self, scope: Scope) -> bytes:
        client = scope.get("client")
        if not client:
            return b""
        address = client[0]
        encoded = self._clients.get(address)
        if encoded is None:
            encoded = wire.attributes(ATTRIBUTE, {CLIENT_ADDRESS: address})
            if len(self._clients) < _MAX_CLIENTS:
                self._clients[address] = encoded
        return encoded

    def _kind_of(self, request: _Request) -> RequestKind:
        scope = request.scope
        route = template_of(scope, request.root_path)
        key = (
            *(scope["method"], route, request.status, request.journey_name, request.host, request.agent),
            *(scope.get("scheme"), scope.get("http_version"), scope["path"] == route),
        )
        kind = self._kinds.get(key)
        if kind is None:
            shared = (route, request.status, request.journey_name, request.host, request.agent)
            kind = RequestKind(self._pipeline, scope, *shared)
            # Host and agent are the client's to choose: they must not fill our memory.
            if len(self._kinds) >= _MAX_KINDS_OF_REQUEST:
                self._kinds.clear()
            self._kinds[key] = kind
        return kind


_EMPTY = Context()
