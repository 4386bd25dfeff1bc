"""The ASGI middleware when the application fails, streams, is left by its client, or is not there any more."""

import asyncio

import pytest
from fastapi import BackgroundTasks, FastAPI
from otlp_sink import plain_attributes
from starlette.responses import StreamingResponse

ERROR = 2
SHOP = """
[journeys.checkout]
routes = ["GET /x"]
service = "checkout"
latency = "10s"
objective = 0.99
"""


def outcomes(sink):
    return {
        point.tags["outcome"]: int(point.point.as_double)
        for point in sink.points("shopscope.slo.events")
        if point.point.as_double
    }


async def answer(send, *, status=200, chunks=(b"x",), is_complete=True):
    await send({"type": "http.response.start", "status": status, "headers": []})
    for number, chunk in enumerate(chunks, 1):
        await send({"type": "http.response.body", "body": chunk, "more_body": not is_complete or number < len(chunks)})


@pytest.fixture
def serve(observe):
    """A function that serves one request to a plain application, and returns the messages it sent and its error."""
    scope = observe(shop=SHOP)

    def run(app, path="/x", headers=(), **more):
        async def request():
            sent = []

            async def receive():
                return {"type": "http.request", "body": b"", "more_body": False}

            async def send(message):
                sent.append(message)

            connection = {"type": "http", "method": "GET", "path": path, "headers": list(headers), **more}
            try:
                await scope.asgi(app)(connection, receive, send)
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 (handed to the test)
                return sent, error
            return sent, None

        result = asyncio.run(request())
        scope.shutdown()
        return result

    return run


def test_exception_before_the_response(observe, sink, call):
    """FastAPI answers 500 and raises on: one error with one ``error.type``, one failed SLO event."""
    app = FastAPI()

    @app.get("/x")
    async def fail():
        raise ZeroDivisionError("no good")

    scope = observe(app=app, shop=SHOP)
    assert 500 == call(app, "/x").status_code
    scope.shutdown()
    span = sink.span()
    assert (ERROR, "ZeroDivisionError: no good", "ZeroDivisionError", 500) == (
        span.status.code,
        span.status.message,
        span.tags["error.type"],
        span.tags["http.response.status_code"],
    )
    (event,) = span.events
    assert "no good" == plain_attributes(event.attributes)["exception.message"]
    assert ({"error": 1}, "ERROR") == (outcomes(sink), sink.log("request").severity_text)


def test_exception_without_any_response(serve, sink):
    """An application that raises and answers nothing has no status, and is an error."""

    async def app(*_):
        raise KeyError("k")

    sent, error = serve(app)
    span = sink.span()
    assert ([], KeyError, ERROR, "KeyError") == (sent, type(error), span.status.code, span.tags["error.type"])
    (point,) = sink.points("http.server.request.duration")
    assert (False, {"error": 1}) == ("http.response.status_code" in point.tags, outcomes(sink))


def test_exception_in_the_middle_of_the_response(serve, sink):
    """A response that breaks off is an error, whatever its status says."""

    async def app(_scope, _receive, send):
        await answer(send, is_complete=False)
        raise OSError("gone")

    _, error = serve(app)
    span = sink.span()
    assert (OSError, ERROR, 200, {"error": 1}) == (
        type(error),
        span.status.code,
        span.tags["http.response.status_code"],
        outcomes(sink),
    )


def test_error_status(serve, sink):
    """A 5xx answer is an error without an exception; its type is the status."""

    async def app(_scope, _receive, send):
        await answer(send, status=503)

    serve(app)
    span = sink.span()
    assert (ERROR, "503", 0, {"error": 1}) == (
        span.status.code,
        span.tags["error.type"],
        len(span.events),
        outcomes(sink),
    )


@pytest.mark.parametrize("status", [400, 404, 429, 499])
def test_client_errors_are_no_errors_of_ours(serve, sink, status):
    """By the conventions a 4xx leaves a SERVER span's status unset, and the event is good."""

    async def app(_scope, _receive, send):
        await answer(send, status=status)

    serve(app)
    assert (0, {"good": 1}) == (sink.span().status.code, outcomes(sink))


def test_streaming_lasts_until_the_last_byte(serve, sink):
    """The request ends with its last chunk; chunks pass through one by one."""

    async def app(_scope, _receive, send):
        await answer(send, chunks=[b"a", b"b", b""])

    sent, _ = serve(app)
    assert [b"a", b"b", b""] == [message["body"] for message in sent[1:]]
    assert 1 == len(sink.spans(1))


def test_background_tasks_do_not_count(observe, sink, call, wait_until):
    """What runs after the last byte is not the customer's time: the span ends before the background task does."""
    app = FastAPI()
    ended = []

    async def later():
        await asyncio.sleep(0.05)
        ended.append(asyncio.get_running_loop().time())

    @app.get("/x")
    async def x(tasks: BackgroundTasks):
        tasks.add_task(later)
        return "ok"

    scope = observe(app=app, shop=SHOP)
    assert 200 == call(app, "/x").status_code
    assert wait_until(lambda: ended)
    scope.shutdown()
    span = sink.span()
    assert span.end_time_unix_nano - span.start_time_unix_nano < 50_000_000
    assert {"good": 1} == outcomes(sink)


def test_failing_background_task_is_no_failed_request(observe, sink, call):
    """The customer has the whole answer; the exception is on record, the request is good."""
    app = FastAPI()

    async def later():
        raise ValueError("too late to matter")

    @app.get("/x")
    async def x(tasks: BackgroundTasks):
        tasks.add_task(later)
        return "ok"

    scope = observe(app=app, shop=SHOP)
    call(app, "/x")
    scope.shutdown()
    span = sink.span()
    assert (200, 0, {"good": 1}) == (span.tags["http.response.status_code"], span.status.code, outcomes(sink))


def test_cancelled_request(serve, sink):
    """A server that cancels a request gets its cancellation back; the span is sent."""

    async def app(*_):
        asyncio.current_task().cancel()
        await asyncio.sleep(0)

    _, error = serve(app)
    assert (asyncio.CancelledError, "CancelledError") == (type(error), sink.span().tags["error.type"])


def test_client_that_leaves_a_stream(observe, sink):
    """A disconnect in the middle of a stream ends the request without an error of the service."""
    app = FastAPI()

    @app.get("/x")
    async def stream():
        async def endless():
            while True:
                yield b"x"
                await asyncio.sleep(0)

        return StreamingResponse(endless())

    scope = observe(app=app, shop=SHOP)

    async def request():
        left = asyncio.Event()

        async def receive():
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            if message["type"] == "http.response.body":
                left.set()

        connection = {"type": "http", "method": "GET", "path": "/x", "headers": [], "query_string": b"", "asgi": {}}
        await app(connection, receive, send)

    asyncio.run(request())
    scope.shutdown()
    assert (0, {"good": 1}) == (sink.span().status.code, outcomes(sink))


@pytest.mark.parametrize(
    "headers",
    [
        [(b"baggage", b"shopscope.journey=" + b"x" * 20_000)],
        [(b"baggage", b"\xff\xfe=\x00")],
        [(b"baggage", b",,,=,;=;")],
        [(b"baggage", b"shopscope.journey=%FF%FE")],
        [(b"baggage", b"a=" + b"b" * 300)] * 300,
        [(b"traceparent", b"\xff" * 55)],
        [(b"traceparent", b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01")],
        [(b"traceparent", b"ff-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01")],
        [(b"traceparent", b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01"), (b"tracestate", b"\xff" * 9000)],
        [(b"traceparent", b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01")] * 3,
        [(b"user-agent", b"\xff" * 100_000), (b"host", b"\x00" * 100_000)],
        [(b"host", b"")],
    ],
)
def test_hostile_headers(serve, sink, headers, capsys):
    """Whatever a client sends, the request is served, observed once and counted as good, in one line."""

    async def app(_scope, _receive, send):
        await answer(send)

    sent, error = serve(app, headers=headers)
    assert (2, None, {"good": 1}) == (len(sent), error, outcomes(sink))
    span = sink.span()
    assert all(len(value) <= 256 for value in span.tags.values() if isinstance(value, str))
    assert 1 == len(capsys.readouterr().out.splitlines())
    assert [] == sink.points("shopscope.sdk.errors")


@pytest.mark.parametrize("path", ["/x\udcff", "/" + "x" * 10_000, "/\x00\n"])
def test_hostile_paths(serve, sink, path):
    """A path of any content leaves span, observation and line."""

    async def app(_scope, _receive, send):
        await answer(send)

    serve(app, path)
    assert (1, 1) == (len(sink.spans(1)), len(sink.logs(1, "request")))
    assert [] == sink.points("shopscope.sdk.errors")


def test_kinds_of_request_do_not_fill_memory(observe, sink):
    """Clients may send a different Host and agent each time; what is kept of them is bounded."""
    middleware = observe(OTEL_BSP_MAX_QUEUE_SIZE="10", OTEL_BLRP_MAX_QUEUE_SIZE="10").asgi(
        lambda _scope, _receive, send: answer(send)
    )
    middleware._pipeline.logs.is_json = True

    async def flood():
        async def send(_message):
            pass

        for number in range(5000):
            agent = b"agent-%d" % number
            connection = {"type": "http", "method": "GET", "path": "/x", "headers": [(b"user-agent", agent)]}
            await middleware({**connection, "client": (f"10.0.{number // 250}.{number % 250}", 1)}, None, send)

    asyncio.run(flood())
    assert len(middleware._server._kinds) <= 4096
    assert len(middleware._server._clients) <= 1024
    assert sink.spans(1)


def lifespan(app, events=("startup", "shutdown")):
    """Run the lifespan protocol as a server does; returns what the application sent."""

    async def run():
        sent, incoming = [], [{"type": f"lifespan.{event}"} for event in events]

        async def receive():
            return incoming.pop(0)

        async def send(message):
            sent.append(message["type"])

        await app({"type": "lifespan", "asgi": {}, "state": {}}, receive, send)
        return sent

    return asyncio.run(run())


COMPLETE = ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def rejecting(scope, _receive, _send):
    raise AssertionError(scope["type"])


async def ignoring(*_):
    """Return at once, as some applications do for what is no request."""


@pytest.mark.parametrize("make", [FastAPI, lambda: rejecting, lambda: ignoring], ids=["FastAPI", "raises", "returns"])
def test_lifespan_ends_telemetry(observe, sink, make):
    """When the server ends the application all is sent, also if the application knows no lifespan."""
    scope = observe()
    app = scope.asgi(make())
    scope._pipeline.tracer.start_span("last").end()
    assert COMPLETE == lifespan(app)
    assert ("last", None) == (sink.span().name, scope._pipeline)


def test_failing_startup_is_the_applications(observe):
    """An application whose own startup fails still fails."""

    async def broken(_scope, receive, _send):
        await receive()
        raise RuntimeError("no database")

    with pytest.raises(RuntimeError, match="no database"):
        lifespan(observe().asgi(broken))


def test_failing_shutdown_still_sends(observe, sink):
    """``lifespan.shutdown.failed`` ends telemetry like a good shutdown."""

    async def broken(_scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.failed", "message": "x"})

    scope = observe()
    app = scope.asgi(broken)
    scope._pipeline.tracer.start_span("last").end()
    lifespan(app)
    assert ("last", None) == (sink.span().name, scope._pipeline)
