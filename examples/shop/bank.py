"""The bank: an outside party behind payment. It knows nothing of the shop, and nothing of how the shop is watched."""

import asyncio
import hashlib
import math
import random
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import FastAPI, Header, HTTPException, Request
from pydantic import BaseModel, Field, SecretStr

from shop.faults import Faults
from shop.service import create_app
from shop.settings import load_settings

SETTINGS = load_settings()
_LATENCY_SPREAD = 0.35
_REMEMBERED_AUTHORISATIONS = 100_000


class AuthorisationRequest(BaseModel):
    """A charge to be authorised."""

    amount_cents: int = Field(gt=0, le=10_000_000)
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    card_token: SecretStr = Field(min_length=1, max_length=64)


class Authorisation(BaseModel):
    """The bank's yes."""

    reference: str


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Latencies come from one seeded generator: two runs see the same sequence."""
    app.state.random = random.Random(8606)  # noqa: S311  # reproducible latency, no secret
    app.state.authorised = OrderedDict()
    yield


app = create_app("bank", lifespan, Faults)


@app.post("/authorisations", status_code=201)
async def authorise(
    body: AuthorisationRequest,
    request: Request,
    idempotency_key: Annotated[str, Header(min_length=1, max_length=64)],
) -> Authorisation:
    """Approve or decline; the same idempotency key is approved once and gets the same reference again."""
    state = request.app.state
    await asyncio.sleep(SETTINGS.bank_latency_seconds * math.exp(state.random.gauss(0.0, _LATENCY_SPREAD)))
    authorised: OrderedDict[str, str] = state.authorised
    if reference := authorised.get(idempotency_key):
        return Authorisation(reference=reference)
    if _is_declined(body):
        raise HTTPException(402, "card declined")
    reference = "AUTH-" + hashlib.sha256(idempotency_key.encode()).hexdigest()[:12].upper()
    authorised[idempotency_key] = reference
    if len(authorised) > _REMEMBERED_AUTHORISATIONS:
        authorised.popitem(last=False)
    return Authorisation(reference=reference)


def _is_declined(body: AuthorisationRequest) -> bool:
    """``tok_declined`` always, ``tok_approved`` never, else a fixed share that card and amount decide."""
    token = body.card_token.get_secret_value()
    if token in {"tok_declined", "tok_approved"}:
        return token == "tok_declined"  # noqa: S105  # the name of a test card, no secret
    digest = hashlib.sha256(f"{token}:{body.amount_cents}".encode()).digest()
    return int.from_bytes(digest[:4], "big") < SETTINGS.bank_decline_share * 2**32
