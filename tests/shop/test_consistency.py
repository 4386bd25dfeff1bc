"""What the shop says of its caches and its rivals for stock, from real processes to a real endpoint."""

import asyncio
import json
import sys
import time
from pathlib import Path

import httpx
import pytest
import redis

sys.path.insert(0, str(Path(__file__).parents[1] / "sdk"))
from otlp_sink import Sink, plain_attributes


@pytest.fixture
def sink():
    with Sink.running() as running:
        yield running


@pytest.fixture
def watched(databases, sink):
    """Starts services that tell the sink; a page is aged after a minute, as no test lasts so long."""
    settings = {"OTEL_SDK_DISABLED": "false", "OTEL_EXPORTER_OTLP_ENDPOINT": sink.url, "SHOP_PAGE_FRESH_SECONDS": "60"}
    with redis.Redis.from_url(databases.redis_url) as connection:
        connection.flushdb()
    return lambda *services: databases.running(*services, **settings)


def counted(sink, name, label):
    """The figures of a counter by one of its labels, from the last push of each service."""
    found = {}
    for push in sink.pushes():
        for metric in (metric for metric in push if metric.item.name == name):
            for point in metric.item.sum.data_points:
                found[tuple(plain_attributes(point.attributes)[key] for key in label)] = point.as_double
    return found


def test_reads_of_pages_are_told_by_how_they_were_answered(databases, watched, sink):
    """Two misses, a hit, an aged page that bridges an outage, and one whose product had changed meanwhile."""
    sku = sku_of(databases)
    path, key = f"/products/{sku}", f"shop:page:product:{sku}"
    with watched("inventory", "storefront") as shop, redis.Redis.from_url(shop.redis_url) as cache:
        assert ["miss", "fresh"] == [shop.ask("storefront", "GET", path).headers["X-Cache"] for _ in range(2)]
        cache.set(key, f"{time.time() - 100:.3f}\n{json.dumps({'name': 'as it was'})}")
        with shop.fault("inventory", error_rate=1.0):
            assert "stale" == shop.ask("storefront", "GET", path).headers["X-Cache"]
        assert "miss" == shop.ask("storefront", "GET", path).headers["X-Cache"]
    reads = counted(sink, "shopscope.cache.requests", ("cache", "result"))
    assert {("product", "miss"): 2, ("product", "hit"): 1, ("product", "stale"): 1} == reads
    assert {("product",): 1} == counted(sink, "shopscope.stale.reads", ("entity",))


def test_a_buyer_who_was_overtaken_is_a_write_conflict(databases, watched, sink):
    """Somebody changes the stock while a buyer waits for its lock: one conflict, and the order comes through."""
    sku = sku_of(databases)
    with watched("inventory") as shop:

        async def overtaken():
            connection = await shop.connect()
            async with httpx.AsyncClient(base_url=shop.urls["inventory"], timeout=30) as client:
                async with connection.transaction():
                    await connection.execute("UPDATE inventory.stock SET version = version + 1 WHERE sku = $1", sku)
                    body = {"lines": [{"sku": sku, "quantity": 1}]}
                    buyer = asyncio.create_task(client.post("/reservations", json=body))
                    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
                    while not await connection.fetchval(waiting):  # noqa: ASYNC110  # PostgreSQL has no event for it
                        await asyncio.sleep(0.01)
                answer = await buyer
            await connection.close()
            return answer

        answer = asyncio.run(overtaken())
        assert (201, 2) == (answer.status_code, answer.json()["attempts"])
    assert {("stock",): 1} == counted(sink, "shopscope.write.conflicts", ("entity",))


def sku_of(databases):
    """A product that nobody else's test changes."""
    return databases.sql("SELECT sku FROM inventory.stock WHERE available > 100 ORDER BY sku DESC LIMIT 1")[0]["sku"]
