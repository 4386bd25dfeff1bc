"""The held-lock fault: a transaction of somebody else that sits on the rows of the hot products."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from sqlalchemy import NullPool, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from shop.faults import InventoryFaults
from shop.settings import Settings
from shop.tables import inventory_products, stock

log = logging.getLogger(__name__)

_PAUSE_SECONDS = 0.1
_LOCK_HOT = (
    select(stock.c.sku)
    .join(inventory_products, inventory_products.c.sku == stock.c.sku)
    .where(inventory_products.c.is_hot)
    .order_by(stock.c.sku)
    .with_for_update(of=stock)
)


@asynccontextmanager
async def open_held_lock(app: FastAPI, settings: Settings) -> AsyncIterator[None]:
    """Let the faults of ``app`` hold the lock; its connection is no part of the service's pool."""
    engine = create_async_engine(settings.database_url, poolclass=NullPool)
    holder = _LockHolder(engine)
    app.state.faults.on_change(holder.apply)
    try:
        yield
    finally:
        await holder.stop()
        await engine.dispose()


class _LockHolder:
    """Holds the lock for some seconds, lets go for a moment, and again, until stopped."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._task: asyncio.Task[None] | None = None

    async def apply(self, faults: InventoryFaults) -> None:
        """Return when the lock is held as the faults say, or no longer held."""
        await self.stop()
        if faults.held_lock_seconds:
            is_held = asyncio.Event()
            self._task = asyncio.create_task(self._hold(faults.held_lock_seconds, is_held))
            await is_held.wait()

    async def stop(self) -> None:
        """Let go of the lock."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _hold(self, seconds: float, is_held: asyncio.Event) -> None:
        while True:
            try:
                async with self._engine.connect() as connection:
                    await connection.execute(_LOCK_HOT)
                    is_held.set()
                    await asyncio.sleep(seconds)
            except (DBAPIError, OSError) as error:
                log.warning("the held-lock fault lost its database: %s", type(error).__name__)
                is_held.set()
            await asyncio.sleep(_PAUSE_SECONDS)
