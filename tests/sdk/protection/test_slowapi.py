"""slowapi, the real one: decorators and middlewares."""

import socket

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request
from slowapi import Limiter, _rate_limit_exceeded_handler
from slowapi.errors import RateLimitExceeded
from slowapi.middleware import SlowAPIASGIMiddleware, SlowAPIMiddleware


def make_app(**settings):
    app = FastAPI()
    app.state.limiter = limiter = Limiter(key_func=lambda: "anyone", **settings)
    app.add_exception_handler(RateLimitExceeded, _rate_limit_exceeded_handler)
    router = APIRouter(prefix="/shop")

    @router.get("/search/{words}")
    @limiter.limit("2/hour")
    async def search(request: Request, words: str):  # noqa: ARG001 (slowapi asks for it)
        return words

    @router.get("/sync/{words}")
    @limiter.shared_limit("1/hour", scope="sync")
    def sync(request: Request, words: str):  # noqa: ARG001 (slowapi asks for it)
        return words

    app.include_router(router)

    @app.get("/free")
    async def free():
        return "free"

    return app


@pytest.fixture
def tell(sink):
    """What the limiter has told, after the service has ended."""

    def end(scope):
        scope.shutdown()
        guards = {tuple(point.tags.values()) for point in sink.points("shopscope.guard.info")}
        events = {
            (point.tags["operation"], point.tags["event"]): point.point.as_double
            for point in sink.points("shopscope.guard.events")
        }
        assert [] == sink.points("shopscope.sdk.errors")
        return [(span.name, span.tags.get("shopscope.protection")) for span in sink.spans()], guards, events

    return end


def test_limited_routes(observe, call, tell):
    """A limited route's SERVER span says so, and its 429s are counted; routes were made before ``init``."""
    app = make_app()
    scope = observe("search", app=app)
    assert [200, 200, 429, 200] == [call(app, path).status_code for path in (*3 * ["/shop/search/red"], "/free")]
    spans, guards, events = tell(scope)
    assert [*3 * [("GET /shop/search/{words}", "limiter")], ("GET /free", None)] == spans
    assert {("search", "GET /shop/search/{words}", "limiter")} == guards
    assert {("GET /shop/search/{words}", "limited"): 1.0} == events


def test_sync_endpoint(observe, call, tell):
    """An endpoint that runs in a thread is under its limiter too."""
    app = make_app(key_style="endpoint")
    scope = observe("search", app=app)
    assert [200, 429, 429] == [call(app, "/shop/sync/red").status_code for _ in range(3)]
    spans, guards, events = tell(scope)
    assert 3 * [("GET /shop/sync/{words}", "limiter")] == spans
    assert {("search", "GET /shop/sync/{words}", "limiter")} == guards
    assert {("GET /shop/sync/{words}", "limited"): 2.0} == events


@pytest.mark.parametrize("middleware", [SlowAPIMiddleware, SlowAPIASGIMiddleware])
def test_middleware(observe, call, tell, middleware):
    """Limits by default come from a middleware, which knows no route yet."""
    app = make_app(default_limits=["1/hour"])
    app.add_middleware(middleware)
    scope = observe("search", app=app)
    assert [200, 429] == [call(app, "/free").status_code for _ in range(2)]
    spans, guards, events = tell(scope)
    assert ["limiter", "limiter"] == [protection for _, protection in spans]
    assert {("search", "", "limiter")} == guards
    assert {("", "limited"): 1.0} == events


def test_mounted_application(observe, call, tell):
    """The operation is the route as the span has it, with the prefix of mounts."""
    app = FastAPI()
    app.mount("/api", make_app())
    scope = observe("search", app=app)
    assert 200 == call(app, "/api/shop/search/red").status_code
    spans, guards, _ = tell(scope)
    assert [("GET /api/shop/search/{words}", "limiter")] == spans
    assert {("search", "GET /api/shop/search/{words}", "limiter")} == guards


def test_limits_while_the_store_is_gone(observe, call, tell):
    """The fallback's refusals are counted once, though the library asks itself a second time."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        storage = f"redis://127.0.0.1:{unused.getsockname()[1]}"
        app = make_app(storage_uri=storage, in_memory_fallback=["0/hour"])
        scope = observe("search", app=app)
        assert 429 == call(app, "/shop/search/red").status_code
    assert {("GET /shop/search/{words}", "limited"): 1.0} == tell(scope)[2]


def test_without_telemetry(call):
    """Without ``init`` the limiter is as it was."""
    app = make_app(key_style="endpoint")
    assert [200, 200, 429] == [call(app, "/shop/search/red").status_code for _ in range(3)]


def test_calls_of_a_limited_route_are_not_limited(observe, call, sink, bank):
    """The limiter protects the route, not what the route calls."""
    app = FastAPI()
    limiter = Limiter(key_func=lambda: "anyone")

    @app.get("/pay")
    @limiter.limit("9/hour")
    async def pay(request: Request):  # noqa: ARG001 (slowapi asks for it)
        async with httpx.AsyncClient() as client:
            await client.get(f"http://127.0.0.1:{bank.port}/200")

    scope = observe("payment", app=app)
    call(app, "/pay")
    scope.shutdown()
    assert {"GET": None, "GET /pay": "limiter"} == {
        span.name: span.tags.get("shopscope.protection") for span in sink.spans(2)
    }
