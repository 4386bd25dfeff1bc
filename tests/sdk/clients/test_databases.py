"""SQLAlchemy and redis, sync and async, against real servers."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
import redis.asyncio
import sqlalchemy
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import StaticPool

from shopscope_ops.demo.backends import start_postgres, start_redis

ERROR = 2


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    with start_postgres(tmp_path_factory.mktemp("postgres")) as url:
        yield url


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory):
    with start_redis(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
def sqlite():
    engine = sqlalchemy.create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE stock (sku TEXT PRIMARY KEY, n INTEGER)"))
    yield engine
    engine.dispose()


@pytest.mark.parametrize(
    ("statement", "operation", "summary"),
    [
        ("SELECT sku FROM stock WHERE sku = '4111'", "SELECT", "SELECT stock"),
        ("select 1", "SELECT", "SELECT"),
        ("/* note */ -- more\n SELECT * FROM stock", "SELECT", "SELECT stock"),
        ("INSERT INTO stock VALUES ('a', 1)", "INSERT", "INSERT stock"),
        ("UPDATE stock SET n = 2", "UPDATE", "UPDATE stock"),
        ("DELETE FROM stock", "DELETE", "DELETE stock"),
        ("WITH x AS (SELECT 1) SELECT * FROM x", "WITH", "WITH x"),
        ("CREATE TABLE other (x TEXT)", "CREATE", "CREATE other"),
    ],
)
def test_statement(observe, sink, sqlite, statement, operation, summary):
    """Operation, first table and database are recorded; the text, which may hold values, is not."""
    scope = observe()
    with sqlite.begin() as connection:
        connection.execute(text(statement))
    span = sink.span()
    assert (3, summary) == (span.kind, span.name)
    assert {
        "db.system.name": "sqlite",
        "db.operation.name": operation,
        "db.query.summary": summary,
        "peer.service": "sqlite",
    } == span.tags
    scope.shutdown()
    (point,) = sink.points("shopscope.dependency.duration")
    access = "read" if operation in {"SELECT", "WITH"} else "write"
    assert ("sqlite", "db", access, "ok") == tuple(point.tags[key] for key in ("peer", "kind", "access", "outcome"))


def test_failing_statement(observe, sink, sqlite):
    """The database's exception comes through; the span names the driver's type without values; the next is good."""
    scope = observe()
    with pytest.raises(sqlalchemy.exc.IntegrityError), sqlite.begin() as connection:
        connection.execute(text("INSERT INTO stock VALUES ('a', 1), ('a', 2)"))
    with sqlite.begin() as connection:
        connection.execute(text("SELECT * FROM stock"))
    scope.shutdown()
    failed, good = sink.spans(2)
    assert (ERROR, "IntegrityError", "", 0) == (
        failed.status.code,
        failed.tags["error.type"],
        failed.status.message,
        good.status.code,
    )
    assert {"write": "error", "read": "ok"} == {
        point.tags["access"]: point.tags["outcome"] for point in sink.points("shopscope.dependency.duration")
    }


def test_many_rows_are_one_statement(observe, sink, sqlite):
    """``executemany`` is one span."""
    observe()
    rows = [{"sku": str(number), "n": number} for number in range(50)]
    with sqlite.begin() as connection:
        connection.execute(text("INSERT INTO stock VALUES (:sku, :n)"), rows)
    assert ["INSERT stock"] == [span.name for span in sink.spans(1)]


def test_statements_of_threads_do_not_mix(observe, sink, sqlite):
    """Statements at the same time each have their own span below their own parent."""
    observe()
    tracer = trace.get_tracer("test")

    def work(number):
        with tracer.start_as_current_span(f"parent-{number}"), sqlite.connect() as connection:
            connection.execute(text("SELECT 1"))

    with ThreadPoolExecutor(1) as pool:
        list(pool.map(work, range(5)))
    spans = sink.spans(10)
    parents = {span.span_id for span in spans if span.name.startswith("parent")}
    assert parents == {span.parent_span_id for span in spans if span.name == "SELECT"}


async def on_postgres(url, work):
    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            return await work(connection)
    finally:
        await engine.dispose()


def test_async_postgres(observe, sink, postgres):
    """An async engine's statements are spans below the current one, with the server's address and database."""
    scope = observe()

    async def work(connection):
        with trace.get_tracer("test").start_as_current_span("root"):
            await connection.execute(text("CREATE TEMPORARY TABLE things (n INTEGER)"))
            await connection.execute(text("INSERT INTO things VALUES (1)"))
            return (await connection.execute(text("SELECT n FROM things FOR UPDATE"))).scalar_one()

    assert 1 == asyncio.run(on_postgres(postgres, work))
    scope.shutdown()
    spans = sink.spans()
    root = next(span for span in spans if span.name == "root")
    below = [span for span in spans if span.parent_span_id == root.span_id]
    assert ["CREATE things", "INSERT things", "SELECT things"] == [span.name for span in below]
    url = make_url(postgres)
    assert {
        "db.system.name": "postgresql",
        "db.operation.name": "SELECT",
        "db.query.summary": "SELECT things",
        "db.namespace": url.database,
        "server.address": url.host,
        "server.port": url.port,
        "peer.service": "postgresql",
    } == below[-1].tags
    # A locking read blocks like a write.
    accesses = {
        (point.tags["access"], point.tags["peer"]): point.point.count
        for point in sink.points("shopscope.dependency.duration")
        if point.tags["peer"] == "postgresql"
    }
    assert accesses["write", "postgresql"] >= 3


def test_async_postgres_error(observe, sink, postgres):
    """A failing statement and what follows it on the same connection."""
    observe()

    async def work(connection):
        with pytest.raises(sqlalchemy.exc.ProgrammingError):
            await connection.execute(text("SELECT * FROM nowhere"))
        await connection.rollback()
        return (await connection.execute(text("SELECT 7 AS seven"))).scalar_one()

    assert 7 == asyncio.run(on_postgres(postgres, work))
    failed = sink.span("SELECT nowhere")
    assert (ERROR, 0) == (failed.status.code, sink.spans(1, "SELECT")[-1].status.code)


def test_async_postgres_cancelled(observe, sink, postgres):
    """A statement that is cancelled ends its span, and the service sees its cancellation."""
    observe()

    async def work(connection):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await connection.execute(text("SELECT pg_sleep(30) AS slept"))

    asyncio.run(on_postgres(postgres, work))
    slept = [span for span in sink.spans(1) if span.status.code == ERROR]
    assert 1 == len(slept)
    assert "error.type" in slept[0].tags


def test_redis(observe, sink, redis_url):
    """Commands and pipelines are spans; keys and values are not recorded."""
    scope = observe()
    url = make_url(redis_url)
    with redis.Redis.from_url(redis_url) as client:
        client.set("card", "never-seen")
        assert b"never-seen" == client.get("card")
        with client.pipeline(transaction=False) as pipeline:
            pipeline.get("card").get("other")
            assert [b"never-seen", None] == pipeline.execute()
        with client.pipeline() as pipeline:
            pipeline.incr("n")
            pipeline.execute()
        with pytest.raises(redis.ResponseError):
            client.incr("card", "x")
    scope.shutdown()
    spans = sink.spans(5)
    assert ["SET", "GET", "PIPELINE", "MULTI", "INCRBY"] == [span.name for span in spans]
    assert {
        "db.system.name": "redis",
        "db.operation.name": "GET",
        "db.namespace": "0",
        "server.address": url.host,
        "server.port": url.port,
        "peer.service": "redis",
    } == spans[1].tags
    assert [0, 0, 0, 0, ERROR] == [span.status.code for span in spans]
    assert "ResponseError" == spans[-1].tags["error.type"]
    assert not any("never-seen" in str(span.item) or "card" in str(span.item) for span in spans)
    kinds = {(point.tags["kind"], point.tags["peer"]) for point in sink.points("shopscope.dependency.duration")}
    assert {("cache", "redis")} == kinds


def test_redis_async(observe, sink, redis_url):
    """The asyncio client likewise, below the current span."""
    observe()

    async def work():
        async with redis.asyncio.Redis.from_url(redis_url) as client:
            with trace.get_tracer("test").start_as_current_span("root"):
                await client.set("k", "v")
                async with client.pipeline() as pipeline:
                    pipeline.get("k").get("other")
                    assert [b"v", None] == await pipeline.execute()
                return await client.get("k")

    assert b"v" == asyncio.run(work())
    spans = sink.spans(4)
    root = spans[-1]
    assert ["SET", "MULTI", "GET"] == [span.name for span in spans if span.parent_span_id == root.span_id]


def test_redis_not_there(observe, sink):
    """A refused connection is an error of the command."""
    observe()
    with redis.Redis("127.0.0.1", 1, retry=None) as client, pytest.raises(redis.ConnectionError):
        client.ping()
    assert (ERROR, "ConnectionError") == (sink.span().status.code, sink.span().tags["error.type"])


def test_not_sampled_is_counted(observe, sink, sqlite, redis_url):
    """Below a caller that does not sample nothing is sent, and who was called is counted."""
    scope = observe()
    with trace.use_span(NonRecordingSpan(SpanContext(5, 6, is_remote=True))):
        with sqlite.connect() as connection:
            connection.execute(text("SELECT 1"))
        with redis.Redis.from_url(redis_url) as client:
            client.ping()
    scope.shutdown()
    assert [] == sink.spans()
    assert {"sqlite", "redis"} == {point.tags["peer"] for point in sink.points("shopscope.dependency.duration")}
