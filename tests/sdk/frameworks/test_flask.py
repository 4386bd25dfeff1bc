"""Flask: rules with blueprints and mounts as routes, and all ways that a request can go."""

import pytest
from flask import Blueprint, Flask, Response, abort, redirect, stream_with_context
from opentelemetry import trace
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

ERROR = 2


def make():
    app, api = Flask("shop"), Blueprint("api", "api", url_prefix="/api")

    @app.get("/orders/<int:id>")
    def order(id):  # noqa: A002 (the parameter's name in the route)
        return {"id": id}

    @app.post("/orders")
    def place():
        return {}, 201

    app.add_url_rule("/old", "old", lambda: redirect("/orders/1"))
    app.add_url_rule("/slash/", "slash", lambda: "slash")
    app.add_url_rule("/fail", "fail", lambda: 1 / 0)
    app.add_url_rule("/handled", "handled", lambda: {}["handled"])
    app.register_error_handler(KeyError, lambda _error: ("gone", 410))

    @app.get("/stream")
    def stream():
        def chunks():
            for number in range(3):
                trace.get_tracer("test").start_span("chunk").end()
                yield str(number)

        return Response(stream_with_context(chunks()))

    @api.get("/files/<path:name>")
    def files(name):
        if name == "missing":
            abort(404)
        return name

    app.register_blueprint(api)
    return app


@pytest.mark.parametrize(
    ("method", "path", "status", "route"),
    [
        ("GET", "/orders/7", 200, "/orders/<int:id>"),
        ("HEAD", "/orders/7", 200, "/orders/<int:id>"),
        ("OPTIONS", "/orders/7", 200, "/orders/<int:id>"),
        ("POST", "/orders", 201, "/orders"),
        ("GET", "/api/files/a/b.txt", 200, "/api/files/<path:name>"),
        ("GET", "/api/files/missing", 404, "/api/files/<path:name>"),
        ("GET", "/old", 302, "/old"),
        ("GET", "/slash", 308, ""),
        ("DELETE", "/orders/7", 405, ""),
        ("GET", "/nowhere", 404, ""),
    ],
)
def test_routes(observe, sink, ask, method, path, status, route):
    """The route is Flask's own rule with the prefixes of blueprints; unmatched paths have none."""
    app = make()
    observe(app=app)
    assert str(status) == ask(app, path, method).finish().status[:3]
    span = sink.span()
    assert (f"{method} {route}".strip(), route, status) == (
        span.name,
        span.tags.get("http.route", ""),
        span.tags["http.response.status_code"],
    )


def test_journey_by_the_frameworks_own_syntax(observe, sink, ask, outcomes, shop):
    """The file names a route as Flask does; what is no number is no order."""
    app = make()
    scope = observe(app=app, shop=shop)
    ask(app, "/orders/7").finish()
    ask(app, "/orders/x").finish()
    ask(app, "/orders", "POST").finish()
    scope.shutdown()
    assert {"good": 2} == outcomes()
    assert ["order", "", "order"] == [span.tags.get("shopscope.journey", "") for span in sink.spans(3)]


def test_exception(observe, sink, ask, outcomes, shop):
    """Flask answers 500 itself: the exception is on the span all the same, once."""
    app = make()
    scope = observe(app=app, shop=shop.replace("POST /orders", "GET /fail"))
    assert "500" == ask(app, "/fail").finish().status[:3]
    scope.shutdown()
    span = sink.span()
    assert (ERROR, "ZeroDivisionError: division by zero", "ZeroDivisionError", 1, {"error": 1}) == (
        span.status.code,
        span.status.message,
        span.tags["error.type"],
        len(span.events),
        outcomes(),
    )


def test_handled_exception(observe, sink, ask):
    """An exception that the service has an answer for is no error of its."""
    app = make()
    observe(app=app)
    assert "410" == ask(app, "/handled").finish().status[:3]
    assert (0, 0) == (sink.span().status.code, len(sink.span().events))


def test_stream(observe, sink, ask):
    """Spans of a streamed answer are below the request, which lasts until its end."""
    app = make()
    observe(app=app)
    assert b"012" == ask(app, "/stream").finish().content
    spans = sink.spans(4)
    (request,) = (span for span in spans if span.name == "GET /stream")
    assert {request.span_id} == {span.parent_span_id for span in spans if span.name == "chunk"}
    assert max(span.end_time_unix_nano for span in spans) == request.end_time_unix_nano


def test_mounted_application(observe, sink, ask):
    """The route of an application that is mounted in another one has the mount's prefix."""
    app = make()
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/sub": make()})
    observe(app=app)
    ask(app, "/sub/orders/7", SCRIPT_NAME="/shop").finish()
    span = sink.span()
    assert ("GET /sub/orders/<int:id>", "/shop/sub/orders/7") == (span.name, span.tags["url.path"])


@pytest.mark.parametrize("order", ["inside", "outside"])
def test_prefix_of_a_proxy_is_no_mount(observe, sink, ask, order):
    """A header's prefix is the client's to choose: it never becomes part of the route."""
    app = make()
    if order == "inside":
        app.wsgi_app = ProxyFix(app.wsgi_app, x_prefix=1)
    observe(app=app)
    if order == "outside":
        app.wsgi_app = ProxyFix(app.wsgi_app, x_prefix=1)
    ask(app, "/orders/7", headers={"X-Forwarded-Prefix": "/anything"}).finish()
    assert "GET /orders/<int:id>" == sink.span().name


def test_init_twice_and_test_client(observe, sink):
    """A second ``init`` with the same application adds nothing; Flask's own client is a server like any other."""
    app = make()
    scope = observe(app=app)
    scope.instrument(app)
    assert {"id": 7} == app.test_client().get("/orders/7").json
    assert scope.flush()
    assert 1 == len(sink.spans(1))
