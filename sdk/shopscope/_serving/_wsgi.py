"""One WSGI middleware: what `_server` does for a request, until the last byte of the response.

Source: https://peps.python.org/pep-3333/
"""

from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from opentelemetry import context as context_api
from opentelemetry.context import Context

from shopscope._metrics._selfmetrics import internal_error
from shopscope._pipeline import Pipeline, active
from shopscope._serving._request import Request
from shopscope._serving._requests import MAX_HEADER_BYTES
from shopscope._serving._routes import CAUGHT, FIRST_SERVER_ERROR, ROUTE, UNTRACED_PATHS
from shopscope._serving._server import Server, attach_untraced, served_span
from shopscope._tracing import _propagation

if TYPE_CHECKING:
    from shopscope._serving._http_options import CapturedHeaders

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], object]]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]


class _WsgiRequest(Request):
    """A request, its server's ``start_response`` and what is left to do at its end."""

    __slots__ = ("_server", "captured", "is_ended")

    def __init__(self, environ: Environ, start: StartResponse, server: Server) -> None:
        mount = environ.get("SCRIPT_NAME", "")
        path = _text(mount + environ.get("PATH_INFO", ""))
        protocol = environ.get("wsgi.url_scheme", "http"), _version(environ.get("SERVER_PROTOCOL", ""))
        port = str(environ.get("SERVER_PORT", ""))
        address = environ.get("SERVER_NAME", ""), int(port) if port.isdigit() else None
        super().__init__(environ["REQUEST_METHOD"], path, protocol, address, environ, start, mount)
        self.host = _header(environ, "HTTP_HOST")
        self.agent = _header(environ, "HTTP_USER_AGENT")
        #: Which headers become attributes of the span, if any were asked for.
        self.captured: CapturedHeaders | None = None
        self.is_ended = False
        self._server = server

    def start_response(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None] | None = None,
    ) -> Callable[[bytes], object]:
        """Note the status; an application that gives ``exc_info`` replaces the one it gave before."""
        # The server first: it raises where the headers have been sent, and then the first status is the true one.
        write = self.send(status, headers, exc_info) if exc_info else self.send(status, headers)
        try:
            if self.captured is not None:
                pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
                self.span.set_attributes(self.captured.of_response(pairs))
            self.status = int(status[:3])
        except Exception:  # noqa: BLE001 (telemetry never raises into the service)
            internal_error("start of response")
        return write  # type: ignore[no-any-return]

    def end(self, error: BaseException | None = None) -> None:
        """Record the request, once."""
        if self.is_ended:
            return
        self.is_ended = True
        caught = self.scope.pop(CAUGHT, None)
        if error is None and self.status >= FIRST_SERVER_ERROR:
            error = caught
        try:
            self._server.end(self, error)
        except Exception:  # noqa: BLE001 (telemetry never raises into the service)
            internal_error("end of request")

    def look_up(self) -> None:
        """The framework's template below the prefix of the applications that it is mounted in; the client's address."""
        environ = self.scope
        self.client_address = str(environ.get("REMOTE_ADDR", ""))
        self.template = route = environ.get(ROUTE) or ""
        prefix = environ.get("SCRIPT_NAME", "")
        # What a proxy's header has put there is no mount: mounting moves a part of the path, and changes nothing else.
        if route and _text(prefix + environ.get("PATH_INFO", "")) == self.path:
            self.template = f"{_text(prefix.removeprefix(self.root_path))}{route}"


class Middleware:
    """Observes one WSGI application."""

    def __init__(self, app: Application, pipeline: Pipeline) -> None:
        self.app = app
        self._pipeline = pipeline
        self._server = Server(pipeline)
        self._http = pipeline.settings.http
        self._metrics_path = pipeline.settings.metrics_path

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        if active() is not self._pipeline or served_span() is not None:
            return self.app(environ, start_response)
        excluded = self._http.excluded
        path = environ.get("PATH_INFO", "")
        if path and path == self._metrics_path:
            return self._serve_metrics(environ, start_response)
        if path in UNTRACED_PATHS or (excluded is not None and excluded.search(_address(environ))):
            token = attach_untraced()
            try:
                return self.app(environ, start_response)
            finally:
                context_api.detach(token)
        begun = self._begin(environ, start_response)
        if begun is None:
            return self.app(environ, start_response)
        request, context = begun
        try:
            body = self.app(environ, request.start_response)
        except BaseException as error:
            context_api.detach(request.token)
            request.end(error)
            raise
        # The server may ask for the body on another thread: there it gets the context anew.
        context_api.detach(request.token)
        return _observed(body, request, context)

    def _serve_metrics(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        names = parse_qs(environ.get("QUERY_STRING", "")).get("name[]", [])
        page, content_type = self._pipeline.metering.exposition.render(environ.get("HTTP_ACCEPT", ""), names)
        start_response("200 OK", [("Content-Type", content_type), ("Content-Length", str(len(page)))])
        return [page]

    def _begin(self, environ: Environ, start_response: StartResponse) -> tuple[_WsgiRequest, Context] | None:
        try:
            request = _WsgiRequest(environ, start_response, self._server)
            request.captured = captured = self._http.server_headers
            said = environ if _propagation.foreign is None else _said(environ)
            state = said.get("HTTP_TRACESTATE", "")
            context = self._server.begin(
                request,
                _text(environ.get("PATH_INFO", "")) or "/",
                said.get("HTTP_TRACEPARENT", "").encode("latin-1"),
                (state.encode("latin-1"),) if state else (),
                said.get("HTTP_BAGGAGE", "").encode("latin-1"),
            )
            if captured is not None:
                request.span.set_attributes(captured.of_request(_headers(environ)))
        except Exception:  # noqa: BLE001 (telemetry never raises into the service)
            internal_error("start of request")
            return None
        return request, context


class _Body:
    """The body of a response; the request ends with its last chunk, or when the server closes it before."""

    __slots__ = ("_body", "_chunks", "_context", "_request")

    def __init__(self, body: Iterable[bytes], request: _WsgiRequest, context: Context) -> None:
        self._body = body
        self._chunks: Iterator[bytes] | None = None
        self._request = request
        self._context = context

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        request = self._request
        token = context_api.attach(self._context)
        try:
            if self._chunks is None:
                self._chunks = iter(self._body)
            return next(self._chunks)
        except StopIteration:
            request.end()
            raise
        except BaseException as error:
            request.end(error)
            raise
        finally:
            context_api.detach(token)

    def close(self) -> None:
        """Close the application's body.

        Before its last chunk it means that the client is gone, which is no failure, or that a server needs no more, as
        after HEAD.
        """
        token = context_api.attach(self._context)
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        except BaseException as error:
            self._request.end(error)
            raise
        finally:
            context_api.detach(token)
            self._request.end()


class _SizedBody(_Body):
    """A body whose number of chunks a server may ask for, to know the length of the response."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(self._body)  # type: ignore[arg-type]


def _observed(body: Iterable[bytes], request: _WsgiRequest, context: Context) -> Iterable[bytes]:
    wrapper = request.scope.get("wsgi.file_wrapper")
    if isinstance(wrapper, type) and isinstance(body, wrapper):
        # A server knows its own file wrapper, and sends the file without us; it must stay what it is.
        return _watch_close(body, request)
    return (_SizedBody if hasattr(body, "__len__") else _Body)(body, request, context)


def _watch_close(body: Any, request: _WsgiRequest) -> Iterable[bytes]:
    original = getattr(body, "close", None)

    def close() -> None:
        try:
            if original is not None:
                original()
        finally:
            request.end()

    try:
        body.close = close
    except AttributeError:  # a class of the server's that takes none: end now rather than never
        request.end()
    return body  # type: ignore[no-any-return]


def _text(native: str) -> str:
    """What the bytes of a native string say: https://peps.python.org/pep-3333/#unicode-issues."""
    return native if native.isascii() else native.encode("latin-1", "replace").decode("utf-8", "replace")


def _header(environ: Environ, name: str) -> bytes:
    value: str = environ.get(name, "")
    return value[:MAX_HEADER_BYTES].encode("latin-1", "replace")


def _version(protocol: str) -> str:
    return protocol.removeprefix("HTTP/") or "1.1"


def _headers(environ: Environ) -> list[tuple[bytes, bytes]]:
    """The request's headers as ASGI has them."""
    names = {name: name.removeprefix("HTTP_").replace("_", "-").lower() for name in environ if _is_header(name)}
    return [
        (header.encode("latin-1"), str(environ[name]).encode("latin-1", "replace")) for name, header in names.items()
    ]


def _is_header(name: str) -> bool:
    return name.startswith("HTTP_") or name in {"CONTENT_TYPE", "CONTENT_LENGTH"}


def _said(environ: Environ) -> dict[str, str]:
    """What the caller says by another propagator, under the W3C's names."""
    translated = _propagation.as_w3c(_headers(environ))
    return {f"HTTP_{name.decode('latin-1').upper()}": value.decode("latin-1") for name, value in translated}


def _address(environ: Environ) -> str:
    """The request's address without its query."""
    host = environ.get("HTTP_HOST") or environ.get("SERVER_NAME", "")
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    return f"{environ.get('wsgi.url_scheme', 'http')}://{host}{_text(path)}"
