"""Websockets, streams and clients that leave, below FastAPI and Starlette as a real server drives them."""

import asyncio

import pytest
from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect
from opentelemetry import trace
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Mount

ERROR = 2


def make():
    app = FastAPI()

    @app.websocket("/feed/{name}")
    async def feed(socket: WebSocket, name: str):
        await socket.accept()
        trace.get_tracer("test").start_span("below").end()
        try:
            while (await socket.receive_text()) != "stop":
                await socket.send_text(name)
        except WebSocketDisconnect:
            return
        await socket.close(4000)

    @app.websocket("/refuse")
    async def refuse(socket: WebSocket):
        await socket.close()

    @app.websocket("/fail")
    async def fail(socket: WebSocket):
        await socket.accept()
        raise ZeroDivisionError("no good")

    @app.websocket("/careless")
    async def careless(socket: WebSocket):
        await socket.accept()
        await socket.receive_text()

    @app.websocket("/broken")
    async def broken(socket: WebSocket):
        await socket.accept()
        await socket.close(1011)

    return app


@pytest.fixture
def connect(observe):
    """A function that plays a websocket's client; returns what the application sent, and the scope of telemetry."""

    def run(path, messages=(), headers=()):
        app = make()
        telemetry = observe(
            app=app, shop="[journeys.x]\nroutes=['GET /fail']\nservice='checkout'\nlatency='1s'\nobjective=0.9"
        )
        incoming = [{"type": "websocket.connect"}, *messages]
        sent = []

        async def receive():
            return incoming.pop(0)

        async def send(message):
            sent.append(message["type"])

        connection = {"type": "websocket", "path": path, "headers": list(headers), "scheme": "wss", "asgi": {}}
        try:
            asyncio.run(app({**connection, "query_string": b"", "client": ("10.0.0.9", 1)}, receive, send))
        finally:
            telemetry.shutdown()
        return sent

    return run


TEXT = {"type": "websocket.receive", "text": "a"}
STOP = {"type": "websocket.receive", "text": "stop"}


def test_connection_closed_by_the_application(connect, sink, capsys):
    """One SERVER span for the connection, below its caller, with the closing code; no event, no observation."""
    headers = [(b"host", b"shop.example"), (b"traceparent", f"00-{'a' * 32}-{'b' * 16}-01".encode())]
    sent = connect("/feed/a", [TEXT, TEXT, STOP], headers)
    assert ["websocket.accept", "websocket.send", "websocket.send", "websocket.close"] == sent
    below, connection = sorted(sink.spans(2), key=lambda span: span.kind)
    assert ("GET /feed/{name}", 2, 0) == (connection.name, connection.kind, connection.status.code)
    assert (bytes.fromhex("b" * 16), connection.span_id) == (connection.parent_span_id, below.parent_span_id)
    assert {
        "http.request.method": "GET",
        "http.response.status_code": 101,
        "http.route": "/feed/{name}",
        "url.scheme": "wss",
        "url.path": "/feed/a",
        "server.address": "shop.example",
        "client.address": "10.0.0.9",
        "network.protocol.name": "websocket",
        "network.protocol.version": "1.1",
        "shopscope.websocket.close_code": 4000,
    } == connection.tags
    assert [] == sink.points("http.server.request.duration")
    assert 1 == sum('"event":"request"' in line for line in capsys.readouterr().out.splitlines())


@pytest.mark.parametrize(("path", "code"), [("/feed/a", 1001), ("/careless", 1001), ("/feed/a", 1006)])
def test_client_that_leaves(connect, sink, path, code):
    """Whether the client closes or is gone, and whether the application minds: no error of the service."""
    try:
        connect(path, [{"type": "websocket.disconnect", "code": code}])
    except WebSocketDisconnect:
        assert "/careless" == path
    (connection,) = (span for span in sink.spans(1) if span.kind == 2)
    assert (0, code) == (connection.status.code, connection.tags["shopscope.websocket.close_code"])


def test_refused_connection(connect, sink):
    """Closing before accepting is the answer 403."""
    assert ["websocket.close"] == connect("/refuse")
    assert (403, 0) == (sink.span().tags["http.response.status_code"], sink.span().status.code)


def test_failing_handler(connect, sink):
    """An exception is an error of the connection, and no event of a journey."""
    with pytest.raises(ZeroDivisionError):
        connect("/fail")
    assert (ERROR, "ZeroDivisionError") == (sink.span().status.code, sink.span().tags["error.type"])
    assert set() == {point.tags["outcome"] for point in sink.points("shopscope.slo.events") if point.point.as_double}


def test_internal_error_by_its_code(connect, sink):
    """Closing with 1011 says that the service failed."""
    connect("/broken")
    assert (ERROR, 1011) == (sink.span().status.code, sink.span().tags["shopscope.websocket.close_code"])


SHOP = "[journeys.x]\nroutes=['GET /x', 'POST /x']\nservice='checkout'\nlatency='10s'\nobjective=0.9"


def drive(app, receive, send, method="GET"):
    connection = {"type": "http", "method": method, "path": "/x", "headers": [], "query_string": b"", "asgi": {}}
    asyncio.run(app({**connection, "asgi": {"spec_version": "2.4"}}, receive, send))


def test_server_sent_events(observe, sink):
    """A stream lasts until its last byte, not until its first; a server whose client is gone raises OSError."""
    app = FastAPI()

    @app.get("/x")
    async def events():
        async def endless():
            while True:
                yield "data: 1\n\n"
                await asyncio.sleep(0.01)

        return StreamingResponse(endless(), media_type="text/event-stream")

    telemetry = observe(app=app, shop=SHOP)
    sent = []

    async def send(message):
        sent.append(message)
        if len(sent) > 4:
            raise OSError("connection reset")

    async def receive():
        await asyncio.Event().wait()

    with pytest.raises(Exception):  # noqa: B017,PT011 (Starlette says ClientDisconnect, others OSError)
        drive(app, receive, send)
    telemetry.shutdown()
    span = sink.span()
    assert (0, 200) == (span.status.code, span.tags["http.response.status_code"])
    assert span.end_time_unix_nano - span.start_time_unix_nano > 20_000_000
    assert {"good"} == {point.tags["outcome"] for point in sink.points("shopscope.slo.events") if point.point.as_double}


def test_client_that_leaves_while_it_sends(observe, sink):
    """Who goes away before the answer has seen nothing good, and is no error of the service."""
    app = FastAPI()

    @app.post("/x")
    async def upload(request: Request):
        async for _ in request.stream():
            pass

    telemetry = observe(app=app, shop=SHOP)
    messages = [{"type": "http.request", "body": b"x", "more_body": True}, {"type": "http.disconnect"}]

    async def receive():
        return messages.pop(0)

    async def send(_message):
        raise OSError("gone")

    with pytest.raises(Exception):  # noqa: B017,PT011 (the framework's choice)
        drive(app, receive, send, "POST")
    telemetry.shutdown()
    assert 0 == sink.span().status.code
    assert "error" not in {
        point.tags["outcome"] for point in sink.points("shopscope.slo.events") if point.point.as_double
    }


def test_observed_application_inside_an_observed_one(observe, sink, call):
    """A mounted application that is observed itself has no second span."""
    app, below = FastAPI(), FastAPI()

    @below.get("/y")
    async def inner():
        return "ok"

    scope = observe(app=app)
    scope.instrument(below)
    app.mount("/sub", below)
    assert 200 == call(app, "/sub/y").status_code
    assert scope.flush()
    assert ["GET /sub/y"] == [span.name for span in sink.spans(1)]


@pytest.mark.parametrize(
    ("path", "route"), [("/static/a/b.css", "/static/{path}"), ("/7/static/x", "/{tenant}/static/{path}")]
)
def test_mounted_application_without_routes(observe, sink, call, path, route):
    """Below a mount whose application names no route, the mount is the route, once."""

    async def plain(scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["path"].encode()})

    app = Starlette(routes=[Mount("/static", plain), Mount("/{tenant}/static", plain)])
    observe(app=app)
    assert 200 == call(app, path).status_code
    assert f"GET {route}" == sink.span().name
