"""What serving a request means, whatever the protocol of the server: ASGI and WSGI share all of it.

A SERVER span, a histogram observation with exemplar, an SLO event and an access line. What is the same for every
request of a route is encoded once: that is most of the difference in cost to other agents.
"""

import time
from contextvars import Token
from typing import Any

from opentelemetry import trace
from opentelemetry.baggage import _BAGGAGE_KEY
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext

from shopscope._export import _wire as wire
from shopscope._logging._output import write_lines
from shopscope._pipeline import Pipeline, finish
from shopscope._redaction._privacy import scrub
from shopscope._serving._endings import Endings
from shopscope._serving._request import Request
from shopscope._serving._requests import MAX_HEADER_BYTES, RequestKind, encode_path
from shopscope._serving._routes import KNOWN_METHODS, JourneyRoutes
from shopscope._tracing._context import SPAN_KEY, attach, current
from shopscope._tracing._fields import ATTRIBUTE, JOURNEY_KEY
from shopscope._tracing._ids import new_span_id, new_trace_id, random_bits
from shopscope._tracing._propagation import SAMPLED_FLAGS, TRACEPARENT, baggage_of, parent_of
from shopscope._tracing._span import Span
from shopscope.config import is_journey_name

_SERVER = trace.SpanKind.SERVER.value
_MAX_KINDS_OF_REQUEST = 4096
_MAX_CLIENTS = 1024
CLIENT_ADDRESS = "client.address"
# An empty context, not the current one: what the server's own task or thread holds is no part of a request.
_EMPTY = Context()
_NO_BAGGAGE: dict[str, object] = {}
_SERVED_KEY = "shopscope.served"


class Server:
    """Observes the requests of one application."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._tracer, self._instruments = pipeline.tracer, pipeline.instruments
        self._routes = JourneyRoutes(pipeline.settings.shop.of_service(pipeline.settings.service))
        self._journeys = pipeline.settings.shop.journeys
        #: Baggage that holds a journey alone; nobody changes it, the API copies before it does.
        self._entries: dict[str, dict[str, object]] = {name: {JOURNEY_KEY: name} for name in self._journeys}
        self._kinds: dict[tuple[Any, ...], RequestKind] = {}
        self._clients: dict[str, bytes] = {}
        pipeline.caches.append(self._kinds)
        self._endings = Endings(self._record)
        pipeline.endings.append(self._endings)
        # Again, because frameworks make their layers at the first request, when the server has set up its logging.
        pipeline.logs.adopt_server_loggers()

    def begin(
        self,
        request: Request,
        path_in_app: str | None,
        traceparent: bytes,
        tracestate: tuple[bytes, ...],
        baggage: bytes,
    ) -> Context:
        """Start the span and make it current.

        Args:
            request: what is known so far.
            path_in_app: the path as the application's routes see it; None for what is no event of a journey.
            traceparent: the header, or empty.
            tracestate: the headers.
            baggage: the header, or empty.

        Returns:
            The context, which is the current one now; ``request.token`` detaches it.
        """
        journey = None if path_in_app is None else self._routes.find(request.method, path_in_app)
        entries = _NO_BAGGAGE
        if journey is not None:
            request.journey = journey
            request.journey_name = name = journey.name
            self._instruments.started[name].inc()
            entries = self._entries[name]
        if baggage:
            entries = self._carried(request, baggage)
        tracer, match = self._tracer, TRACEPARENT.fullmatch(traceparent)
        if tracer.custom is not None or match is None or tracestate or match[3] not in SAMPLED_FLAGS:
            span = self._start_other(request, traceparent, tracestate)
        else:
            # Most requests come from a service that records the trace.
            trace_id, parent_id, flags = match.groups()
            span = Span(
                request.method,
                _SERVER,
                int(trace_id, 16),
                random_bits(64) or 1,
                int(parent_id, 16),
                tracer,
                SAMPLED_FLAGS[flags],
                request.journey_name,
                None,
                True,  # noqa: FBT003 (is_parent_remote)
            )
        request.span = span
        context = Context({SPAN_KEY: span, _BAGGAGE_KEY: entries, _SERVED_KEY: span})
        request.token = attach(context)
        self._instruments.active += 1
        return context

    def _start_other(self, request: Request, traceparent: bytes, tracestate: tuple[bytes, ...]) -> trace.Span:
        tracer = self._tracer
        parent = parent_of(traceparent, tracestate) if traceparent else trace.INVALID_SPAN
        known = None if tracer.custom is None else _known_at_start(request)
        span = tracer.start(request.method, _SERVER, parent, _EMPTY, known)
        if not isinstance(span, NonRecordingSpan):
            span.journey = request.journey_name  # type: ignore[attr-defined] # ours, or the reference's
        return span

    def _carried(self, request: Request, baggage: bytes) -> dict[str, object]:
        """The journey is the first service's whose route matches; later ones find it in baggage and keep it.

        The event is counted for this service's own journey whatever baggage says: anyone can send some, and a failure
        must not be hidden by it.
        """
        own, entries = request.journey_name, baggage_of(baggage)
        carried = entries.get(JOURNEY_KEY)
        if isinstance(carried, str) and self._is_known(carried):
            request.journey_name = carried
            return entries
        return {**entries, JOURNEY_KEY: own} if own else entries

    def _is_known(self, journey: str) -> bool:
        """Baggage may come from anyone: without a file only its form can be checked."""
        return journey in self._journeys if self._journeys else is_journey_name(journey)

    def end(self, request: Request, error: BaseException | None) -> None:
        """Record a request.

        Args:
            request: what has become of it.
            error: what the application raised, or what its framework caught and answered with a 500.
        """
        self._instruments.active -= 1
        is_answered = request.end_unix_nano != 0
        if not is_answered:
            request.end_unix_nano = time.time_ns()
        request.look_up()
        write_lines((self._record(request, error, is_answered=is_answered),))

    def end_soon(self, request: Request) -> None:
        """The same for a request that has met no error, together with others where that is possible."""
        if self._tracer.custom is not None or not self._pipeline.lifespans.is_any_running:
            # The service's own sampler or processors want to see it end; and without a server that is running, nobody
            # knows when there will be another request.
            self.end(request, None)
            return
        self._instruments.active -= 1
        if not request.end_unix_nano:
            request.end_unix_nano = time.time_ns()
        request.look_up()
        request.let_go()
        self._endings.add(request)

    def _record(self, request: Request, error: BaseException | None = None, *, is_answered: bool = True) -> bytes:
        route, client = request.template, request.client_address
        key = (
            request.method, route, request.status, request.journey_name,
            request.host[:MAX_HEADER_BYTES], request.agent[:MAX_HEADER_BYTES], request.protocol, request.path == route,
        )  # fmt: skip
        kind = self._kinds.get(key) or self._new_kind(key, request, route)
        span, end = request.span, request.end_unix_nano
        is_error = not request.is_left and (kind.is_error or (error is not None and not is_answered))
        own = span if isinstance(span, Span) else None
        if own is not None:
            # Asking our own span for its context would build one; its ids are at hand.
            ids = own.trace_id, own.span_id
        else:
            context = span.get_span_context()
            ids = context.trace_id, context.span_id
        if kind.duration is not None:
            # An example that leads to no trace would be worse than none.
            exemplar = ids if getattr(span, "is_sampled", False) else None
            now, seconds = end / 1e9, (end - request.start_unix_nano) / 1e9
            kind.duration.observe(seconds, exemplar, now)
            # Whom we lost before any answer has seen nothing good; slow it was if it was slow.
            is_event = request.status or not request.is_left
            if (journey := request.journey) is not None and (is_event or seconds > journey.latency_seconds):
                self._instruments.count_journey(journey, seconds, exemplar, now, is_error=is_error)
        path = "" if kind.has_constant_path else scrub(request.path)
        path_attribute = encode_path(path) if path else b""
        if own is not None:
            if error is not None or is_error:
                _tell_error(own, error, is_error=is_error)
            own.start_unix_nano = request.start_unix_nano
            if own.name is request.method:  # not renamed by the service
                own.name = kind.span_name
            if own.attributes:
                self._describe(own, kind, path_attribute, client)
            else:
                known = kind.span_attributes + (ATTRIBUTE + path_attribute if path else b"")
                own.constant_attributes = known + (self._clients.get(client) or self._client_attribute(client))
            if self._tracer.finish is finish and not own.end_unix_nano:
                # What `end` comes to in nearly all requests.
                own.end_unix_nano = end
                self._pipeline.spans.add(self._tracer.scope, own.encode())
            else:
                own.end(end)
        return kind.log(request, path, path_attribute, ids)

    def _describe(self, span: Span, kind: RequestKind, path: bytes, client: str) -> None:
        """Give a span what we know; what the service has set itself comes before, as a key must not be there twice."""
        own = span.attributes
        known = kind.span_attributes_but(own)
        if path and "url.path" not in own:
            known += ATTRIBUTE + path
        if CLIENT_ADDRESS not in own:
            known += self._client_attribute(client)
        span.constant_attributes = known

    def _client_attribute(self, address: str) -> bytes:
        encoded = wire.attributes(ATTRIBUTE, {CLIENT_ADDRESS: address}) if address else b""
        if len(self._clients) < _MAX_CLIENTS:
            self._clients[address] = encoded
        return encoded

    def _new_kind(self, key: tuple[Any, ...], request: Request, route: str) -> RequestKind:
        # Here, because it is seldom: most requests are of a kind that is known.
        self._pipeline.serving()
        kind = RequestKind(self._pipeline, request, route)
        # Host and agent are the client's to choose: they must not fill our memory.
        if len(self._kinds) >= _MAX_KINDS_OF_REQUEST:
            self._kinds.clear()
        self._kinds[key] = kind
        return kind


def _tell_error(span: Span, error: BaseException | None, *, is_error: bool) -> None:
    if error is None:
        span.set_status(trace.StatusCode.ERROR)
    elif is_error:
        span.fail(error)
        span.attributes.setdefault("error.type", type(error).__qualname__)
    else:
        # A background task's: the customer has the answer, or does not wait for it any more.
        span.record_exception(error)


def _known_at_start(request: Request) -> dict[str, Any]:
    """What samplers are to decide by. Source: https://opentelemetry.io/docs/specs/semconv/http/http-spans/."""
    known = {"url.path": request.path, "url.scheme": request.protocol[0]}
    return {"http.request.method": request.method, **known} if request.method in KNOWN_METHODS else known


def attach_untraced() -> Token[Context]:
    """Make a span current that is not sampled, so that the statements of a health check are no traces either."""
    span = NonRecordingSpan(SpanContext(new_trace_id(), new_span_id(), is_remote=False))
    return attach(Context({SPAN_KEY: span, _SERVED_KEY: span}))


def served_span() -> trace.Span | None:
    """The SERVER span of the request that the caller runs in, if one is observed."""
    span = current().get(_SERVED_KEY)
    return span if isinstance(span, trace.Span) else None
