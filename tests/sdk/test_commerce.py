"""What a shop counts beyond requests: reads of caches, conflicts, stale reads."""

import asyncio

import asyncpg
import pytest
import sqlalchemy
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.orm.exc import StaleDataError

import shopscope
from shopscope_ops.demo.backends import start_postgres


def test_cache_reads(scope, sink):
    """Reads are counted by result, and the age of what was found is measured."""
    shopscope.cache_read("catalogue", "hit", age_seconds=3)
    shopscope.cache_read("catalogue", "hit")
    shopscope.cache_read("catalogue", "miss")
    shopscope.cache_read("prices", "stale", age_seconds=700.5)
    scope.shutdown()
    assert {("catalogue", "hit"): 2, ("catalogue", "miss"): 1, ("prices", "stale"): 1} == {
        (point.tags["cache"], point.tags["result"]): point.point.as_double
        for point in sink.points("shopscope.cache.requests")
    }
    ages = {
        (point.tags["cache"], point.tags["result"]): (point.point.count, point.point.sum)
        for point in sink.points("shopscope.cache.entry.age")
    }
    assert {("catalogue", "hit"): (1, 3), ("prices", "stale"): (1, 700.5)} == ages


def test_conflicts_and_stale_reads(scope, sink):
    """Both are counted by entity."""
    shopscope.write_conflict("stock")
    shopscope.write_conflict("stock")
    shopscope.stale_read("price")
    scope.shutdown()
    for name, expected in (("shopscope.write.conflicts", {"stock": 2}), ("shopscope.stale.reads", {"price": 1})):
        assert expected == {point.tags["entity"]: point.point.as_double for point in sink.points(name)}


@pytest.mark.parametrize(
    ("function", "arguments", "options"),
    [
        ("cache_read", ("catalogue", "found"), {}),
        ("cache_read", ("", "hit"), {}),
        ("cache_read", (None, "hit"), {}),
        ("cache_read", ("catalogue", "hit"), {"age_seconds": -1}),
        ("cache_read", ("catalogue", "hit"), {"age_seconds": float("nan")}),
        ("cache_read", ("catalogue", "hit"), {"age_seconds": "old"}),
        ("write_conflict", ("",), {}),
        ("stale_read", (7,), {}),
    ],
)
def test_wrong_arguments_never_raise(scope, sink, function, arguments, options):
    """A wrong call is counted as a fault of telemetry, and counts nothing else."""
    getattr(shopscope, function)(*arguments, **options)
    scope.shutdown()
    assert [function] == [point.tags["where"] for point in sink.points("shopscope.sdk.errors")]
    for name in ("cache.requests", "cache.entry.age", "write.conflicts", "stale.reads"):
        assert [] == sink.points(f"shopscope.{name}")


@pytest.mark.parametrize("call", ["cache_read", "write_conflict", "stale_read"])
def test_without_telemetry(call):
    """Before ``init`` and after ``shutdown`` nothing happens."""
    assert getattr(shopscope, call)("catalogue", *(["hit"] if call == "cache_read" else [])) is None


def test_many_names_share_an_overflow_series(scope, sink):
    """A name that turns out to be a key fills neither the memory nor the backend."""
    for number in range(1100):
        shopscope.cache_read(f"product:{number}", "hit")
    scope.shutdown()
    points = sink.points("shopscope.cache.requests")
    assert 1100 == sum(point.point.as_double for point in points)
    assert "_overflow" in {point.tags["cache"] for point in points}


class Base(DeclarativeBase):
    """The tables of these tests."""


class Stock(Base):
    """A row with a version, as the ORM checks it."""

    __tablename__ = "stock"
    sku: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int]
    version: Mapped[int] = mapped_column()
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 (how SQLAlchemy is told)


def test_version_conflict_of_the_orm(scope, sink, tmp_path):
    """Two sessions change one row: the second is refused, and that is a write conflict."""
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/stock.db")
    Base.metadata.create_all(engine)
    with Session(engine) as first:
        first.add(Stock(sku="shoe", count=2))
        first.commit()
        first.get(Stock, "shoe").count -= 1
        with Session(engine) as second:
            second.get(Stock, "shoe").count -= 1
            second.commit()
        with pytest.raises(StaleDataError):
            first.commit()
    engine.dispose()
    scope.shutdown()
    assert [("stock", 1.0)] == [
        (point.tags["entity"], point.point.as_double) for point in sink.points("shopscope.write.conflicts")
    ]


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    with start_postgres(tmp_path_factory.mktemp("postgres")) as address:
        yield address


def test_conflicts_of_postgresql(scope, sink, postgres):
    """A serialization failure and a deadlock are write conflicts; an ordinary error is none."""

    async def run():
        engine = create_async_engine(postgres, isolation_level="REPEATABLE READ")
        async with engine.begin() as connection:
            await connection.execute(text("CREATE TABLE IF NOT EXISTS carts (id int PRIMARY KEY, n int)"))
            await connection.execute(text("INSERT INTO carts VALUES (1, 0), (2, 0) ON CONFLICT DO NOTHING"))
        async with engine.connect() as first, engine.connect() as second:
            await first.execute(text("SELECT n FROM carts"))
            await second.execute(text("UPDATE carts SET n = n + 1 WHERE id = 1"))
            await second.commit()
            with pytest.raises(DBAPIError):
                await first.execute(text("UPDATE carts SET n = n + 1 WHERE id = 1"))
        async with engine.connect() as first, engine.connect() as second:
            await first.execute(text("UPDATE carts SET n = 1 WHERE id = 1"))
            await second.execute(text("UPDATE carts SET n = 1 WHERE id = 2"))
            waiting = asyncio.create_task(first.execute(text("UPDATE carts SET n = 2 WHERE id = 2")))
            results = await asyncio.gather(
                waiting, second.execute(text("UPDATE carts SET n = 2 WHERE id = 1")), return_exceptions=True
            )
        async with engine.connect() as connection:
            with pytest.raises(DBAPIError):
                await connection.execute(text("SELECT 1 / 0 FROM carts"))
        await engine.dispose()
        return results

    assert 1 == sum(isinstance(result, DBAPIError) for result in asyncio.run(run()))
    scope.shutdown()
    assert [("carts", 2.0)] == [
        (point.tags["entity"], point.point.as_double) for point in sink.points("shopscope.write.conflicts")
    ]


def test_conflicts_of_asyncpg(scope, sink, postgres):
    """The same without SQLAlchemy; a serializable transaction may be refused as late as at its end."""

    async def run():
        address = postgres.replace("+asyncpg", "")
        first, second = await asyncpg.connect(address), await asyncpg.connect(address)
        await first.execute("CREATE TABLE IF NOT EXISTS prices (id int PRIMARY KEY, n int)")
        await first.execute("INSERT INTO prices VALUES (1, 0), (2, 0) ON CONFLICT DO NOTHING")
        begun = first.transaction(isolation="repeatable_read")
        await begun.start()
        await first.fetch("SELECT n FROM prices")
        await second.execute("UPDATE prices SET n = 1")
        with pytest.raises(asyncpg.SerializationError):
            await first.execute("UPDATE prices SET n = 2")
        await begun.rollback()
        begun, other = (connection.transaction(isolation="serializable") for connection in (first, second))
        await begun.start()
        await other.start()
        await first.fetch("SELECT sum(n) FROM prices")
        await second.fetch("SELECT sum(n) FROM prices")
        await first.execute("UPDATE prices SET n = n + 1 WHERE id = 1")
        await second.execute("UPDATE prices SET n = n + 1 WHERE id = 2")
        await begun.commit()
        with pytest.raises(asyncpg.SerializationError):
            await other.commit()
        await first.close()
        await second.close()

    asyncio.run(run())
    scope.shutdown()
    assert {"prices": 1, "unknown": 1} == {
        point.tags["entity"]: point.point.as_double for point in sink.points("shopscope.write.conflicts")
    }
