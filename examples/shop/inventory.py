"""inventory: product details and stock. Buyers of the same product meet here."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import FastAPI, HTTPException, Request
from pydantic import BaseModel, Field
from sqlalchemy import ARRAY, Integer, Row, Text, any_, bindparam, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

import shopscope
from shop.database import answer_database_failures, autocommit, open_engine
from shop.faults import InventoryFaults
from shop.held_lock import open_held_lock
from shop.models import CURRENCY, Line, PricedLine
from shop.service import create_app
from shop.settings import load_settings
from shop.tables import inventory_products as products
from shop.tables import reservations, stock

log = logging.getLogger(__name__)

SETTINGS = load_settings("SHOP_DATABASE_URL")

_SKUS = bindparam("skus", type_=ARRAY(Text))
_DETAILS = (
    select(products, stock.c.available)
    .join(stock, stock.c.sku == products.c.sku)
    .where(products.c.sku == bindparam("wanted"))
)
_SNAPSHOT = (
    select(stock.c.sku, stock.c.available, stock.c.version, products.c.price_cents)
    .join(products, products.c.sku == stock.c.sku)
    .where(stock.c.sku == any_(_SKUS))
)
# Sorted, so that two buyers of the same products wait for each other instead of deadlocking.
_LOCK = select(stock.c.sku).where(stock.c.sku == any_(_SKUS)).order_by(stock.c.sku).with_for_update()
_CHANGE = text(
    """UPDATE inventory.stock AS s SET available = s.available + w.change, version = s.version + 1
       FROM unnest(:skus, :changes) AS w(sku, change) WHERE s.sku = w.sku"""
).bindparams(_SKUS, bindparam("changes", type_=ARRAY(Integer)))
_TAKE = text(
    """UPDATE inventory.stock AS s SET available = s.available - w.quantity, version = s.version + 1
       FROM unnest(:skus, :quantities, :versions) AS w(sku, quantity, version)
       WHERE s.sku = w.sku AND s.version = w.version AND s.available >= w.quantity"""
).bindparams(_SKUS, bindparam("quantities", type_=ARRAY(Integer)), bindparam("versions", type_=ARRAY(Integer)))
_RELEASE = (
    update(reservations)
    .where(reservations.c.reservation_id == bindparam("id"), reservations.c.is_released.is_(False))
    .values(is_released=True)
    .returning(reservations.c.lines)
)


class Product(BaseModel):
    """A product's details."""

    sku: str
    name: str
    brand: str
    category: str
    description: str
    price_cents: int
    currency: str = CURRENCY
    available: int


class ReservationRequest(BaseModel):
    """What to reserve."""

    lines: Annotated[list[Line], Field(min_length=1, max_length=100)]


class Reservation(BaseModel):
    """Stock set aside, with the prices that it was set aside at."""

    reservation_id: UUID
    lines: list[PricedLine]
    attempts: int
    currency: str = CURRENCY


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One engine; the held-lock fault has a connection of its own."""
    async with open_engine(app, SETTINGS) as engine, open_held_lock(app, SETTINGS):
        app.state.engine = engine
        app.state.reads = autocommit(engine)
        yield


app = create_app("inventory", lifespan, InventoryFaults)
answer_database_failures(app)
shopscope.init("inventory", app=app)


@app.get("/products/{sku}")
async def product(sku: str, request: Request) -> Product:
    """A product's details with what is in stock now."""
    reads: AsyncEngine = request.app.state.reads
    async with reads.connect() as connection:
        row = (await connection.execute(_DETAILS, {"wanted": sku})).first()
    if row is None:
        raise HTTPException(404, f"unknown product: {sku}")
    return Product.model_validate(row, from_attributes=True)


@app.post("/reservations", status_code=201)
async def reserve(body: ReservationRequest, request: Request) -> Reservation:
    """Set stock aside: 404 for an unknown product, 409 if it is sold out or others kept being faster."""
    wanted = _merge(body.lines)
    for attempt in range(1, SETTINGS.reservation_attempts + 1):
        async with request.app.state.reads.connect() as connection:
            rows = (await connection.execute(_SNAPSHOT, {"skus": list(wanted)})).all()
        snapshot = {row.sku: row for row in rows}
        _check_available(wanted, snapshot)
        reservation_id = await _try_to_take(request.app.state.engine, wanted, snapshot)
        if reservation_id is not None:
            lines = [
                PricedLine(sku=sku, quantity=quantity, unit_price_cents=snapshot[sku].price_cents)
                for sku, quantity in wanted.items()
            ]
            return Reservation(reservation_id=reservation_id, lines=lines, attempts=attempt)
        shopscope.write_conflict("stock")
        log.info("stock changed under a buyer of %d products, attempt %d", len(wanted), attempt)
        await asyncio.sleep(0.004 * attempt * random.random())  # noqa: S311  # spreads rivals, no secret
    raise HTTPException(409, "other buyers were faster, try again")


@app.delete("/reservations/{reservation_id}", status_code=204)
async def release(reservation_id: UUID, request: Request) -> None:
    """Put reserved stock back; doing it twice puts it back once."""
    engine: AsyncEngine = request.app.state.engine
    async with engine.begin() as connection:
        lines = (await connection.execute(_RELEASE, {"id": reservation_id})).scalar()
        if lines:
            skus = sorted(lines)
            await connection.execute(_LOCK, {"skus": skus})
            await connection.execute(_CHANGE, {"skus": skus, "changes": [lines[sku] for sku in skus]})


def _merge(lines: list[Line]) -> dict[str, int]:
    """Quantity by product, in the order in which rows are locked."""
    wanted: dict[str, int] = {}
    for line in sorted(lines, key=lambda line: line.sku):
        wanted[line.sku] = wanted.get(line.sku, 0) + line.quantity
    return wanted


def _check_available(wanted: dict[str, int], snapshot: dict[str, Row[Any]]) -> None:
    for sku, quantity in wanted.items():
        if sku not in snapshot:
            raise HTTPException(404, f"unknown product: {sku}")
        if snapshot[sku].available < quantity:
            raise HTTPException(409, f"sold out: {sku}")


async def _try_to_take(engine: AsyncEngine, wanted: dict[str, int], snapshot: dict[str, Row[Any]]) -> UUID | None:
    """Take the stock if it is still as the snapshot saw it, else nothing; the locks order the buyers."""
    async with engine.connect() as connection:
        skus = list(wanted)
        await connection.execute(_LOCK, {"skus": skus})
        taken = await connection.execute(
            _TAKE,
            {"skus": skus, "quantities": list(wanted.values()), "versions": [snapshot[sku].version for sku in skus]},
        )
        if taken.rowcount != len(skus):
            await connection.rollback()
            return None
        return await _write_reservation(connection, wanted)


async def _write_reservation(connection: AsyncConnection, wanted: dict[str, int]) -> UUID:
    reservation_id = uuid4()
    await connection.execute(insert(reservations), {"reservation_id": reservation_id, "lines": wanted})
    await connection.commit()
    return reservation_id
