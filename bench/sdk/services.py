"""The two services that every agent observes, and the lines that each agent needs; nothing else is imported."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from typing import Any, NamedTuple

if os.environ.get("BENCH_AGENT") == "ddtrace":
    import ddtrace.auto  # noqa: F401 (its documentation wants it before what it patches)
from fastapi import FastAPI
from pydantic import BaseModel

Span = Callable[[str], Any]


class Observer(NamedTuple):
    """An agent that is set up: how a service makes a span of its own, what the application needs, the last flush."""

    span: Span
    instrument: Callable[[FastAPI], object]
    finish: Callable[[], object]


class Line(BaseModel):
    """A cart's line."""

    sku: str
    quantity: int


def checkout_service(observer: Observer) -> FastAPI:
    """One route: a validated body, three awaits, one child span."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(observer.finish)

    app = FastAPI(lifespan=lifespan)

    @app.post("/checkout/{cart_id}")
    async def checkout(cart_id: int, line: Line) -> dict[str, int]:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        with observer.span("price"):
            await asyncio.sleep(0)
        return {"cart": cart_id, "quantity": line.quantity}

    return app


def calling_service(observer: Observer) -> FastAPI:
    """One route that makes one httpx call, two SQL statements and one cache read."""
    import httpx  # noqa: PLC0415 (the other service must not pay for its imports)
    import redis.asyncio  # noqa: PLC0415 (same)
    from sqlalchemy import text  # noqa: PLC0415 (same)
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415 (same)

    clients: dict[str, Any] = {}

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        clients["http"] = httpx.AsyncClient(base_url=os.environ["BENCH_PEER"])
        clients["db"] = create_async_engine(os.environ["BENCH_DATABASE"])
        clients["cache"] = redis.asyncio.Redis.from_url(os.environ["BENCH_REDIS"])
        yield
        await clients["http"].aclose()
        await clients["cache"].aclose()
        await clients["db"].dispose()
        await asyncio.to_thread(observer.finish)

    app = FastAPI(lifespan=lifespan)

    @app.post("/checkout/{cart_id}")
    async def checkout(cart_id: int, line: Line) -> dict[str, int]:
        with observer.span("price"):
            await clients["cache"].get(f"price:{line.sku}")
        await clients["http"].get(f"/stock/{line.sku}")
        async with clients["db"].connect() as connection:
            await connection.execute(text("SELECT 1 WHERE 1 = :number"), {"number": 1})
            await connection.execute(text("SELECT 2 WHERE 2 = :number"), {"number": 2})
        return {"cart": cart_id, "quantity": line.quantity}

    return app


SERVICES: dict[str, Callable[[Observer], FastAPI]] = {"plain": checkout_service, "calling": calling_service}


def build(agent: str, service: str) -> FastAPI:
    """A service under an agent, everything that the agent does at its defaults and sent to the local sink."""
    observer = _OBSERVERS[agent](service == "calling")
    app = SERVICES[service](observer)
    observer.instrument(app)
    return app


def _nothing(*_: object) -> None:
    """What an agent does not need."""


def _bare(_: bool) -> Observer:  # noqa: FBT001 (one signature for all agents)
    return Observer(lambda _name: nullcontext(), _nothing, _nothing)


def _shopscope(_: bool) -> Observer:  # noqa: FBT001 (same)
    import shopscope  # noqa: PLC0415 (only the agent that is measured may be imported)
    from opentelemetry import trace  # noqa: PLC0415 (same)

    # As for the others, before the service asks for its tracer: one asked for earlier is the API's proxy for ever.
    shopscope.init("checkout")
    return Observer(
        trace.get_tracer("bench").start_as_current_span,
        lambda app: shopscope.init("checkout", app=app),
        shopscope.shutdown,
    )


def _stock_sdk() -> Callable[[], object]:
    """The SDK at its defaults; returns what flushes it."""
    from opentelemetry import metrics, trace  # noqa: PLC0415 (same)
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415 (same)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 (same)
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415 (same)
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: PLC0415 (same)
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 (same)
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 (same)

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    metrics.set_meter_provider(MeterProvider(metric_readers=[PeriodicExportingMetricReader(OTLPMetricExporter())]))
    return provider.force_flush


def _opentelemetry(with_clients: bool) -> Observer:  # noqa: FBT001 (same)
    from opentelemetry import trace  # noqa: PLC0415 (same)
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor  # noqa: PLC0415 (same)

    flush = _stock_sdk()
    if with_clients:
        _contrib_clients()
    return Observer(trace.get_tracer("bench").start_as_current_span, FastAPIInstrumentor.instrument_app, flush)


def _contrib_clients() -> None:
    from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor  # noqa: PLC0415 (same)
    from opentelemetry.instrumentation.redis import RedisInstrumentor  # noqa: PLC0415 (same)
    from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor  # noqa: PLC0415 (same)

    HTTPXClientInstrumentor().instrument()
    RedisInstrumentor().instrument()
    SQLAlchemyInstrumentor().instrument()


def _fastapi(with_clients: bool) -> Observer:  # noqa: FBT001 (same)
    from opentelemetry import trace  # noqa: PLC0415 (same)

    flush = _stock_sdk()
    if with_clients:
        _contrib_clients()  # FastAPI has none of its own
    return Observer(trace.get_tracer("bench").start_as_current_span, _nothing, flush)


def _logfire(with_clients: bool) -> Observer:  # noqa: FBT001 (same)
    import logfire  # noqa: PLC0415 (same)

    # It exports to OTEL_EXPORTER_OTLP_ENDPOINT by itself: https://logfire.pydantic.dev/docs/how-to-guides/alternative-backends/
    logfire.configure(send_to_logfire=False, console=False)
    if with_clients:
        logfire.instrument_httpx()
        logfire.instrument_redis()
        logfire.instrument_sqlalchemy()
    return Observer(logfire.span, logfire.instrument_fastapi, logfire.force_flush)


def _ddtrace(_: bool) -> Observer:  # noqa: FBT001 (same)
    from ddtrace.trace import tracer  # noqa: PLC0415 (same)

    return Observer(tracer.trace, _nothing, tracer.shutdown)


_OBSERVERS: dict[str, Callable[[bool], Observer]] = {
    "bare": _bare,
    "shopscope": _shopscope,
    "opentelemetry": _opentelemetry,
    "fastapi": _fastapi,
    "logfire": _logfire,
    "ddtrace": _ddtrace,
}
