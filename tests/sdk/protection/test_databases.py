"""Protections around calls to a real PostgreSQL and Redis, sync and async."""

import asyncio

import pybreaker
import pytest
import redis
import redis.asyncio
import stamina
from purgatory import AsyncCircuitBreakerFactory
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from shopscope_ops.demo.backends import start_postgres, start_redis


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    with start_postgres(tmp_path_factory.mktemp("postgres")) as address:
        yield address


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    with start_redis(tmp_path_factory.mktemp("redis")) as address:
        yield address


@pytest.mark.usefixtures("payment")
def test_async_statements(postgres, told):
    """SQLAlchemy runs its async statements in greenlets: the breaker is known there too."""
    breakers = AsyncCircuitBreakerFactory()

    async def run():
        engine = create_async_engine(postgres)
        async with engine.connect() as connection, await breakers.get_breaker("read"):
            await connection.execute(text("SELECT 1"))
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 2"))
        await engine.dispose()

    asyncio.run(run())
    protections, guards, _ = told()
    assert ["breaker", None] == [protections[-2], protections[-1]]
    assert {("postgresql", "read", "breaker")} == guards


@pytest.mark.usefixtures("payment")
def test_redis(cache, told):
    """Commands and pipelines, by both clients."""
    breaker = pybreaker.CircuitBreaker(name="cache")

    async def run():
        async with redis.asyncio.from_url(cache) as client:
            async for attempt in stamina.retry_context(on=redis.RedisError, attempts=2):
                with attempt:
                    await client.get("a")
                    async with client.pipeline() as pipeline:
                        await pipeline.get("a").get("b").execute()
            await client.get("b")

    with redis.from_url(cache) as client:
        breaker.call(client.get, "a")
        with breaker.calling(), client.pipeline() as pipeline:
            pipeline.get("a").execute()
        client.get("b")
    asyncio.run(run())
    protections, guards, _ = told()
    assert ["breaker", "breaker", None, "retry", "retry", None] == protections
    assert {("redis", "cache", "breaker"), ("redis", "", "retry")} == guards
