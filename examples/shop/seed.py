"""Creates the shop's tables and fills in the catalogue: ``python -m shop.seed``. Doing it again changes nothing."""

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict

import asyncpg
from sqlalchemy import Table, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.schema import CreateSchema

from shop.catalogue import catalogue
from shop.settings import SettingsError, load_settings
from shop.tables import OWNERS, inventory_products, search_products, stock

log = logging.getLogger(__name__)

# Any fixed number: two seeds at once take turns.
_SEED_LOCK = 8_601


async def seed(database_url: str) -> int:
    """Create what is missing and bring the catalogue up to date; stock that is there is left alone.

    Args:
        database_url: an SQLAlchemy URL of PostgreSQL with asyncpg.

    Returns:
        The number of products.
    """
    engine = create_async_engine(database_url)
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _SEED_LOCK})
            for owner in OWNERS:
                await connection.execute(CreateSchema(str(owner.schema), if_not_exists=True))
                await connection.run_sync(owner.create_all)
            products = [asdict(product) for product in catalogue()]
            named = ("sku", "name", "brand", "category", "description", "price_cents")
            await _fill(connection, search_products, (*named, "is_featured"), _rows(products, (*named, "is_hot")))
            await _fill(connection, inventory_products, (*named, "is_hot"), _rows(products, (*named, "is_hot")))
            await _fill(connection, stock, ("sku", "available"), _rows(products, ("sku", "stock")), update=False)
        # Fresh statistics, so that the first searches are planned like the later ones.
        async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            await connection.execute(text("ANALYZE search.products, inventory.products, inventory.stock"))
    finally:
        await engine.dispose()
    return len(products)


def _rows(products: Iterable[dict[str, object]], columns: Sequence[str]) -> list[tuple[object, ...]]:
    return [tuple(product[column] for column in columns) for product in products]


async def _fill(
    connection: AsyncConnection,
    table: Table,
    columns: Sequence[str],
    rows: Sequence[tuple[object, ...]],
    *,
    update: bool = True,
) -> None:
    """COPY into a temporary table, then merge by sku: rows that are right already are not written."""
    incoming = f"incoming_{table.schema}_{table.name}"
    names = ", ".join(columns)
    await connection.execute(
        text(f"CREATE TEMPORARY TABLE {incoming} ON COMMIT DROP AS SELECT {names} FROM {table} WITH NO DATA")  # noqa: S608  # names come from tables.py
    )
    raw = await connection.get_raw_connection()
    await raw.driver_connection.copy_records_to_table(incoming, records=rows, columns=columns)
    changes = ", ".join(f"{column} = excluded.{column}" for column in columns)
    old, new = (", ".join(f"{of}.{column}" for column in columns) for of in ("kept", "excluded"))
    action = f"UPDATE SET {changes} WHERE ({old}) IS DISTINCT FROM ({new})" if update else "NOTHING"
    await connection.execute(
        text(f"INSERT INTO {table} AS kept ({names}) SELECT {names} FROM {incoming} ON CONFLICT (sku) DO {action}")  # noqa: S608  # same
    )


def main() -> None:
    """Seed the database of ``SHOP_DATABASE_URL``."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    settings = load_settings("SHOP_DATABASE_URL")
    started = time.perf_counter()
    try:
        products = asyncio.run(seed(settings.database_url))
    except (OSError, asyncpg.PostgresError) as error:
        raise SettingsError(f"SHOP_DATABASE_URL: the database cannot be used: {error}") from error
    log.info("seeded %d products in %.1f s", products, time.perf_counter() - started)


if __name__ == "__main__":
    main()
