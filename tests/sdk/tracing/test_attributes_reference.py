"""The reference of attributes against the wire: real traffic through every integration, compared both ways."""

import asyncio
import contextlib
import logging
import re
from pathlib import Path
from wsgiref.util import setup_testing_defaults

import celery
import httpx
import kombu.exceptions
import pytest
import redis
import sqlalchemy
from fastapi import FastAPI, WebSocket
from opentelemetry import trace

import shopscope
from shopscope._configuration._detectors import DOWNWARD
from shopscope_ops.demo.backends import start_redis
from shopscope_ops.reference import pages
from shopscope_ops.reference._attribute_table import ATTRIBUTES, PLACES

PAGE = Path(__file__).parents[3] / "docs/reference/attributes.md"
SHOP = """
    [shop]
    namespace = "demo-shop"
    [journeys.checkout]
    routes = ["POST /checkout", "GET /pay"]
    service = "checkout"
    objective = 0.99
    latency = "1s"
"""
HEADERS = {
    f"OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_{side}_{way}": "x-.*,date"
    for side in ("SERVER", "CLIENT")
    for way in ("REQUEST", "RESPONSE")
}
# What the traffic of this test has not, and why.
NOT_HERE = {
    ("resource", "container.id"): "in containers alone: test_resource.py",
    ("resource", "host.id"): "some machines have none: test_resource.py",
    ("consumer", "messaging.destination.name"): "needs a worker, and its broker: frameworks/test_celery.py",
    ("sql", "server.address"): "SQLite has no host: test_databases.py and test_asyncpg.py have PostgreSQL",
    ("sql", "server.port"): "the same",
}
_KINDS = {str: "string", int: "int", float: "double"}
_LISTED = {str: "string array", dict: "map array"}
_CLIENTS = {"redis": "cache", "sqlite": "sql"}
_PLACES = {2: "server", 4: "producer", 5: "consumer"}


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory):
    with start_redis(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
def service(observe, monkeypatch):
    """A running service with everything that adds attributes switched on."""
    for number, names in enumerate(DOWNWARD.values()):
        monkeypatch.setenv(names[-1] if names[-1].startswith("K8S") else names[0], f"name-{number}")
    return observe(shop=SHOP, version="1.2", environment="test", **HEADERS)


def application(sink):
    app = FastAPI()

    @app.get("/items/{item}")
    def items(item: str):
        return item

    @app.post("/checkout")
    def checkout():
        shopscope.get_logger().info("ordered")
        raise ZeroDivisionError

    @app.get("/pay")
    async def pay():
        with shopscope.guard("bank", kind="breaker"):
            async with httpx.AsyncClient(headers={"x-a": "1"}) as client:
                await client.get(f"{sink.url}/nothing")

    @app.websocket("/feed")
    async def feed(socket: WebSocket):
        await socket.accept()
        await socket.close(4000)

    return app


def serve_asgi(scope, call, sink):
    """Routes, journeys, unknown methods, errors, captured headers."""
    app = scope.asgi(application(sink))
    headers = {"user-agent": "test", "x-a": "1"}
    call(app, "/items/4", headers=headers)
    call(app, "/items/4", "BREW", headers=headers)
    call(app, "/checkout", "POST", headers=headers)
    call(app, "/pay", headers=headers)
    asyncio.run(play_websocket(app))


async def play_websocket(app):
    incoming = [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000}]

    async def receive():
        return incoming.pop(0)

    async def send(message):
        assert message["type"].startswith("websocket.")

    connection = {"type": "websocket", "path": "/feed", "headers": [], "scheme": "ws", "asgi": {}}
    await app({**connection, "query_string": b"", "root_path": "", "subprotocols": []}, receive, send)


def serve_wsgi(scope):
    """A request by WSGI, with a header in its answer."""

    def app(_, start_response):
        start_response("200 OK", [("X-B", "2")])
        return [b""]

    environ = {"REMOTE_ADDR": "10.0.0.9"}
    setup_testing_defaults(environ)
    body = scope.wsgi(app)(environ, lambda *_: None)
    assert [b""] == list(body)
    body.close()


@shopscope.journey("checkout")
def call_out(redis_url, folder):
    """Databases, caches, tasks, work of a journey; each well, and failing."""
    engine = sqlalchemy.create_engine(f"sqlite:///{folder}/shop.db")
    with engine.connect() as connection, shopscope.guard("sqlite", kind="retry"):
        connection.execute(sqlalchemy.text("SELECT 1 AS a FROM sqlite_master"))
        with contextlib.suppress(sqlalchemy.exc.OperationalError):
            connection.execute(sqlalchemy.text("SELECT nothing"))
    engine.dispose()
    with redis.Redis.from_url(redis_url) as client, shopscope.guard("redis", kind="timeout"):
        client.set("a", 1)
        with contextlib.suppress(redis.ResponseError):
            client.lpush("a", 1)
    run_tasks()


def run_tasks():
    app = celery.Celery("shop", broker="memory://", set_as_current=False)

    @app.task(name="shop.fail")
    def fail():
        raise ZeroDivisionError

    fail.delay()
    fail.apply()
    # Nobody listens there.
    broken = celery.Celery("shop", broker="redis://127.0.0.1:1", set_as_current=False)
    with contextlib.suppress(kombu.exceptions.OperationalError):
        broken.send_task("shop.fail", retry=False)


FOREIGN = (
    {"url.full": "http://bank:8080/pay?card=1"},
    {"db.system": "mysql", "db.statement": "SELECT a FROM b"},
)


def call_as_others_do():
    """Spans of another's instrumentation: what we add is ours."""
    for attributes in FOREIGN:
        with (
            contextlib.suppress(ZeroDivisionError),
            shopscope.guard("bank", kind="breaker"),
            trace.get_tracer("opentelemetry.instrumentation.contrib").start_as_current_span(
                "SELECT", kind=trace.SpanKind.CLIENT
            ) as span,
        ):
            span.set_attributes(attributes)
            raise ZeroDivisionError


def write_logs(scope):
    """Lines of the service and of libraries, with all that a line can have."""
    logger = logging.getLogger("library")
    logger.warning("odd", stack_info=True)
    # Not through the logger: pytest's own handler raises.
    record = logging.makeLogRecord({"name": "library", "levelno": 40, "msg": "%d", "args": ("no number",)})
    scope._pipeline.logs._take(logger, record)
    try:
        try:
            raise ZeroDivisionError  # noqa: TRY301 (what is below the other one)
        except ZeroDivisionError as error:
            raise ValueError from error
    except ValueError:
        logger.exception("failed")


def kind_of(value):
    return _LISTED[type(value[0])] if isinstance(value, list) else _KINDS[type(value)]


def place_of(span):
    """Of which integration a span is."""
    if span.scope == "opentelemetry.instrumentation.contrib":
        return "contrib"
    if span.kind != trace.SpanKind.CLIENT.value + 1:
        return _PLACES.get(span.kind, "own")
    return _CLIENTS.get(span.tags.get("db.system.name", ""), "http")


def seen_on(sink):
    """Place, key and type of every attribute that arrived."""
    for span in sink.spans():
        place, given = place_of(span), {key for attributes in FOREIGN for key in attributes}
        tags = span.tags if place != "contrib" else {k: v for k, v in span.tags.items() if k not in given}
        yield from ((place, key, value) for key, value in tags.items())
        yield from (("resource", key, value) for key, value in span.resource.items())
        for event in span.events:
            yield from (("exception", pair.key, pair.value.string_value) for pair in event.attributes)
    for log in sink.logs():
        place = "access" if log.body.string_value == "request" else "log"
        # "data" is what Celery puts on lines of its own.
        yield from ((place, key, value) for key, value in log.tags.items() if key != "data")
        yield from (("resource", key, value) for key, value in log.resource.items())


def test_wire_and_table_agree(service, sink, call, redis_url, tmp_path):
    """What arrives is in the table, and what is in the table arrives: key, place and type."""
    serve_asgi(service, call, sink)
    serve_wsgi(service)
    call_out(redis_url, tmp_path)
    call_as_others_do()
    write_logs(service)
    service.shutdown()
    header = re.compile(r"(http\.(?:request|response)\.header\.).+")
    seen = {(place, header.sub(r"\1<name>", key), kind_of(value)) for place, key, value in seen_on(sink)}
    table = {(place, row.key, row.kind) for row in ATTRIBUTES for place in row.on}
    assert set() == seen - table
    assert set() == {one for one in table - seen if one[:2] not in NOT_HERE}


def test_page_is_current():
    """``make generate`` would change nothing."""
    assert pages()["attributes.md"] == PAGE.read_text(encoding="utf-8")


def test_rows():
    """Each key is there once, at known places, and says what it is."""
    keys = [row.key for row in ATTRIBUTES]
    assert sorted(set(keys)) == sorted(keys)
    assert set(PLACES) == {place for row in ATTRIBUTES for place in row.on}
    assert [] == [row.key for row in ATTRIBUTES if not row.meaning.endswith((".", "…"))]
