"""Pools of SQLAlchemy engines, sync and async, whenever they were made."""

import functools
from typing import Any

from sqlalchemy.engine import Engine
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import QueuePool

from shopscope._metrics._dependencies import peer_name
from shopscope._metrics._selfmetrics import internal_error
from shopscope._pipeline import Pipeline, active
from shopscope._saturation._pools import PoolSize

_wrapped = "_shopscope_wrapped"


def instrument() -> None:
    """Watch over the one way in which engines take connections; safe to call again."""
    original = Engine.raw_connection
    if hasattr(original, _wrapped):
        return

    @functools.wraps(original)
    def raw_connection(engine: Engine) -> Any:
        pipeline = active()
        if pipeline is None or not isinstance(engine.pool, QueuePool):
            return original(engine)
        try:
            use = pipeline.metering.pools.use_of(engine.pool, lambda: _name(pipeline, engine), _size)
            began = use.begin()
        except Exception:  # noqa: BLE001 (telemetry never raises into the service)
            internal_error("sqlalchemy pool")
            return original(engine)
        try:
            connection = original(engine)
        except BaseException as error:
            use.fail(began, is_timeout=isinstance(error, PoolTimeoutError))
            raise
        use.end(began)
        return connection

    setattr(raw_connection, _wrapped, True)
    Engine.raw_connection = raw_connection  # type: ignore[assignment,method-assign]


def _name(pipeline: Pipeline, engine: Engine) -> str:
    """The name that the service gave its pool, else peer and database (of a file: only the kind of database)."""
    if given := engine.pool.logging_name:
        return str(given)
    url, system = engine.url, engine.dialect.name
    peer = peer_name(url.host or "", url.port, pipeline.settings.peers, system)
    return f"{peer}/{url.database}" if url.database and system != "sqlite" else peer


def _size(pool: QueuePool) -> PoolSize:
    overflow = pool._max_overflow  # noqa: SLF001 (SQLAlchemy has no public name for it)
    most = None if overflow < 0 or not pool.size() else pool.size() + overflow
    return PoolSize(pool.checkedin(), pool.checkedout(), most)
