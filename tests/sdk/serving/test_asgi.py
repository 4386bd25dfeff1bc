"""The ASGI middleware: one SERVER span, one observation and one line for each request, by the semantic conventions."""

import json

import pytest
from fastapi import APIRouter, FastAPI, HTTPException
from opentelemetry import trace
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, Router


async def hello(request):
    return PlainTextResponse(f"hello {request.path_params}")


async def plain(scope, _receive, send):
    """An application without any framework, that knows requests alone."""
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


def make_fastapi():
    app, router, below = FastAPI(), APIRouter(prefix="/v1"), FastAPI()

    @router.get("/items/{item_id}")
    async def item(item_id: int):
        return item_id

    @router.get("/missing")
    async def missing():
        raise HTTPException(404)

    @below.get("/d/{name}")
    def threaded(name: str):
        return name

    app.include_router(router, prefix="/api")
    app.mount("/sub", below)
    app.mount("/tenants/{tenant}", below)
    return app


def make_starlette():
    tenant = Mount(
        "/tenants/{tenant}",
        routes=[Route("/users/{user:int}", hello), Mount("/files", Router([Route("/{path:path}", hello)]))],
    )
    return Starlette(
        routes=[Route("/a/{x}", hello), Route("/only", hello, methods=["POST"]), Route("/slash/", hello), tenant]
    )


def test_attributes_of_the_semantic_conventions(observe, sink, call):
    """A FastAPI request has what the conventions ask for; the address has no port and the query is not recorded."""
    app = make_fastapi()
    observe(app=app)
    assert 200 == call(app, "/api/v1/items/7?token=secret", headers={"User-Agent": "test/1"}).status_code
    span = sink.span()
    assert ("GET /api/v1/items/{item_id}", 2, 0, b"") == (span.name, span.kind, span.status.code, span.parent_span_id)
    assert {
        "http.request.method": "GET",
        "http.route": "/api/v1/items/{item_id}",
        "http.response.status_code": 200,
        "url.scheme": "http",
        "url.path": "/api/v1/items/7",
        "server.address": "shop.example",
        "server.port": 8080,
        "client.address": "127.0.0.1",
        "network.protocol.version": "1.1",
        "user_agent.original": "test/1",
    } == span.tags


@pytest.mark.parametrize(
    ("make", "method", "path", "status", "route"),
    [
        (make_fastapi, "GET", "/api/v1/items/x", 422, "/api/v1/items/{item_id}"),
        (make_fastapi, "GET", "/api/v1/missing", 404, "/api/v1/missing"),
        (make_fastapi, "GET", "/nowhere/at/all", 404, ""),
        (make_fastapi, "GET", "/sub/d/a", 200, "/sub/d/{name}"),
        (make_fastapi, "GET", "/tenants/42/d/a", 200, "/tenants/{tenant}/d/{name}"),
        (make_fastapi, "GET", "/sub/nowhere", 404, ""),
        (make_fastapi, "DELETE", "/api/v1/items/1", 405, "/api/v1/items/{item_id}"),
        (make_fastapi, "GET", "/openapi.json", 200, ""),
        (make_starlette, "GET", "/a/1", 200, "/a/{x}"),
        (make_starlette, "HEAD", "/a/1", 200, "/a/{x}"),
        (make_starlette, "GET", "/tenants/42/users/7", 200, "/tenants/{tenant}/users/{user}"),
        (make_starlette, "GET", "/tenants/42/files/a/b.txt", 200, "/tenants/{tenant}/files/{path}"),
        (make_starlette, "GET", "/only", 405, "/only"),
        (make_starlette, "GET", "/slash", 307, ""),
        (make_starlette, "GET", "/nowhere", 404, ""),
    ],
)
def test_routes(observe, sink, call, make, method, path, status, route):
    """The route is the template as the framework has it, with prefixes and mounts; unmatched paths have none."""
    app = make()
    observe(app=app)
    assert status == call(app, path, method).status_code
    span = sink.span()
    assert (f"{method} {route}".strip(), route) == (span.name, span.tags.get("http.route", ""))
    assert status == span.tags["http.response.status_code"]


def test_any_asgi_application(observe, sink, call):
    """``scope.asgi`` observes an application without a framework; there is no route to name."""
    app = observe().asgi(plain)
    assert "hello" == call(app, "/a").text
    span = sink.span()
    assert ("GET", "/a", None) == (span.name, span.tags["url.path"], span.tags.get("http.route"))


@pytest.mark.parametrize("kind", [FastAPI, Starlette])
def test_unknown_method_is_other(observe, sink, call, kind):
    """Methods are bounded: an invented one is _OTHER, the original is on the span alone."""
    app = kind()
    scope = observe(app=app)
    call(app, "/x", "HACK")
    scope.shutdown()
    span = sink.span()
    assert ("HTTP", "_OTHER", "HACK") == (
        span.name,
        span.tags["http.request.method"],
        span.tags["http.request.method_original"],
    )
    (point,) = sink.points("http.server.request.duration")
    assert "_OTHER" == point.tags["http.request.method"]


@pytest.mark.parametrize(
    ("host", "address", "port"),
    [
        (b"shop.example", "shop.example", None),
        (b"shop.example:81", "shop.example", 81),
        (b"[::1]:81", "::1", 81),
        (b"[::1]", "::1", None),
        (b"x:\xb2", "x:\xb2", None),
        (b"x:99999", "x:99999", None),
        (b"x:" + b"9" * 200, "x:" + "9" * 200, None),
        (b"x:-1", "x:-1", None),
    ],
)
def test_server_address_from_host(observe, sink, call, host, address, port):
    """Name and port are told apart, whatever a client writes."""
    app = observe().asgi(plain)
    call(app, "/a", headers=[(b"host", host)])
    tags = sink.span().tags
    assert (address, port) == (tags["server.address"], tags.get("server.port"))


@pytest.mark.parametrize("path", ["/healthz", "/metrics", "/readyz", "/favicon.ico"])
def test_health_checks_are_untraced(observe, sink, call, path):
    """Health checks make no span, no line, no observation; nor does what they do."""
    app = FastAPI()

    @app.get(path)
    async def check():
        with trace.get_tracer("test").start_as_current_span("SELECT 1"):
            return "ok"

    scope = observe(app=app)
    assert 200 == call(app, path).status_code
    scope.shutdown()
    assert ([], [], []) == (sink.spans(), sink.logs(body="request"), sink.points("http.server.request.duration"))


@pytest.mark.parametrize("root_path", ["/proxied", ""])
def test_root_path_of_the_server(observe, sink, call, root_path):
    """Behind a prefix (``uvicorn --root-path``) routes, journeys and health checks are what they are without."""
    app = FastAPI()

    @app.post("/checkout")
    async def checkout():
        return "ok"

    @app.get("/healthz")
    async def check():
        return "ok"

    shop = '[journeys.checkout]\nroutes = ["POST /checkout"]\nservice = "s"\nlatency = "1s"\nobjective = 0.9\n'
    observe("s", app=app, shop=shop)

    async def served(scope, receive, send):
        await app({**scope, "root_path": root_path}, receive, send)

    assert 200 == call(served, f"{root_path}/checkout", "POST").status_code
    assert 200 == call(served, f"{root_path}/healthz").status_code
    tags = sink.span().tags
    assert ("/checkout", f"{root_path}/checkout", "checkout") == (
        tags["http.route"],
        tags["url.path"],
        tags["shopscope.journey"],
    )


def test_middleware_is_outermost_whatever_comes_later(observe, sink, call):
    """Middleware and routes that are added after ``init`` are inside the span."""
    app = FastAPI()
    observe(app=app)

    async def slow(request, call_next):
        trace.get_current_span().set_attribute("seen", "by the middleware")
        return await call_next(request)

    app.add_middleware(BaseHTTPMiddleware, dispatch=slow)

    @app.get("/late")
    async def late():
        trace.get_current_span().set_attribute("also", "by the route")
        return "ok"

    assert 200 == call(app, "/late").status_code
    tags = sink.span().tags
    assert ("by the middleware", "by the route") == (tags["seen"], tags["also"])


def test_init_after_the_first_request(observe, sink, call):
    """An application that serves already is observed from then on."""
    app = make_starlette()
    assert 200 == call(app, "/a/1").status_code
    observe(app=app)
    assert 200 == call(app, "/a/2").status_code
    assert "/a/2" == sink.span().tags["url.path"]


def test_init_twice_observes_once(observe, sink, call):
    """A second ``init`` with the same application changes nothing; one with another observes that too."""
    first, second = make_starlette(), make_starlette()
    scope = observe(app=first)
    assert scope is observe(app=first)
    assert scope is observe("other", app=second)
    call(first, "/a/1")
    call(second, "/a/2")
    assert ["/a/1", "/a/2"] == [span.tags["url.path"] for span in sink.spans(2)]
    assert scope.flush()
    assert 2 == len(sink.spans())
    assert {"checkout"} == {span.resource["service.name"] for span in sink.spans()}


def test_what_the_service_sets_on_its_span_stays(observe, sink, call):
    """Name, attributes and status that user code gives the SERVER span are kept, each key once."""
    app = FastAPI()

    @app.get("/x")
    async def x():
        span = trace.get_current_span()
        span.update_name("mine")
        span.set_attributes({"http.route": "/mine", "url.path": "/hidden", "client.address": "?", "own": 1})
        span.set_status(trace.StatusCode.OK)
        raise HTTPException(503)

    observe(app=app)
    assert 503 == call(app, "/x").status_code
    span = sink.span()
    tags = span.tags
    assert ("mine", "/mine", "/hidden", "?", 1, 503, 1) == (
        span.name,
        *(tags[key] for key in ("http.route", "url.path", "client.address", "own", "http.response.status_code")),
        span.status.code,
    )


def test_request_after_shutdown_is_served_unobserved(observe, sink, call):
    """A service whose telemetry has ended goes on as if there had been none."""
    app = FastAPI()
    wrapped = make_starlette()
    scope = observe(app=app)
    outside = scope.asgi(wrapped)
    scope.shutdown()
    assert (404, 200) == (call(app, "/x").status_code, call(outside, "/a/1").status_code)
    assert [] == sink.spans()


def test_access_line_and_log_record(observe, sink, call, capsys):
    """One JSON line for each request, with ids that lead to its span, and the same as an OTLP record."""
    app = make_starlette()
    observe(app=app)
    call(app, "/a/1?q=secret")
    (line,) = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    span, log = sink.span(), sink.log("request")
    assert (span.trace_id.hex(), span.span_id.hex()) == (line["trace_id"], line["span_id"])
    assert (span.trace_id, span.span_id) == (log.trace_id, log.span_id)
    expected = {
        "http.request.method": "GET",
        "http.route": "/a/{x}",
        "http.response.status_code": 200,
        "url.path": "/a/1",
    }
    assert expected == {key: line[key] for key in expected} == {key: log.tags[key] for key in expected}
    assert {"timestamp", "level", "event", "logger", "service", "duration_ms", "trace_id", "span_id", *expected} == set(
        line
    )
    assert ("info", "request", "checkout", "INFO") == (line["level"], line["event"], line["service"], log.severity_text)


def test_middleware_given_at_construction(observe, sink, call):
    """Starlette's own list of middleware is inside the span too."""

    async def mark(request, call_next):
        trace.get_current_span().set_attribute("seen", "yes")
        return await call_next(request)

    app = Starlette(routes=[Route("/a", hello)], middleware=[Middleware(BaseHTTPMiddleware, dispatch=mark)])
    observe(app=app)
    call(app, "/a")
    assert "yes" == sink.span().tags["seen"]
