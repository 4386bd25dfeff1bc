"""Requests of a running server are recorded several in a row; whoever looks finds all of them."""

import asyncio
import gc
import os
import weakref

import httpx
import pytest
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import REGISTRY

from shopscope._serving import _endings

SHOP = """
    [journeys.checkout]
    routes = ["GET /orders/{number}"]
    service = "checkout"
    latency = "30s"
    objective = 0.99
"""


@pytest.fixture
def patient(monkeypatch):
    """No timer comes in time, and all requests are close to each other: only what is asked for happens."""
    monkeypatch.setattr(_endings, "_SPARSE_NANO", 3600 * 10**9)
    monkeypatch.setattr(_endings, "_LONGEST_SECONDS", 3600.0)
    monkeypatch.setattr(_endings, "_LONGEST_NANO", 3600 * 10**9)


@pytest.fixture
def app():
    made = FastAPI()

    @made.get("/orders/{number}")
    async def order(number: int):
        if number == 13:
            raise ValueError(number)
        return number

    return made


def serve(app, requests):
    """Run a coroutine function with a client of the running application, and return what it returns."""

    async def run():
        to_app, to_server = asyncio.Queue(), asyncio.Queue()
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}}
        server = asyncio.create_task(app(scope, to_app.get, to_server.put))
        await to_app.put({"type": "lifespan.startup"})
        assert "lifespan.startup.complete" == (await to_server.get())["type"]
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop.example") as client:
            result = await requests(client)
        await to_app.put({"type": "lifespan.shutdown"})
        await to_server.get()
        await server
        return result

    return asyncio.run(run())


def lines(capsys):
    return sum('"event":"request"' in line for line in capsys.readouterr().out.splitlines())


def counted():
    labels = {"http_request_method": "GET", "http_route": "/orders/{number}", "http_response_status_code": "200"}
    return REGISTRY.get_sample_value("http_server_request_duration_seconds_count", labels)


@pytest.mark.usefixtures("patient")
def test_whoever_reads_metrics_finds_all(observe, app):
    """Requests that wait are counted before the registry is read; none is being served any more."""
    observe(app=app, shop=SHOP)

    async def requests(client):
        for number in range(3):
            await client.get(f"/orders/{number}")
        good = REGISTRY.get_sample_value("shopscope_slo_events_total", {"journey": "checkout", "outcome": "good"})
        return REGISTRY.get_sample_value("http_server_active_requests"), good, counted()

    assert (0, 3, 3) == serve(app, requests)


@pytest.mark.usefixtures("patient")
def test_flush_and_shutdown_leave_nothing(observe, sink, app, capsys):
    """Flushing sends what waits, and so does the end of the server."""
    scope = observe(app=app)

    async def requests(client):
        await client.get("/orders/1")
        before = lines(capsys)
        await asyncio.to_thread(scope.flush)
        after = lines(capsys)
        await client.get("/orders/2")
        return before, after, len(sink.spans(1))

    assert (0, 1, 1) == serve(app, requests)
    assert (1, 2, 2) == (lines(capsys), len(sink.spans(2)), len(sink.logs(2, "request")))


class Heavy:
    """What a server might keep in a request's scope."""


@pytest.mark.usefixtures("patient")
def test_what_waits_holds_nothing_of_the_server(observe, app):
    """The server's objects go as soon as the request has ended, although it is still to be recorded."""
    observe(app=app)
    kept = []

    @app.middleware("http")
    async def keep(request, call_next):
        request.scope["heavy"] = heavy = Heavy()
        kept.append(weakref.ref(heavy))
        return await call_next(request)

    async def requests(client):
        await client.get("/orders/1")
        await asyncio.sleep(0)
        gc.collect()  # the framework's own cycles
        return kept[0]() is None, counted()

    assert (True, 1) == serve(app, requests)


@pytest.mark.usefixtures("patient")
def test_sending_too_late_is_ignored(observe):
    """A task that the application has left behind, and that sends once all is over, raises nothing."""
    late = []

    async def application(scope, receive, send):
        if scope["type"] == "lifespan":
            for event in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{event}.complete"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})
        late.append(send)

    scope = observe()
    app = scope.asgi(application)

    async def requests(client):
        answer = await client.get("/orders/1")
        return answer.text, await late[0]({"type": "http.response.body", "body": b"more"})

    assert ("ok", None) == serve(app, requests)


@pytest.mark.usefixtures("patient")
def test_a_full_group_is_recorded_at_once(observe, app, capsys):
    """Under load nothing waits for a timer."""
    observe(app=app)

    async def requests(client):
        seen = []
        for number in range(100, 101 + _endings._MOST):
            await client.get(f"/orders/{number}")
            seen.append(lines(capsys))
        return seen[-3:]

    assert [0, _endings._MOST, 0] == serve(app, requests)


def test_a_single_request_is_recorded_soon(observe, app, capsys):
    """One request is recorded without another that would follow it, in the time that it began and ended."""
    observe(app=app)

    async def requests(client):
        await client.get("/orders/1")
        found = lines(capsys)
        while not found:
            await asyncio.sleep(0.01)
            found = lines(capsys)
        return found

    assert 1 == serve(app, requests)


@pytest.mark.usefixtures("patient")
def test_few_requests_do_not_wait(observe, app, capsys, monkeypatch):
    """A request that comes long after the last one is recorded at once."""
    observe(app=app)
    monkeypatch.setattr(_endings, "_SPARSE_NANO", -1)

    async def requests(client):
        await client.get("/orders/1")
        return lines(capsys)

    assert 1 == serve(app, requests)


@pytest.mark.usefixtures("patient")
def test_errors_do_not_wait(observe, app, capsys):
    """What raises is recorded as it happens, with what was raised."""
    observe(app=app)

    async def requests(client):
        await client.get("/orders/13")
        return lines(capsys)

    assert 1 == serve(app, requests)


@pytest.mark.usefixtures("patient")
def test_processors_of_the_service_do_not_wait(observe, app):
    """A span processor sees a request's span when the request ends."""
    observe(app=app)
    exporter = InMemorySpanExporter()
    trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(exporter))

    async def requests(client):
        await client.get("/orders/1")
        return [span.name for span in exporter.get_finished_spans()]

    assert ["GET /orders/{number}"] == serve(app, requests)


@pytest.mark.usefixtures("patient")
def test_no_server_no_waiting(observe, app, call, capsys):
    """Where no lifespan says that a server runs, as in many tests, nothing waits."""
    observe(app=app)
    call(app, "/orders/1")
    assert 1 == lines(capsys)


@pytest.mark.usefixtures("patient")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_leaves_them_to_its_parent(observe, sink, app):
    """After a fork each request is recorded once."""
    scope = observe(app=app)

    async def requests(client):
        await client.get("/orders/1")
        child = os.fork()
        if not child:
            scope.flush()
            os._exit(0)
        await asyncio.to_thread(os.waitpid, child, 0)

    serve(app, requests)
    assert 1 == len(sink.spans(1))
    assert 1 == len(sink.logs(1, "request"))
