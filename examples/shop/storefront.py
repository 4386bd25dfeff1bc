"""storefront: what the customer talks to. Keeps carts and cached pages in Redis, and asks the other services."""

import json
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from redis.asyncio import Redis
from redis.exceptions import RedisError

import shopscope
from shop.cache import Page, PageCache
from shop.carts import Cart, Carts
from shop.clients import ask, open_client
from shop.faults import StorefrontFaults
from shop.models import SKU_PATTERN, CardToken, CartId, Line
from shop.service import create_app
from shop.settings import load_settings

log = logging.getLogger(__name__)

SETTINGS = load_settings("SHOP_REDIS_URL")

# Above all that checkout may spend on inventory and payment.
_CHECKOUT_TIMEOUT_SECONDS = 16.0
_SKU = re.compile(SKU_PATTERN)


class CartItem(BaseModel):
    """What goes into a cart."""

    sku: Annotated[str, Field(max_length=32)]
    quantity: Annotated[int, Field(gt=0, le=20)]


class CheckoutRequest(BaseModel):
    """Who buys, and with which card."""

    cart_id: CartId
    card_token: CardToken


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One HTTP client, one Redis pool."""
    redis = Redis.from_url(SETTINGS.redis_url, socket_timeout=1.0, socket_connect_timeout=1.0)
    async with open_client() as client, redis:
        app.state.client = client
        app.state.carts = Carts(redis, SETTINGS.cart_seconds)
        app.state.pages = PageCache(
            redis,
            app.state.faults,
            fresh_seconds=SETTINGS.page_fresh_seconds,
            stale_seconds=SETTINGS.page_stale_seconds,
        )
        yield


app = create_app("storefront", lifespan, StorefrontFaults)
shopscope.init("storefront", app=app)


@app.exception_handler(RedisError)
async def carts_unavailable(_: Request, error: RedisError) -> JSONResponse:
    """Pages can be had without Redis, carts cannot."""
    log.warning("carts unavailable: %s", type(error).__name__)
    return JSONResponse({"detail": "carts are unavailable"}, status_code=503, headers={"Retry-After": "1"})


@app.get("/")
async def browse(request: Request) -> Response:
    """The front page: featured products."""
    client = _client(request.app)

    async def load() -> bytes:
        return (await ask(client, "search", "GET", f"{SETTINGS.search_url}/featured")).content

    return _answer(await request.app.state.pages.fetch("featured", "shop:page:featured", load))


@app.get("/search")
async def search(
    request: Request, q: Annotated[str, Query(min_length=1, max_length=100, pattern=r"^[^\x00]*$")]
) -> Response:
    """Products that match ``q``."""
    shopper = request.headers.get("X-Shopper-Id") or (request.client.host if request.client else "")
    answer = await ask(
        _client(request.app),
        "search",
        "GET",
        f"{SETTINGS.search_url}/search",
        params={"q": q},
        headers={"X-Shopper-Id": shopper},
    )
    return Response(answer.content, media_type="application/json")


@app.get("/products/{sku}")
async def product(sku: str, request: Request) -> Response:
    """A product page; its stock may be as old as the page is fresh."""
    return _answer(await _product_page(request.app, sku))


@app.post("/carts/{cart_id}/items", status_code=201)
async def add_to_cart(cart_id: CartId, item: CartItem, request: Request) -> Cart:
    """Put a product into a cart: 404 if it is unknown, 409 if it is sold out."""
    details = json.loads((await _product_page(request.app, item.sku)).body)
    if details["available"] < item.quantity:
        raise HTTPException(409, f"sold out: {item.sku}")
    carts: Carts = request.app.state.carts
    return await carts.add(cart_id, item.sku, item.quantity, details["name"], details["price_cents"])


@app.get("/carts/{cart_id}")
async def read_cart(cart_id: CartId, request: Request) -> Cart:
    """What is in a cart; an unknown cart is an empty one."""
    carts: Carts = request.app.state.carts
    return await carts.read(cart_id)


@app.post("/checkout", status_code=201)
async def checkout(body: CheckoutRequest, request: Request) -> Response:
    """Buy a cart: 402 if the card is declined, 409 if the cart is empty or something is sold out."""
    carts: Carts = request.app.state.carts
    claim = await carts.claim(body.cart_id)
    if claim is None:
        raise HTTPException(409, "the cart is empty, or being paid already")
    try:
        order = {
            "order_id": claim.order_id,
            "cart_id": body.cart_id,
            "lines": [Line(sku=line.sku, quantity=line.quantity).model_dump() for line in claim.lines],
            "card_token": body.card_token.get_secret_value(),
        }
        url = f"{SETTINGS.checkout_url}/orders"
        answer = await ask(_client(request.app), "checkout", "POST", url, json=order, timeout=_CHECKOUT_TIMEOUT_SECONDS)
    except Exception:
        await carts.give_back(claim)
        raise
    await carts.forget(claim)
    return Response(answer.content, status_code=201, media_type="application/json")


async def _product_page(app: FastAPI, sku: str) -> Page:
    if not _SKU.fullmatch(sku):  # nothing else can exist, and nothing else becomes part of a URL
        raise HTTPException(404, "unknown product")
    client = _client(app)
    pages: PageCache = app.state.pages

    async def load() -> bytes:
        return (await ask(client, "inventory", "GET", f"{SETTINGS.inventory_url}/products/{sku}")).content

    return await pages.fetch("product", f"shop:page:product:{sku}", load)


def _answer(page: Page) -> Response:
    return Response(page.body, media_type="application/json", headers=page.headers)


def _client(app: FastAPI) -> httpx.AsyncClient:
    client: httpx.AsyncClient = app.state.client
    return client
