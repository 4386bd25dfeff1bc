"""httpx: one CLIENT span for each request that goes over the network; retries and redirects are spans of their own.

Source: https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-client-span
"""

import functools
from typing import Any

import httpx
from opentelemetry import trace

from shopscope._clients._calls import Calls, UntracedCall, end_call, start_call
from shopscope._metrics._dependencies import Dependency, peer_name
from shopscope._metrics._selfmetrics import internal_error
from shopscope._pipeline import Pipeline, active
from shopscope._tracing._propagation import outgoing_headers
from shopscope._tracing._span import Span

_ERROR = trace.StatusCode.ERROR.value
_FIRST_ERROR, _FIRST_SERVER_ERROR = 400, 500
_DEFAULT_PORTS = {"http": 80, "https": 443}


def instrument() -> None:
    """Wrap the network transports of httpx; a custom transport that delegates to them is covered too."""
    for owner, name, wrap in (
        (httpx.HTTPTransport, "handle_request", _wrap_sync),
        (httpx.AsyncHTTPTransport, "handle_async_request", _wrap_async),
    ):
        original = getattr(owner, name)
        if not hasattr(original, "__wrapped__"):
            setattr(owner, name, wrap(original))


def _wrap_async(original: Any) -> Any:
    @functools.wraps(original)
    async def handle_async_request(self: Any, request: httpx.Request) -> httpx.Response:
        span = _begin(request)
        if span is None:
            return await original(self, request)  # type: ignore[no-any-return]
        try:
            response: httpx.Response = await original(self, request)
        except BaseException as error:
            end_call(span, error)
            raise
        _end(span, response)
        return response

    return handle_async_request


def _wrap_sync(original: Any) -> Any:
    @functools.wraps(original)
    def handle_request(self: Any, request: httpx.Request) -> httpx.Response:
        span = _begin(request)
        if span is None:
            return original(self, request)  # type: ignore[no-any-return]
        try:
            response: httpx.Response = original(self, request)
        except BaseException as error:
            end_call(span, error)
            raise
        _end(span, response)
        return response

    return handle_request


def _begin(request: httpx.Request) -> trace.Span | None:
    pipeline = active()
    if pipeline is None:
        return None
    try:
        url = request.url
        span = start_call(pipeline, _calls.find(pipeline, request.method, url.scheme, url.host, url.port))
        if isinstance(span, Span):
            # No query: it may hold anything, and the path is what tells one call from another.
            path = url.raw_path.partition(b"?")[0]
            span.attributes["url.full"] = f"{url.scheme}://{url.netloc.decode('ascii')}{path.decode('ascii')}"
        for name, value in outgoing_headers(span).items():
            request.headers[name] = value
        captured = pipeline.settings.http.client_headers
        if captured is not None:
            span.set_attributes(captured.of_request(request.headers.raw))
    except Exception:  # noqa: BLE001 (telemetry never raises into the service)
        internal_error("httpx request")
        return None
    return span


def _end(span: trace.Span, response: httpx.Response) -> None:
    status = response.status_code
    if isinstance(span, Span | UntracedCall) and status >= _FIRST_ERROR:
        span.outcome = "error" if status >= _FIRST_SERVER_ERROR else "rejected"
    if isinstance(span, Span):
        span.attributes["http.response.status_code"] = status
        if status >= _FIRST_ERROR:
            span.status_code = _ERROR
            span.attributes["error.type"] = str(status)
        pipeline = active()
        if pipeline is not None and (captured := pipeline.settings.http.client_headers) is not None:
            span.set_attributes(captured.of_response(response.headers.raw))
    end_call(span)


def _describe(
    pipeline: Pipeline, method: str, scheme: str, host: str, port: int | None
) -> tuple[str, Dependency, dict[str, Any]]:
    known = method if method in pipeline.settings.http.known_methods else "_OTHER"
    port = port or _DEFAULT_PORTS.get(scheme)
    attributes: dict[str, Any] = {"http.request.method": known, "server.address": host}
    if port is not None:
        attributes["server.port"] = port
    name = known if known == method else "HTTP"
    return name, Dependency(peer_name(host, port, pipeline.settings.peers), "http"), attributes


_calls = Calls(_describe)
