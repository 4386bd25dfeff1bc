"""asyncpg against a real PostgreSQL: one span a statement, never two, and no values."""

import asyncio

import asyncpg
import pytest
from opentelemetry import trace
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from shopscope_ops.demo.backends import start_postgres

CLIENT, ERROR = 3, 2


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with start_postgres(tmp_path_factory.mktemp("postgres")) as address:
        yield address


@pytest.fixture
def run(url):
    """A function that runs a coroutine function with a connection of its own."""

    def with_connection(work):
        async def connected():
            connection = await asyncpg.connect(url.replace("+asyncpg", ""))
            try:
                return await work(connection)
            finally:
                await connection.close()

        return asyncio.run(connected())

    return with_connection


def names(sink, count):
    return [span.name for span in sink.spans(count)]


def dependencies(sink):
    return {
        (*(point.tags[key] for key in ("peer", "kind", "access", "outcome")), point.point.count)
        for point in sink.points("shopscope.dependency.duration")
    }


def test_attributes(observe, sink, run, url):
    """Operation, table, database and server are recorded; the text and its values are not."""
    scope = observe()
    assert 7 == run(lambda connection: connection.fetchval("SELECT $1::int FROM pg_class LIMIT 1", 7))
    scope.shutdown()
    span = sink.span()
    assert (CLIENT, "SELECT pg_class", 0) == (span.kind, span.name, span.status.code)
    assert {
        "db.system.name": "postgresql",
        "db.operation.name": "SELECT",
        "db.query.summary": "SELECT pg_class",
        "db.namespace": "postgres",
        "server.address": "127.0.0.1",
        "server.port": int(url.rpartition(":")[2].partition("/")[0]),
        "peer.service": "postgresql",
    } == span.tags
    assert {("postgresql", "db", "read", "ok", 1)} == dependencies(sink)


def test_every_way_to_run_a_statement(observe, sink, run):
    """Statements, batches, transactions, prepared statements and cursors: one span for each round of the protocol."""

    async def work(connection):
        await connection.execute("CREATE TEMPORARY TABLE t (n int)")
        async with connection.transaction():
            await connection.executemany("INSERT INTO t VALUES ($1)", [(1,), (2,), (3,)])
        assert [1, 2, 3] == [row["n"] for row in await connection.fetch("SELECT n FROM t ORDER BY n")]
        assert 1 == (await connection.fetchrow(query="SELECT n FROM t"))["n"]
        statement = await connection.prepare("SELECT n FROM t WHERE n = $1")
        assert (2, 3) == (await statement.fetchval(2), (await statement.fetchrow(3))["n"])
        async with connection.transaction():
            assert 3 == len([row async for row in connection.cursor("SELECT n FROM t")])

    observe()
    run(work)
    expected = ["CREATE t", "BEGIN", "INSERT t", "COMMIT", "SELECT t", "SELECT t", "SELECT t", "SELECT t"]
    assert [*expected, "BEGIN", "SELECT t", "COMMIT"] == names(sink, 11)


def test_copy(observe, sink, run, tmp_path):
    """Copies are reads or writes of their table; a failing one is an error."""

    async def work(connection):
        await connection.execute("CREATE TEMPORARY TABLE t (n int)")
        await connection.copy_records_to_table("t", records=[(1,), (2,)])
        await connection.copy_from_table("t", output=tmp_path / "t.csv")
        with pytest.raises(asyncpg.UndefinedTableError):
            await connection.copy_from_table("missing", output=tmp_path / "t.csv")

    scope = observe()
    run(work)
    scope.shutdown()
    assert ["CREATE t", "COPY t", "COPY t", "COPY missing"] == names(sink, 4)
    assert {
        ("postgresql", "db", "write", "ok", 2),
        ("postgresql", "db", "read", "ok", 1),
        ("postgresql", "db", "read", "error", 1),
    } == dependencies(sink)


def test_failing_statement(observe, sink, run):
    """The driver's exception comes through; the span has its type, not its text."""

    async def work(connection):
        with pytest.raises(asyncpg.InvalidTextRepresentationError):
            await connection.fetchval("SELECT 'secret'::int")

    observe()
    run(work)
    span = sink.span()
    assert (ERROR, "InvalidTextRepresentationError", "") == (
        span.status.code,
        span.tags["error.type"],
        span.status.message,
    )
    assert b"secret" not in span.item.SerializeToString()


def test_pool(observe, sink, url):
    """A pool's connections are the same; what its release runs to reset the session is a statement, too."""

    async def work():
        async with asyncpg.create_pool(url.replace("+asyncpg", ""), min_size=1, max_size=1) as pool:
            await pool.fetchval("SELECT 1")
            async with pool.acquire() as connection:
                await connection.execute("SELECT 2")

    observe()
    with trace.get_tracer("test").start_as_current_span("parent"):
        asyncio.run(work())
    spans = sink.spans(5)
    assert ["SELECT"] * 4 == [span.name for span in spans if span.kind == CLIENT]
    (parent,) = (span.span_id for span in spans if span.name == "parent")
    assert {parent} == {span.parent_span_id for span in spans if span.kind == CLIENT}


def test_sqlalchemy_above_asyncpg(observe, sink, url, run):
    """A statement of an engine has the engine's span alone; connections besides it keep theirs."""

    async def work():
        engine = create_async_engine(url)
        async with engine.begin() as connection:
            await connection.execute(text("SELECT count(*) FROM pg_class"))
            await (await connection.stream(text("SELECT 1 FROM pg_type"))).close()
        await engine.dispose()

    observe()
    asyncio.run(work())
    run(lambda connection: connection.execute("SELECT 1 FROM pg_namespace"))
    found = [name for name in names(sink, 3) if name != "SELECT"]
    assert ["SELECT pg_class", "SELECT pg_type", "SELECT pg_namespace"] == found
