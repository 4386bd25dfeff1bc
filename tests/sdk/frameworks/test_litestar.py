"""Litestar: path templates of controllers and routers, errors that it answers itself, websockets."""

import asyncio

import litestar
import pytest
from litestar import Controller, Litestar, Router, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

ERROR = 2


class Items(Controller):
    """A controller below a router."""

    path = "/items"

    @get("/{item_id:int}")
    async def item(self, item_id: FromPath[int]) -> int:
        """One item."""
        return item_id

    @get("/missing")
    async def missing(self) -> int:
        """No item."""
        raise NotFoundException


@get("/fail")
async def fail() -> None:
    """Raise."""
    raise ZeroDivisionError("no good")


@get("/orders/{id:int}")
async def order(id: FromPath[int]) -> int:  # noqa: A002 (the parameter's name in the route)
    """One order."""
    return id


@post("/orders")
async def place() -> dict[str, str]:
    """Place an order."""
    return {}


def make():
    return Litestar([Router("/v1", route_handlers=[Items]), fail, order, place], openapi_config=None)


@pytest.mark.parametrize(
    ("method", "path", "status", "route"),
    [
        ("GET", "/v1/items/7", 200, "/v1/items/{item_id}"),
        ("GET", "/v1/items/missing", 404, "/v1/items/missing"),
        ("POST", "/orders", 201, "/orders"),
        ("DELETE", "/orders", 405, ""),
        ("GET", "/nowhere", 404, ""),
    ],
)
def test_routes(observe, sink, call, method, path, status, route):
    """The route is the full path template; unmatched paths have none."""
    app = make()
    observe(app=app)
    assert status == call(app, path, method).status_code
    span = sink.span()
    assert (f"{method} {route}".strip(), status) == (span.name, span.tags["http.response.status_code"])


def test_exception(observe, sink, call):
    """Litestar answers 500 itself: the exception is on the span all the same."""
    app = make()
    observe(app=app)
    assert 500 == call(app, "/fail").status_code
    span = sink.span()
    assert (ERROR, "ZeroDivisionError", 1) == (span.status.code, span.tags["error.type"], len(span.events))


def test_not_found_is_no_error(observe, sink, call):
    """An HTTP exception below 500 leaves no exception behind."""
    app = make()
    observe(app=app)
    call(app, "/v1/items/missing")
    assert (0, 0) == (sink.span().status.code, len(sink.span().events))


def test_journey(observe, call, outcomes, shop):
    """A route of the file in either syntax is the journey."""
    app = make()
    scope = observe(app=app, shop=shop.replace("<int:id>", "{id:int}"))
    call(app, "/orders/7")
    call(app, "/orders/x")
    scope.shutdown()
    assert {"good": 1} == outcomes()


def test_shutdown_sends(observe, sink):
    """The end of the application's lifespan ends telemetry."""
    app = make()
    scope = observe(app=app)
    scope._pipeline.tracer.start_span("last").end()

    async def lifespan():
        incoming = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

        async def receive():
            return incoming.pop(0)

        async def send(_message):
            pass

        await app({"type": "lifespan", "asgi": {}, "state": {}}, receive, send)

    asyncio.run(lifespan())
    assert ("last", None) == (sink.span().name, scope._pipeline)


def test_websocket(observe, sink):
    """A connection is one span with the handler's template."""

    @litestar.websocket("/feed/{name:str}")
    async def feed(socket: litestar.WebSocket, name: FromPath[str]) -> None:
        await socket.accept()
        await socket.send_text(name)
        await socket.close()

    app = Litestar([feed], openapi_config=None)
    observe(app=app)
    sent = []

    async def connect():
        incoming = [{"type": "websocket.connect"}]

        async def receive():
            return incoming.pop(0)

        async def send(message):
            sent.append(message["type"])

        scope = {"type": "websocket", "path": "/feed/a", "raw_path": b"/feed/a", "headers": [], "query_string": b""}
        await app({**scope, "asgi": {}, "scheme": "ws", "subprotocols": []}, receive, send)

    asyncio.run(connect())
    assert ["websocket.accept", "websocket.send", "websocket.close"] == sent
    span = sink.span()
    assert ("GET /feed/{name}", 101) == (span.name, span.tags["http.response.status_code"])
