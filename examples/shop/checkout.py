"""checkout: turns a cart into a paid order."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import UUID

import httpx
from fastapi import FastAPI, HTTPException, Request
from pydantic import BaseModel, Field
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

import shopscope
from shop.clients import ask, open_client
from shop.database import answer_database_failures, autocommit, open_engine
from shop.faults import DatabaseFaults
from shop.models import CURRENCY, CardToken, CartId, Line, PricedLine
from shop.service import create_app
from shop.settings import load_settings
from shop.tables import orders

log = logging.getLogger(__name__)

SETTINGS = load_settings("SHOP_DATABASE_URL")

_SHIPPING_CENTS = 490
_FREE_SHIPPING_FROM_CENTS = 5_000
# Above all that payment may spend on the bank: three attempts of 2.5 s and the waits between them.
_PAYMENT_TIMEOUT_SECONDS = 10.0
_WRITE_ORDER = insert(orders).on_conflict_do_nothing().returning(orders.c.order_id)


class OrderRequest(BaseModel):
    """A cart to be paid. The order's id is the buyer's: paying the same order again does not charge again."""

    order_id: UUID
    cart_id: CartId
    lines: Annotated[list[Line], Field(min_length=1, max_length=100)]
    card_token: CardToken


class Order(BaseModel):
    """A paid order."""

    order_id: UUID
    lines: list[PricedLine]
    subtotal_cents: int
    shipping_cents: int
    total_cents: int
    currency: str = CURRENCY


class Reserved(BaseModel):
    """What inventory has set aside."""

    reservation_id: UUID
    lines: list[PricedLine]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One engine, one HTTP client."""
    async with open_engine(app, SETTINGS) as engine, open_client() as client:
        app.state.database = autocommit(engine)
        app.state.client = client
        yield


app = create_app("checkout", lifespan, DatabaseFaults)
answer_database_failures(app)
shopscope.init("checkout", app=app)


@app.post("/orders", status_code=201)
async def place_order(body: OrderRequest, request: Request) -> Order:
    """Reserve, price, charge, write down. Whatever fails after the reservation gives the stock back."""
    client: httpx.AsyncClient = request.app.state.client
    reserved = await _reserve(client, body.lines)
    try:
        order = _price(body.order_id, reserved.lines)
        charge_id = await _charge(client, order, body)
        is_new = await _write(request.app.state.database, order, body.cart_id, reserved.reservation_id, charge_id)
    except Exception:
        await _release(client, reserved.reservation_id)
        raise
    if not is_new:  # the buyer asked again after the answer was lost: the first reservation counts
        await _release(client, reserved.reservation_id)
    else:
        shopscope.order_placed(order.total_cents / 100, currency=order.currency)
    log.info("order %s placed: %d lines, %d cents", order.order_id, len(order.lines), order.total_cents)
    return order


async def _reserve(client: httpx.AsyncClient, lines: list[Line]) -> Reserved:
    """Ask inventory with no protection: no retry, no breaker, and no timeout but the client's default."""
    body = {"lines": [line.model_dump() for line in lines]}
    answer = await ask(client, "inventory", "POST", f"{SETTINGS.inventory_url}/reservations", json=body)
    return Reserved.model_validate_json(answer.content)


def _price(order_id: UUID, lines: list[PricedLine]) -> Order:
    """Add up the lines; shipping is free from 50 EUR."""
    subtotal = sum(line.quantity * line.unit_price_cents for line in lines)
    shipping = 0 if subtotal >= _FREE_SHIPPING_FROM_CENTS else _SHIPPING_CENTS
    return Order(
        order_id=order_id,
        lines=lines,
        subtotal_cents=subtotal,
        shipping_cents=shipping,
        total_cents=subtotal + shipping,
    )


async def _charge(client: httpx.AsyncClient, order: Order, body: OrderRequest) -> UUID:
    answer = await ask(
        client,
        "payment",
        "POST",
        f"{SETTINGS.payment_url}/charges",
        json={
            "amount_cents": order.total_cents,
            "currency": order.currency,
            "card_token": body.card_token.get_secret_value(),
        },
        headers={"Idempotency-Key": str(order.order_id)},
        timeout=_PAYMENT_TIMEOUT_SECONDS,
    )
    return UUID(answer.json()["charge_id"])


async def _write(database: AsyncEngine, order: Order, cart_id: str, reservation_id: UUID, charge_id: UUID) -> bool:
    """Write the order; false if it was written before."""
    values = order.model_dump() | {"cart_id": cart_id, "reservation_id": reservation_id, "charge_id": charge_id}
    async with database.connect() as connection:
        return (await connection.execute(_WRITE_ORDER, values)).scalar() is not None


async def _release(client: httpx.AsyncClient, reservation_id: UUID) -> None:
    """Give reserved stock back; if even that fails, the stock stays reserved and the log says so."""
    try:
        await ask(client, "inventory", "DELETE", f"{SETTINGS.inventory_url}/reservations/{reservation_id}")
    except HTTPException as error:
        log.warning("reservation %s could not be released: %s", reservation_id, error.detail)
