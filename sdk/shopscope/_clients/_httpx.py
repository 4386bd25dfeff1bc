"""httpx: one CLIENT span for each request that goes over the network; retries and redirects are spans of their own.

Observed in httpcore, which sends them: there a request is as it goes over the wire, and a header costs no search.
Source: https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-client-span
"""

import functools
from typing import Any

import httpcore
import httpx
from opentelemetry import context as context_api
from opentelemetry import trace

from shopscope._clients._calls import (
    WITH_ATTRIBUTES,
    WITH_OUTCOME,
    Calls,
    Peer,
    RunningCall,
    Started,
    end_call,
    start_call,
)
from shopscope._metrics._dependencies import Dependency, peer_name
from shopscope._metrics._selfmetrics import internal_error
from shopscope._pipeline import Pipeline, active
from shopscope._tracing._propagation import call_headers, encoded, outgoing_headers

_ERROR = trace.StatusCode.ERROR.value
_FIRST_ERROR, _FIRST_SERVER_ERROR = 400, 500
_DEFAULT_PORTS = {"http": 80, "https": 443}


def instrument() -> None:
    """Wrap the pools of connections; a custom transport that delegates to the network's is covered too."""
    for owner, name, wrap in (
        (httpcore.ConnectionPool, "handle_request", _wrap_sync),
        (httpcore.AsyncConnectionPool, "handle_async_request", _wrap_async),
    ):
        original = getattr(owner, name)
        if not hasattr(original, "__wrapped__"):
            setattr(owner, name, wrap(original))


def _wrap_async(original: Any) -> Any:
    @functools.wraps(original)
    async def handle_async_request(self: Any, request: httpcore.Request) -> httpcore.Response:
        started = _begin(request)
        if started is None:
            return await original(self, request)  # type: ignore[no-any-return]
        try:
            response: httpcore.Response = await original(self, request)
        except BaseException as error:
            end_call(started, error)
            raise
        _end(started, response)
        return response

    return handle_async_request


def _wrap_sync(original: Any) -> Any:
    @functools.wraps(original)
    def handle_request(self: Any, request: httpcore.Request) -> httpcore.Response:
        started = _begin(request)
        if started is None:
            return original(self, request)  # type: ignore[no-any-return]
        try:
            response: httpcore.Response = original(self, request)
        except BaseException as error:
            end_call(started, error)
            raise
        _end(started, response)
        return response

    return handle_request


def _begin(request: httpcore.Request) -> Started | None:
    pipeline = active()
    if pipeline is None:
        return None
    try:
        url = request.url
        peer = _calls.at(pipeline, url.scheme, url.host, url.port)
        context = context_api.get_current()
        started = start_call(pipeline, peer[request.method], context)
        if isinstance(started, WITH_ATTRIBUTES):
            # No query: it may hold anything, and the path is what tells one call from another.
            path = url.target.partition(b"?")[0].decode("ascii")
            started.attributes["url.full"] = (peer.origin or _note_origin(peer)) + path
        if isinstance(started, RunningCall):
            parent = started.parent
            carried = call_headers(parent.trace_id, started.span_id, parent.flags, context)
        else:
            carried = encoded(outgoing_headers(started, context))
        names = [name for name, _ in carried]
        request.headers = [header for header in request.headers if header[0].lower() not in names] + carried
        captured = pipeline.settings.http.client_headers
        if captured is not None:
            _note(started, captured.of_request(request.headers))
    except Exception:  # noqa: BLE001 (telemetry never raises into the service)
        internal_error("httpx request")
        return None
    return started


def _end(started: Started, response: httpcore.Response) -> None:
    status = response.status
    if isinstance(started, WITH_ATTRIBUTES):
        started.attributes["http.response.status_code"] = status
        if status >= _FIRST_ERROR:
            started.status_code = _ERROR
            started.attributes["error.type"] = str(status)
        pipeline = active()
        if pipeline is not None and (captured := pipeline.settings.http.client_headers) is not None:
            _note(started, captured.of_response(response.headers))
    if status >= _FIRST_ERROR and isinstance(started, WITH_OUTCOME):
        started.outcome = "error" if status >= _FIRST_SERVER_ERROR else "rejected"
    end_call(started)


def _note(started: Started, attributes: dict[str, Any]) -> None:
    if type(started) is RunningCall:
        started.attributes.update(attributes)
    else:
        started.set_attributes(attributes)  # type: ignore[union-attr] # a span, then


def _note_origin(peer: Peer) -> str:
    scheme, host, port = peer.key
    name = host.decode("ascii")
    name = f"[{name}]" if ":" in name else name
    peer.origin = f"{scheme.decode('ascii')}://{name}" + ("" if port is None else f":{port}")
    return peer.origin


def _describe(
    pipeline: Pipeline, scheme: bytes, raw_host: bytes, port: int | None, raw_method: bytes
) -> tuple[str, Dependency, dict[str, Any]]:
    method = raw_method.decode("ascii")
    host = httpx.URL(scheme="http", host=raw_host.decode("ascii")).host  # as people write it, not as DNS does
    known = method if method in pipeline.settings.http.known_methods else "_OTHER"
    port = port or _DEFAULT_PORTS.get(scheme.decode("ascii"))
    attributes: dict[str, Any] = {"http.request.method": known, "server.address": host}
    if port is not None:
        attributes["server.port"] = port
    name = known if known == method else "HTTP"
    return name, Dependency(peer_name(host, port, pipeline.settings.peers), "http"), attributes


_calls = Calls(_describe)
