"""payment: charges a card at the bank, once per idempotency key, behind a circuit breaker with retries."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Literal
from uuid import UUID, uuid4

import httpx
import stamina
from fastapi import FastAPI, Header, HTTPException, Request
from purgatory import AsyncCircuitBreakerFactory
from purgatory.domain.model import OpenedState
from pydantic import BaseModel, Field
from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

import shopscope
from shop.clients import open_client
from shop.database import answer_database_failures, autocommit, open_engine
from shop.faults import DatabaseFaults
from shop.models import CardToken
from shop.service import create_app
from shop.settings import load_settings
from shop.tables import charges

log = logging.getLogger(__name__)

SETTINGS = load_settings("SHOP_DATABASE_URL")

_CLAIM = insert(charges).on_conflict_do_nothing().returning(charges.c.charge_id)
_BY_KEY = select(charges).where(charges.c.idempotency_key == bindparam("key"))
_SETTLE = (
    update(charges)
    .where(charges.c.idempotency_key == bindparam("key"))
    .values(status=bindparam("new_status"), bank_reference=bindparam("reference"))
)


class ChargeRequest(BaseModel):
    """What to charge."""

    amount_cents: int = Field(gt=0, le=10_000_000)
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    card_token: CardToken


class Charge(BaseModel):
    """A charge that the bank approved."""

    charge_id: UUID
    status: Literal["approved"] = "approved"


class BankError(Exception):
    """The bank answered, but failed."""


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One engine, one HTTP client, one breaker for the bank."""
    async with open_engine(app, SETTINGS) as engine, open_client() as client:
        app.state.database = autocommit(engine)
        app.state.client = client
        app.state.breakers = AsyncCircuitBreakerFactory(
            default_threshold=SETTINGS.bank_breaker_failures, default_ttl=SETTINGS.bank_breaker_open_seconds
        )
        app.state.breakers.add_listener(_log_breaker)
        yield


app = create_app("payment", lifespan, DatabaseFaults)
answer_database_failures(app)
shopscope.init("payment", app=app)


@app.post("/charges", status_code=201)
async def charge(
    body: ChargeRequest,
    request: Request,
    idempotency_key: Annotated[str, Header(pattern=r"^[A-Za-z0-9_-]{1,64}$")],
) -> Charge:
    """Charge a card: 402 if it is declined, 503 if the bank cannot be asked, 409 if the key means another charge."""
    database: AsyncEngine = request.app.state.database
    charge_id, is_settled = await _claim(database, idempotency_key, body)
    if is_settled:
        return Charge(charge_id=charge_id)
    # No connection is held while the bank thinks: a slow bank must not empty the pool.
    answer = await _ask_bank(request.app, idempotency_key, body)
    is_approved = answer.status_code == httpx.codes.CREATED
    async with database.connect() as connection:
        values = {
            "key": idempotency_key,
            "new_status": "approved" if is_approved else "declined",
            "reference": answer.json()["reference"] if is_approved else None,
        }
        await connection.execute(_SETTLE, values)
    if not is_approved:
        log.info("charge %s of %d cents declined", charge_id, body.amount_cents)
        raise HTTPException(402, "card declined")
    return Charge(charge_id=charge_id)


async def _claim(database: AsyncEngine, key: str, body: ChargeRequest) -> tuple[UUID, bool]:
    """The charge's id, and whether it is already paid; writes the charge down before the bank is asked."""
    async with database.connect() as connection:
        values = {
            "idempotency_key": key,
            "charge_id": uuid4(),
            "amount_cents": body.amount_cents,
            "currency": body.currency,
            "status": "pending",
        }
        charge_id: UUID | None = (await connection.execute(_CLAIM, values)).scalar()
        if charge_id is not None:
            return charge_id, False
        known = (await connection.execute(_BY_KEY, {"key": key})).one()
    if known.status == "approved" and (known.amount_cents, known.currency) != (body.amount_cents, body.currency):
        raise HTTPException(409, "this idempotency key has paid another amount")
    return known.charge_id, known.status == "approved"


async def _ask_bank(app: FastAPI, key: str, body: ChargeRequest) -> httpx.Response:
    """The bank's answer, approved or declined."""
    breaker = await app.state.breakers.get_breaker("bank")
    try:
        async for attempt in stamina.retry_context(
            on=(httpx.TransportError, BankError),
            attempts=SETTINGS.bank_attempts,
            wait_initial=0.05,
            wait_max=0.5,
            wait_jitter=0.05,
        ):
            with attempt:
                async with breaker:
                    return await _ask_bank_once(app.state.client, key, body)
    except OpenedState as error:
        raise HTTPException(503, "the bank is unavailable", {"Retry-After": "5"}) from error
    except (httpx.TransportError, BankError) as error:
        log.warning("the bank failed %d times: %s", SETTINGS.bank_attempts, type(error).__name__)
        raise HTTPException(503, "the bank does not answer", {"Retry-After": "5"}) from error
    raise AssertionError("unreachable: the loop above returns or raises")


async def _ask_bank_once(client: httpx.AsyncClient, key: str, body: ChargeRequest) -> httpx.Response:
    response = await client.post(
        f"{SETTINGS.bank_url}/authorisations",
        json={
            "amount_cents": body.amount_cents,
            "currency": body.currency,
            "card_token": body.card_token.get_secret_value(),
        },
        headers={"Idempotency-Key": key},
        timeout=SETTINGS.bank_timeout_seconds,
    )
    if response.status_code not in {httpx.codes.CREATED, httpx.codes.PAYMENT_REQUIRED}:
        raise BankError(response.status_code)
    return response


def _log_breaker(circuit: str, event_name: str, event: object) -> None:
    if event_name == "state_changed":
        log.warning("breaker %s is now %s", circuit, getattr(event, "state", "unknown"))
