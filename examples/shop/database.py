"""The database engine of a service, how its failures are answered, and the small-pool fault."""

import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from shop.faults import DatabaseFaults
from shop.settings import Settings

log = logging.getLogger(__name__)

# A row lock is waited for no longer than this: whoever asked has given up by then.
_SERVER_SETTINGS = {"lock_timeout": "8s", "application_name": "shop", "jit": "off"}


@asynccontextmanager
async def open_engine(app: FastAPI, settings: Settings) -> AsyncIterator[AsyncEngine]:
    """One engine for the life of the service; the small-pool fault acts on its pool."""
    engine = create_async_engine(
        settings.database_url,
        pool_size=settings.database_pool_size,
        max_overflow=0,
        pool_timeout=settings.database_pool_wait_seconds,
        connect_args={"server_settings": _SERVER_SETTINGS},
    )
    squeeze = _PoolSqueeze(engine, settings.database_pool_size)
    app.state.faults.on_change(squeeze.apply)
    try:
        yield engine
    finally:
        await squeeze.release()
        await engine.dispose()


def autocommit(engine: AsyncEngine) -> AsyncEngine:
    """The same engine and pool for single statements: saves the round trips of BEGIN and COMMIT."""
    return engine.execution_options(isolation_level="AUTOCOMMIT")


def answer_database_failures(app: FastAPI) -> None:
    """Answer 503 when the database is away, too busy or locked; a wrong statement stays a server error."""
    for kind in (DBAPIError, PoolTimeoutError, OSError):
        app.add_exception_handler(kind, _unavailable)


async def _unavailable(_: Request, error: Exception) -> JSONResponse:
    if isinstance(error, IntegrityError | ProgrammingError | DataError):
        raise error
    log.warning("database unavailable: %s", type(error).__name__)
    return JSONResponse({"detail": "database unavailable"}, status_code=503, headers={"Retry-After": "1"})


class _PoolSqueeze:
    """Leaves only some connections of a pool to the service by holding the others, as leaked ones would be."""

    def __init__(self, engine: AsyncEngine, pool_size: int) -> None:
        self._engine = engine
        self._pool_size = pool_size
        self._held: list[AsyncConnection] = []

    async def apply(self, faults: DatabaseFaults) -> None:
        """Hold as many connections as the faults ask for, and no more."""
        held = 0 if faults.pool_size is None else max(0, self._pool_size - faults.pool_size)
        while len(self._held) > held:
            await self._held.pop().close()
        while len(self._held) < held:
            with contextlib.suppress(PoolTimeoutError):  # a busy pool: wait on
                self._held.append(await self._engine.connect())

    async def release(self) -> None:
        """Give every held connection back."""
        await self.apply(DatabaseFaults())
