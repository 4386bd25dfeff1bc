"""OpenTelemetry's instrumentations of database drivers: psycopg and psycopg2 against a real PostgreSQL, and sqlite3."""

import asyncio
import sqlite3

import psycopg
import psycopg2
import pytest
import sqlalchemy
from contrib_calls import ERROR, SHOP, UNSAMPLED, all_off, calls, observations, sent
from opentelemetry import baggage, context, propagate, trace
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from shopscope_ops.demo.backends import start_postgres

VALUE = "jane-4711"


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with start_postgres(tmp_path_factory.mktemp("postgres")) as address:
        yield address.replace("+asyncpg", "")


@pytest.fixture(autouse=True)
def _off():
    with all_off():
        yield


def run(url, *statements):
    """Run statements on one connection; nothing stays."""
    with psycopg.connect(url) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.rollback()


def run_async(url, *statements):
    async def connected():
        async with await psycopg.AsyncConnection.connect(url) as connection:
            for statement in statements:
                await connection.execute(statement)
            await connection.rollback()

    asyncio.run(connected())


def run_by_cursors(url, *statements):
    with psycopg.Connection.connect(url) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        connection.rollback()


def run_psycopg2(url, *statements):
    connection = psycopg2.connect(url)
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    connection.rollback()
    connection.close()


@pytest.mark.parametrize("execute", [run, run_async, run_by_cursors, run_psycopg2])
def test_psycopg(observe, sink, url, execute):
    """One span a statement with what it does and where, in the journey; its text, and with it any value, stays here."""
    scope = observe(shop=SHOP)
    token = context.attach(baggage.set_baggage("shopscope.journey", "pay"))
    execute(
        url,
        "CREATE TEMPORARY TABLE people (name TEXT)",
        f"INSERT INTO people VALUES ('{VALUE}')",  # noqa: S608 (a value in the text is what we look for)
        f"SELECT name FROM people WHERE name = '{VALUE}'",  # noqa: S608 (a value in the text is what we look for)
        "SELECT name FROM people FOR UPDATE",
    )
    context.detach(token)
    scope.shutdown()
    found = calls(sink, 4)
    assert ["CREATE people", "INSERT people", "SELECT people", "SELECT people"] == [span.name for span in found]
    address = make_url(url)
    expected = {
        "db.system.name": "postgresql",
        "db.operation.name": "SELECT",
        "db.query.summary": "SELECT people",
        "db.namespace": address.database,
        "server.address": address.host,
        "server.port": address.port,
        "peer.service": "postgresql",
        "shopscope.journey": "pay",
    }
    assert expected == {key: found[2].tags.get(key) for key in expected}
    assert {("postgresql", "db", "ok", "write", "pay"): 3, ("postgresql", "db", "ok", "read", "pay"): 1} == (
        observations(sink, "access", "journey")
    )
    assert VALUE not in sent(sink)


def test_psycopg_composed(observe, sink, url):
    """A statement that is composed of parts, and one run for many rows."""
    scope = observe()
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE people (name TEXT)")
        cursor.executemany("INSERT INTO people VALUES (%s)", [(VALUE,), (VALUE,)])
        cursor.execute(sql.SQL("SELECT * FROM {} WHERE name = {}").format(sql.Identifier("people"), sql.Literal(VALUE)))
        connection.rollback()
    scope.shutdown()
    assert {"write": 2, "read": 1} == {access: count for (*_, access), count in observations(sink, "access").items()}
    assert VALUE not in sent(sink)


@pytest.mark.parametrize("execute", [run, run_async])
def test_psycopg_error(observe, sink, url, execute):
    """A failing statement has the type of its error; what the database says of it quotes rows, and stays here."""
    scope = observe()
    with pytest.raises(psycopg.errors.UniqueViolation):
        execute(
            url,
            "CREATE TEMPORARY TABLE people (name TEXT UNIQUE)",
            f"INSERT INTO people VALUES ('{VALUE}'), ('{VALUE}')",  # noqa: S608 (a value in the text is what we look for)
        )
    scope.shutdown()
    failed = calls(sink, 2)[1]
    assert (ERROR, "UniqueViolation", "") == (failed.status.code, failed.tags["error.type"], failed.status.message)
    assert {("postgresql", "db", "ok", "write"): 1, ("postgresql", "db", "error", "write"): 1} == (
        observations(sink, "access")
    )
    assert VALUE not in sent(sink)


@pytest.mark.parametrize("execute", [run, run_async])
def test_psycopg_not_sampled(observe, sink, url, execute):
    """Statements of a trace that is not sampled are counted with peer and access; no span leaves."""
    scope = observe(shop=SHOP)
    token = context.attach(propagate.extract(UNSAMPLED))
    execute(url, "SELECT 1", "CREATE TEMPORARY TABLE people (name TEXT)")
    context.detach(token)
    with pytest.raises(psycopg.errors.UndefinedTable):
        execute(url, "SELECT * FROM nowhere")
    scope.shutdown()
    assert 1 == len(sink.spans())
    assert {
        ("postgresql", "db", "ok", "read", "pay"): 1,
        ("postgresql", "db", "ok", "write", "pay"): 1,
        ("postgresql", "db", "error", "read", ""): 1,
    } == observations(sink, "access", "journey")


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_below_sqlalchemy(observe, sink, url, driver):
    """Below an engine, synchronous or not, a statement has one span: SQLAlchemy's."""
    scope = observe()
    with trace.get_tracer("test").start_as_current_span("parent"):
        engine = sqlalchemy.create_engine(url.replace("postgresql:", f"postgresql+{driver}:"))
        with engine.connect() as connection:
            connection.execute(text("SELECT relname FROM pg_class LIMIT 1"))
        engine.dispose()

        async def run_it():
            engine = create_async_engine(url.replace("postgresql:", "postgresql+psycopg:"))
            async with engine.connect() as connection:
                await connection.execute(text("SELECT relname FROM pg_class LIMIT 1"))
            await engine.dispose()

        asyncio.run(run_it())
    scope.shutdown()
    assert ["SELECT pg_class"] * 2 == [span.name for span in sink.spans() if "pg_class" in str(span.item)]


def test_sqlite3(observe, sink):
    """A file has no address: the peer is the system."""
    scope = observe()
    connection = sqlite3.connect(":memory:")
    cursor = connection.cursor()
    cursor.execute(f"SELECT '{VALUE}' FROM sqlite_master")  # noqa: S608 (a value in the text is what we look for)
    connection.close()
    scope.shutdown()
    assert ["SELECT sqlite_master"] == [span.name for span in calls(sink, 1)]
    assert {("sqlite", "db", "ok", "read"): 1} == observations(sink, "access")
    assert VALUE not in sent(sink)


def test_sqlite3_below_sqlalchemy(observe, sink):
    """The same driver has one span a statement by itself, and none of its own below an engine."""
    scope = observe()
    engine = sqlalchemy.create_engine("sqlite://")
    with engine.connect() as connection:
        connection.execute(text("SELECT 1 FROM sqlite_master"))
    engine.dispose()
    scope.shutdown()
    assert ["SELECT sqlite_master"] == [span.name for span in sink.spans()]
