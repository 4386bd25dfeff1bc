"""The two services that every agent observes, and the one line (or more) that each agent needs."""

import asyncio
import logging
import os
from collections.abc import Callable
from contextlib import asynccontextmanager, nullcontext
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

AGENTS = ("bare", "shopscope", "opentelemetry", "fastapi", "logfire", "ddtrace")


class Line(BaseModel):
    """A cart's line."""

    sku: str
    quantity: int


def checkout_service(span: Callable[[str], Any]) -> FastAPI:
    """One route: a validated body, three awaits, one child span."""
    app = FastAPI()

    @app.post("/checkout/{cart_id}")
    async def checkout(cart_id: int, line: Line) -> dict[str, int]:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        with span("price"):
            await asyncio.sleep(0)
        return {"cart": cart_id, "quantity": line.quantity}

    return app


def calling_service(span: Callable[[str], Any]) -> FastAPI:
    """One route that makes one httpx call, two SQL statements and one cache read."""
    import httpx  # noqa: PLC0415 (the other service must not pay for its imports)
    import redis.asyncio  # noqa: PLC0415 (same)
    from sqlalchemy import text  # noqa: PLC0415 (same)
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415 (same)

    clients: dict[str, Any] = {}

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> Any:
        clients["http"] = httpx.AsyncClient(base_url=os.environ["BENCH_PEER"])
        clients["db"] = create_async_engine(os.environ["BENCH_DATABASE"])
        clients["cache"] = redis.asyncio.Redis.from_url(os.environ["BENCH_REDIS"])
        yield
        await clients["http"].aclose()
        await clients["cache"].aclose()
        await clients["db"].dispose()

    app = FastAPI(lifespan=lifespan)

    @app.post("/checkout/{cart_id}")
    async def checkout(cart_id: int, line: Line) -> dict[str, int]:
        with span("price"):
            await clients["cache"].get(f"price:{line.sku}")
        await clients["http"].get(f"/stock/{line.sku}")
        async with clients["db"].connect() as connection:
            await connection.execute(text("SELECT 1 WHERE 1 = :number"), {"number": 1})
            await connection.execute(text("SELECT 2 WHERE 2 = :number"), {"number": 2})
        return {"cart": cart_id, "quantity": line.quantity}

    return app


SERVICES: dict[str, Callable[[Callable[[str], Any]], FastAPI]] = {"plain": checkout_service, "calling": calling_service}


def build(agent: str, service: str) -> FastAPI:
    """A service under an agent, everything that the agent does at its defaults and sent to the local sink."""
    return _BUILDERS[agent](SERVICES[service], service == "calling")


Make = Callable[[Callable[[str], Any]], FastAPI]


def _bare(make: Make, _: bool) -> FastAPI:  # noqa: FBT001 (one signature for all agents)
    logging.disable(logging.CRITICAL)
    return make(lambda _name: nullcontext())


def _shopscope(make: Make, _: bool) -> FastAPI:  # noqa: FBT001 (same)
    import shopscope  # noqa: PLC0415 (only the agent that is measured may be imported)
    from opentelemetry import trace  # noqa: PLC0415 (same)

    app = make(trace.get_tracer("bench").start_as_current_span)
    shopscope.init("checkout", app=app)
    return app


def _stock_sdk() -> None:
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


def _opentelemetry(make: Make, with_clients: bool) -> FastAPI:  # noqa: FBT001 (same)
    from opentelemetry import trace  # noqa: PLC0415 (same)
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor  # noqa: PLC0415 (same)

    _stock_sdk()
    if with_clients:
        from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor  # noqa: PLC0415 (same)
        from opentelemetry.instrumentation.redis import RedisInstrumentor  # noqa: PLC0415 (same)
        from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor  # noqa: PLC0415 (same)

        HTTPXClientInstrumentor().instrument()
        RedisInstrumentor().instrument()
        SQLAlchemyInstrumentor().instrument()
    app = make(trace.get_tracer("bench").start_as_current_span)
    FastAPIInstrumentor.instrument_app(app)
    return app


def _fastapi(make: Make, _: bool) -> FastAPI:  # noqa: FBT001 (same)
    from opentelemetry import trace  # noqa: PLC0415 (same)

    _stock_sdk()
    return make(trace.get_tracer("bench").start_as_current_span)


def _logfire(make: Make, with_clients: bool) -> FastAPI:  # noqa: FBT001 (same)
    import logfire  # noqa: PLC0415 (same)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 (same)
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 (same)

    exporter = BatchSpanProcessor(OTLPSpanExporter())
    logfire.configure(send_to_logfire=False, console=False, additional_span_processors=[exporter])
    app = make(logfire.span)
    logfire.instrument_fastapi(app)
    if with_clients:
        logfire.instrument_httpx()
        logfire.instrument_redis()
        logfire.instrument_sqlalchemy()
    return app


def _ddtrace(make: Make, _: bool) -> FastAPI:  # noqa: FBT001 (same)
    import ddtrace.auto  # noqa: PLC0415,F401 (same; patches what is imported after it)
    from ddtrace.trace import tracer  # noqa: PLC0415 (same)

    return make(tracer.trace)


_BUILDERS: dict[str, Callable[[Make, bool], FastAPI]] = {
    "bare": _bare,
    "shopscope": _shopscope,
    "opentelemetry": _opentelemetry,
    "fastapi": _fastapi,
    "logfire": _logfire,
    "ddtrace": _ddtrace,
}
