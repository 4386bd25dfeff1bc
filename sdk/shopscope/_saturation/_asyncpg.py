"""Pools of asyncpg itself (behind SQLAlchemy asyncpg has none)."""

import functools
from typing import Any

from asyncpg.pool import Pool

from shopscope._metrics._dependencies import peer_name
from shopscope._metrics._selfmetrics import internal_error
from shopscope._pipeline import Pipeline, active
from shopscope._saturation._pools import PoolSize

_wrapped = "_shopscope_wrapped"


def instrument() -> None:
    """Watch over the one way in which a pool hands out connections; safe to call again."""
    original = Pool._acquire  # noqa: SLF001 (`acquire` only makes an object that calls it)
    if hasattr(original, _wrapped):
        return

    @functools.wraps(original)
    async def acquire(pool: Any, timeout: Any) -> Any:  # noqa: ASYNC109 (asyncpg's signature)
        pipeline = active()
        if pipeline is None:
            return await original(pool, timeout)
        try:
            use = pipeline.metering.pools.use_of(pool, lambda: _name(pipeline, pool), _size)
            began = use.begin()
        except Exception:  # noqa: BLE001 (telemetry never raises into the service)
            internal_error("asyncpg pool")
            return await original(pool, timeout)
        try:
            connection = await original(pool, timeout)
        except BaseException as error:
            use.fail(began, is_timeout=isinstance(error, TimeoutError))
            raise
        use.end(began)
        return connection

    setattr(acquire, _wrapped, True)
    Pool._acquire = acquire  # noqa: SLF001 (see above)


def _name(pipeline: Pipeline, pool: Any) -> str:
    """Peer and database of the pool's first connection; they have no public name."""
    for holder in pool._holders:  # noqa: SLF001 (see above)
        connection = holder._con  # noqa: SLF001 (see above)
        if connection is not None:
            address, database = connection._addr, connection._params.database  # noqa: SLF001 (see above)
            host, port = address if isinstance(address, tuple) else (str(address), None)
            return f"{peer_name(host, port, pipeline.settings.peers, 'postgresql')}/{database}"
    return "postgresql"


def _size(pool: Any) -> PoolSize | None:
    if pool.is_closing():
        return None
    idle = pool.get_idle_size()
    return PoolSize(idle, pool.get_size() - idle, pool.get_max_size())
