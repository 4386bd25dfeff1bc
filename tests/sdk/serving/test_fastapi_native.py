"""FastAPI traces by itself once OpenTelemetry is set up (0.142 and later): with shopscope nothing is there twice."""

import pytest
from fastapi import FastAPI
from opentelemetry import trace


def make(path="/x"):
    app = FastAPI()

    @app.get(path)
    async def x():
        return "ok"

    return app


@pytest.mark.parametrize("before", [True, False], ids=["init after routes", "init before routes"])
def test_one_span_for_a_request(observe, sink, call, before):
    """The SERVER span is the only one."""
    app = make() if before else FastAPI()
    scope = observe(app=app)
    if not before:

        @app.get("/x")
        async def x():
            return "ok"

    assert 200 == call(app, "/x").status_code
    assert scope.flush()
    assert ["GET /x"] == [span.name for span in sink.spans(1)]


def test_mounted_applications_do_not_double(observe, sink, call):
    """A FastAPI application below another one adds no spans of its own."""
    app, below, deep = make(), make("/below"), make("/deep")
    below.mount("/further", deep)
    app.mount("/sub", below)
    scope = observe(app=app)
    for path in ("/x", "/sub/below", "/sub/further/deep"):
        assert 200 == call(app, path).status_code
    assert scope.flush()
    assert ["GET /x", "GET /sub/below", "GET /sub/further/deep"] == [span.name for span in sink.spans(3)]


def test_fastapi_inside_another_application(observe, sink, call):
    """FastAPI behind ``scope.asgi`` of a plain application does not trace either."""
    inner = make()

    async def outer(scope, receive, send):
        await inner(scope, receive, send)

    scope = observe()
    assert 200 == call(scope.asgi(outer), "/x").status_code
    assert scope.flush()
    assert ["GET /x"] == [span.name for span in sink.spans(1)]


def test_health_checks_do_not_come_back_natively(observe, sink, call):
    """What we do not trace FastAPI does not trace instead."""
    app = make("/healthz")
    scope = observe(app=app)
    assert 200 == call(app, "/healthz").status_code
    assert scope.flush()
    assert [] == sink.spans()


def test_user_spans_are_below_the_server_span(observe, sink, call):
    """A span of the service's own has the SERVER span as its parent."""
    app = FastAPI()

    @app.get("/x")
    async def x():
        with trace.get_tracer("mine").start_as_current_span("own"):
            return "ok"

    observe(app=app)
    call(app, "/x")
    spans = {span.name: span for span in sink.spans(2)}
    assert spans["GET /x"].span_id == spans["own"].parent_span_id


def test_two_services_in_one_process_are_not_one(observe, sink, call):
    """An application that is not given to ``init`` is not observed by shopscope."""
    observed, other = make(), make()
    scope = observe(app=observed)
    call(observed, "/x")
    assert scope.flush()
    assert 1 == len(sink.spans(1))
    assert not hasattr(other, "_shopscope_scope")
