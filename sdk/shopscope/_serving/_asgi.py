"""One pure ASGI middleware: what `_server` does for a request, with no spans for send and receive."""

import functools
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from opentelemetry import trace

from shopscope import _pipeline
from shopscope._metrics._selfmetrics import internal_error
from shopscope._pipeline import Pipeline
from shopscope._serving._http_options import CapturedHeaders
from shopscope._serving._request import Request
from shopscope._serving._routes import CAUGHT, FIRST_SERVER_ERROR, UNTRACED_PATHS, Scope, path_in_app, template_of
from shopscope._serving._server import Server, attach_untraced
from shopscope._tracing import _propagation
from shopscope._tracing._context import detach, reset

Message = Scope
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_SWITCHING_PROTOCOLS, _FORBIDDEN = 101, 403
# https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1
_NORMAL_CLOSURE, _INTERNAL_ERROR, _NO_CODE = 1000, 1011, 1005
# An attribute of ours: the conventions have none.
_CLOSE_CODE = "shopscope.websocket.close_code"
# By these frameworks say that the client is gone; their modules are not imported for it.
_CLIENT_IS_GONE = frozenset({"ClientDisconnect", "WebSocketDisconnect"})
_OBSERVED = "shopscope.observed"
# Several headers of such a name are one list: https://www.w3.org/TR/trace-context/#tracestate-header
_LISTS = frozenset({b"tracestate", b"baggage"})


class _HttpRequest(Request):
    """A request whose answer is watched."""

    __slots__ = ()

    def look_up(self) -> None:
        """The full template that the framework matched, and the address that the server names."""
        scope = self.scope
        self.template = template_of(scope, self.root_path)
        client = scope.get("client")
        self.client_address = client[0] if client else ""

    # No coroutine of ours around the server's: two of them a request would cost as much as the span.
    def watch(self, message: Message) -> Awaitable[None]:
        """Pass a message on, noting status and end: the customer waits for the last byte, not for background tasks.

        The end is taken before the last byte leaves, or a caller on another core could see its answer before we ended.
        """
        kind = message["type"]
        if kind == "http.response.start":
            self.status = message["status"]
        elif kind == "http.response.body" and not message.get("more_body"):
            self.end_unix_nano = time.time_ns()
        return self.send(message)  # type: ignore[no-any-return]


class _CapturingRequest(_HttpRequest):
    """A request whose response has headers that become attributes of the span."""

    __slots__ = ("_captured",)

    def __init__(self, captured: CapturedHeaders, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._captured = captured

    def watch(self, message: Message) -> Awaitable[None]:
        """Pass a message on, noting headers too."""
        if message["type"] == "http.response.start":
            try:
                self.span.set_attributes(self._captured.of_response(message.get("headers", ())))
            except Exception:  # noqa: BLE001 (telemetry never raises into the service)
                internal_error("headers of response")
        return super().watch(message)


class _Socket(_HttpRequest):
    """A websocket from handshake to closing; its messages are not observed."""

    __slots__ = ("close_code", "receive")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        protocol, root_path = (scope.get("scheme", "ws"), scope.get("http_version", "1.1")), scope.get("root_path", "")
        super().__init__("GET", scope["path"], protocol, scope.get("server"), scope, send, root_path)
        self.receive = receive
        self.close_code = 0

    async def listen(self) -> Message:
        """Hand a message to the application, noting that the client closed or is gone."""
        message = await self.receive()
        if message["type"] == "websocket.disconnect" and not self.end_unix_nano:
            self.close_code = message.get("code", _NO_CODE)
            self.is_left = not self.status
            self.finish()
        return message

    def watch(self, message: Message) -> Awaitable[None]:
        """Pass a message on, noting that the application accepts, refuses or closes."""
        kind = message["type"]
        if kind == "websocket.accept":
            self.status = _SWITCHING_PROTOCOLS
        elif kind == "websocket.close" and self.status:
            self.close_code = message.get("code", _NORMAL_CLOSURE)
            self.finish()
        elif kind == "websocket.close":
            self.status = _FORBIDDEN
        elif kind == "websocket.http.response.start":
            self.status = message["status"]
        return super().watch(message)

    def describe_end(self) -> None:
        """Say how the connection was closed; an internal error is the service's, whoever went away is not."""
        if self.close_code:
            self.span.set_attribute(_CLOSE_CODE, self.close_code)
        if self.close_code == _INTERNAL_ERROR:
            self.span.set_status(trace.StatusCode.ERROR)


class Middleware:
    """Observes one ASGI application."""

    def __init__(self, app: Application, pipeline: Pipeline) -> None:
        self.app = app
        self._pipeline = pipeline
        self._server = Server(pipeline)
        self._excluded = pipeline.settings.http.excluded
        self._captured = captured = pipeline.settings.http.server_headers
        self._request = _HttpRequest if captured is None else functools.partial(_CapturingRequest, captured)
        self._metrics_path = pipeline.settings.metrics_path
        self._untraced = UNTRACED_PATHS | {self._metrics_path} if self._metrics_path else UNTRACED_PATHS
        self._metrics_app = pipeline.metering.page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        kind = scope["type"]
        if kind == "lifespan":
            await self._serve_lifespan(scope, receive, send)
            return
        # FastAPI (0.142 and later) would trace the request a second time.
        scope["fastapi.telemetry"] = None
        if _pipeline._active is not self._pipeline or _OBSERVED in scope:  # noqa: SLF001 (a call would cost more)
            await self.app(scope, receive, send)
            return
        scope[_OBSERVED] = True
        if kind != "http":
            await (self._serve_socket if kind == "websocket" else self.app)(scope, receive, send)
            return
        root_path: str = scope.get("root_path", "")
        path = path_in_app(scope) if root_path else scope["path"]
        if path in self._untraced or (self._excluded is not None and self._excluded.search(_address(scope))):
            app = self._metrics_app if path == self._metrics_path else self.app
            await self._serve_untraced(app, scope, receive, send)
            return
        protocol = scope.get("scheme", "http"), scope.get("http_version", "1.1")
        request = self._begin(
            self._request(scope["method"], scope["path"], protocol, scope.get("server"), scope, send, root_path), path
        )
        if request is None:
            await self.app(scope, receive, send)
            return
        try:
            await self.app(scope, receive, request.watch)
        except BaseException as error:
            self._end(request, error)
            raise
        self._end(request, None)

    async def _serve_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        socket = _Socket(scope, receive, send)
        if self._begin(socket, None) is None:
            await self.app(scope, receive, send)
            return
        try:
            await self.app(scope, socket.listen, socket.watch)
        except BaseException as error:
            socket.describe_end()
            self._end(socket, error)
            raise
        socket.describe_end()
        self._end(socket, None)

    async def _serve_untraced(self, app: Application, scope: Scope, receive: Receive, send: Send) -> None:
        token = attach_untraced()
        try:
            await app(scope, receive, send)
        finally:
            detach(token)

    async def _serve_lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_asked = False

        async def ask() -> Message:
            nonlocal is_asked
            is_asked = True
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self._pipeline.lifespans.begin()
            return message

        async def watch(message: Message) -> None:
            await self._note_lifespan(message["type"])
            await send(message)

        try:
            await self.app(scope, ask, watch)
        except Exception:
            if is_asked:
                raise
        if not is_asked:
            # The application knows no lifespan; ours is what sends the last telemetry before the server ends.
            for event in ("startup", "shutdown"):
                await ask()
                await watch({"type": f"lifespan.{event}.complete"})

    async def _note_lifespan(self, kind: str) -> None:
        pipeline = self._pipeline
        if kind == "lifespan.startup.complete":
            pipeline.logs.adopt_server_loggers()
            pipeline.serving()
        elif kind == "lifespan.startup.failed":
            pipeline.lifespans.fail()
        elif kind in {"lifespan.shutdown.complete", "lifespan.shutdown.failed"}:
            await pipeline.lifespans.end()

    def _begin(self, request: _HttpRequest, path: str | None) -> _HttpRequest | None:
        try:
            headers = request.scope["headers"]
            if _propagation.foreign is not None:
                headers = _propagation.as_w3c(headers)
            found = dict(headers)
            if len(found) != len(headers):
                found = _joined(headers)
            request.host = found.get(b"host", b"")
            request.agent = found.get(b"user-agent", b"")
            traceparent, baggage = found.get(b"traceparent", b""), found.get(b"baggage", b"")
            tracestate = (found[b"tracestate"],) if b"tracestate" in found else ()
            self._server.begin(request, path, traceparent, tracestate, baggage)
            if self._captured is not None:
                request.span.set_attributes(self._captured.of_request(request.scope["headers"]))
        except Exception:  # noqa: BLE001 (telemetry never raises into the service)
            internal_error("start of request")
            return None
        return request

    def _end(self, request: _HttpRequest, error: BaseException | None) -> None:
        try:
            try:
                reset(request.token)
            except (RuntimeError, ValueError):
                detach(request.token)
            if error is not None:
                request.is_left = (
                    request.is_left or type(error).__name__ in _CLIENT_IS_GONE or _is_from(request.send, error)
                )
            elif request.status >= FIRST_SERVER_ERROR:
                error = request.scope.pop(CAUGHT, None)
            if error is None:
                self._server.end_soon(request)
            else:
                self._server.end(request, error)
        except Exception:  # noqa: BLE001 (telemetry never raises into the service)
            internal_error("end of request")


def _joined(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Headers by name: of those that make one list, all; of any other the last."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        found[name] = found[name] + b"," + value if name in _LISTS and name in found else value
    return found


def _is_from(send: Send, error: BaseException) -> bool:
    """Whether the server's ``send`` raised an OSError, by which it says that the client is gone (ASGI 2.4)."""
    code = getattr(send, "__code__", None)
    where = error.__traceback__ if isinstance(error, OSError) and code is not None else None
    while where is not None and where.tb_frame.f_code is not code:
        where = where.tb_next
    return where is not None


def _address(scope: Scope) -> str:
    """The request's address without its query."""
    host = next((value for name, value in scope["headers"] if name == b"host"), b"")
    return f"{scope.get('scheme', 'http')}://{host.decode('latin-1')}{scope['path']}"
