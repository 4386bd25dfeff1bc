"""Database pools: connections by state, waits and time-outs, of SQLAlchemy (sync and async) and of asyncpg."""

import asyncio
import gc
import threading

import asyncpg
import pytest
import sqlalchemy
from prometheus_client import REGISTRY
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import QueuePool

from shopscope_ops.demo.backends import start_postgres


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    with start_postgres(tmp_path_factory.mktemp("postgres")) as url:
        yield url


def sample(name, **labels):
    return REGISTRY.get_sample_value(f"db_client_connection_{name}", labels)


def states(pool):
    return tuple(sample("count", pool=pool, state=state) for state in ("used", "idle"))


@pytest.fixture
def engine(tmp_path):
    """An engine whose pool has one connection and no patience."""
    made = sqlalchemy.create_engine(
        f"sqlite:///{tmp_path}/shop.db", poolclass=QueuePool, pool_size=1, max_overflow=0, pool_timeout=0.05
    )
    yield made
    made.dispose()


def test_connections_by_state(observe, sink, engine):
    """Used while it is held, idle when it is back; the most that may be open is told, and all is an OTLP sum."""
    scope = observe()
    with engine.connect():
        assert (1, 0) == states("sqlite")
    assert ((0, 1), 1, 1) == (
        states("sqlite"),
        sample("max", pool="sqlite"),
        sample("wait_time_seconds_count", pool="sqlite"),
    )
    scope.shutdown()
    (metric,) = [one.item for one in sink.pushes(1)[-1] if one.item.name == "db.client.connection.count"]
    assert ("{connection}", False) == (metric.unit, metric.sum.is_monotonic)
    assert {"used": 0, "idle": 1} == {
        point.tags["state"]: point.point.as_double for point in sink.points("db.client.connection.count")
    }


def test_wait_for_the_only_connection(observe, engine, wait_until):
    """A pool of one: who comes second is seen waiting, and its wait is as long as the first one's hold."""
    observe()
    done = threading.Event()
    patient = sqlalchemy.create_engine(engine.url, poolclass=QueuePool, pool_size=1, max_overflow=0, pool_timeout=20)

    def second():
        with patient.connect():
            done.set()

    with patient.connect():
        thread = threading.Thread(target=second)
        thread.start()
        wait_until(lambda: sample("pending_requests", pool="sqlite") == 1)
        threading.Event().wait(0.06)
        assert not done.is_set()
    thread.join()
    assert (0, 2) == (sample("pending_requests", pool="sqlite"), sample("wait_time_seconds_count", pool="sqlite"))
    assert 1 == 2 - sample("wait_time_seconds_bucket", pool="sqlite", le="0.05")
    patient.dispose()


def test_wait_that_is_given_up(observe, engine):
    """It counts as a time-out and as a wait of that length; the error is the service's as before."""
    observe()
    with engine.connect(), pytest.raises(sqlalchemy.exc.TimeoutError):
        engine.connect()
    assert (1, 2, 0) == (
        sample("timeouts_total", pool="sqlite"),
        sample("wait_time_seconds_count", pool="sqlite"),
        sample("pending_requests", pool="sqlite"),
    )


def test_connection_that_fails(observe, tmp_path):
    """A database that is away is no wait and no time-out."""
    observe()
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/no/such/folder.db", poolclass=QueuePool)
    with pytest.raises(sqlalchemy.exc.OperationalError):
        engine.connect()
    assert (0, 0, 0) == (
        sample("timeouts_total", pool="sqlite"),
        sample("wait_time_seconds_count", pool="sqlite"),
        sample("pending_requests", pool="sqlite"),
    )


def test_names_of_pools(observe, tmp_path):
    """The service's own name for a pool, else what the database is; never a path."""
    observe()
    url = f"sqlite:///{tmp_path}/secret.db"
    engines = [
        sqlalchemy.create_engine(url, poolclass=QueuePool, pool_logging_name="reports"),
        sqlalchemy.create_engine(url, poolclass=QueuePool),
    ]
    for engine in engines:
        engine.connect().close()
    pools = {
        one.labels["pool"]
        for metric in REGISTRY.collect()
        for one in metric.samples
        if metric.name == "db_client_connection_count"
    }
    assert {"reports", "sqlite"} == pools
    for engine in engines:
        engine.dispose()


def test_pool_that_is_gone(observe, engine):
    """A pool is not kept alive: with its engine it leaves the page."""
    observe()
    engine.connect().close()
    engine.dispose()  # which puts a new pool in its place
    gc.collect()
    assert (None, None) == states("sqlite")


def test_pools_of_one_name_are_summed_up(observe, tmp_path):
    """Two engines for one database (or one that was disposed of) share their series."""
    observe()
    engines = [
        sqlalchemy.create_engine(f"sqlite:///{tmp_path}/{n}.db", poolclass=QueuePool, pool_size=2, max_overflow=3)
        for n in range(2)
    ]
    connections = [engine.connect() for engine in engines]
    assert ((2, 0), 10) == (states("sqlite"), sample("max", pool="sqlite"))
    for connection in connections:
        connection.close()
    for engine in engines:
        engine.dispose()


def test_pool_that_is_none(observe, tmp_path):
    """Connections that are not pooled are no pool; a pool without a limit has no maximum."""
    observe()
    sqlalchemy.create_engine(f"sqlite:///{tmp_path}/a.db", poolclass=sqlalchemy.NullPool).connect().close()
    assert (None, None) == states("sqlite")
    endless = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/a.db", poolclass=QueuePool, max_overflow=-1)
    endless.connect().close()
    assert ((0, 1), None) == (states("sqlite"), sample("max", pool="sqlite"))
    endless.dispose()


def test_engine_made_and_used_before_init(observe, engine):
    """An engine that is older than ``init`` is seen from its next connection on; after the end it works as before."""
    engine.connect().close()
    scope = observe()
    engine.connect().close()
    assert (0, 1) == states("sqlite")
    scope.shutdown()
    with engine.connect() as connection:
        assert 1 == connection.execute(text("SELECT 1")).scalar()


def test_async_engine(observe, postgres, wait_until):
    """The pool of an async engine, on a real PostgreSQL: two tasks, one connection."""
    observe()

    async def work():
        engine = create_async_engine(postgres, pool_size=1, max_overflow=0)
        name = f"postgresql/{engine.url.database}"
        first = await engine.connect()
        second = asyncio.create_task(engine.connect().start())
        await asyncio.to_thread(wait_until, lambda: sample("pending_requests", pool=name) == 1)
        seen = states(name), second.done()
        await first.close()
        await (await second).close()
        result = name, seen, states(name)
        await engine.dispose()
        return result

    name, while_waiting, after = asyncio.run(work())
    assert (((1, 0), False), (0, 1), 2) == (while_waiting, after, sample("wait_time_seconds_count", pool=name))


def test_asyncpg_pool(observe, postgres, wait_until):
    """The pool of asyncpg itself, on a real PostgreSQL: it waits, gives up, and says whose it is."""
    observe()
    url = sqlalchemy.make_url(postgres)
    dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)

    async def work():
        async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
            name = f"postgresql/{url.database}"
            async with pool.acquire() as connection:
                assert 1 == await connection.fetchval("SELECT 1")
                second = asyncio.create_task(pool.fetchval("SELECT 2"))
                await asyncio.to_thread(wait_until, lambda: sample("pending_requests", pool=name) == 1)
                with pytest.raises(TimeoutError):
                    await pool.acquire(timeout=0.02)
                seen = states(name), sample("max", pool=name)
            return await second, name, seen, states(name)

    answer, name, while_waiting, after = asyncio.run(work())
    assert (2, ((1, 0), 1), (0, 1)) == (answer, while_waiting, after)
    assert (None, None) == states(name)  # it has been closed
    assert (1, 3) == (sample("timeouts_total", pool=name), sample("wait_time_seconds_count", pool=name))
