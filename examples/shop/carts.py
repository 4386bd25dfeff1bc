"""Carts in Redis: one hash a cart, every change one round trip."""

import json
from uuid import uuid4

from pydantic import BaseModel
from redis.asyncio import Redis
from redis.exceptions import ResponseError

_ORDER_ID = b"order_id"
_QUANTITY = b"quantity:"
_SHOWN = "shown:"


class CartLine(BaseModel):
    """So many of one product, at the price that was shown when it was put into the cart."""

    sku: str
    quantity: int
    name: str
    unit_price_cents: int


class Cart(BaseModel):
    """A customer's cart."""

    cart_id: str
    lines: list[CartLine]
    subtotal_cents: int


class ClaimedCart(Cart):
    """A cart that is being paid."""

    order_id: str
    claimed_key: str


class Carts:
    """The carts of all customers.

    Args:
        redis: holds the carts.
        keep_seconds: a cart is forgotten when it was not changed for so long.
    """

    def __init__(self, redis: Redis, keep_seconds: int) -> None:
        self._redis = redis
        self._keep_seconds = keep_seconds

    async def add(self, cart_id: str, sku: str, quantity: int, name: str, unit_price_cents: int) -> Cart:
        """Put a product into a cart; the cart as it is now."""
        key = _key(cart_id)
        async with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.hincrby(key, f"{_QUANTITY.decode()}{sku}", quantity)
            pipeline.hset(key, f"{_SHOWN}{sku}", json.dumps([name, unit_price_cents]))
            pipeline.hset(key, _ORDER_ID, str(uuid4()))  # a changed cart is another order, an unchanged one is not
            pipeline.expire(key, self._keep_seconds)
            pipeline.hgetall(key)
            return _cart(cart_id, (await pipeline.execute())[-1])

    async def read(self, cart_id: str) -> Cart:
        """A cart as it is now, empty if it is unknown."""
        return _cart(cart_id, await self._redis.hgetall(_key(cart_id)))

    async def claim(self, cart_id: str) -> ClaimedCart | None:
        """Take a cart aside to pay it, so that two clicks do not buy twice; nothing if it is empty or taken."""
        claimed_key = f"shop:claimed-cart:{cart_id}:{uuid4()}"
        async with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.rename(_key(cart_id), claimed_key)
            pipeline.hgetall(claimed_key)
            renamed, fields = await pipeline.execute(raise_on_error=False)
        if isinstance(renamed, ResponseError):
            return None
        cart = _cart(cart_id, fields)
        return ClaimedCart(order_id=fields[_ORDER_ID].decode(), claimed_key=claimed_key, **cart.model_dump())

    async def give_back(self, cart: ClaimedCart) -> None:
        """The customer keeps an unpaid cart, unless a new one was begun meanwhile."""
        await self._redis.renamenx(cart.claimed_key, _key(cart.cart_id))

    async def forget(self, cart: ClaimedCart) -> None:
        """The cart is paid."""
        await self._redis.delete(cart.claimed_key)


def _key(cart_id: str) -> str:
    return f"shop:cart:{cart_id}"


def _cart(cart_id: str, fields: dict[bytes, bytes]) -> Cart:
    lines = []
    for field, quantity in fields.items():
        if field.startswith(_QUANTITY):
            sku = field.removeprefix(_QUANTITY).decode()
            name, unit_price_cents = json.loads(fields[f"{_SHOWN}{sku}".encode()])
            line = CartLine(sku=sku, quantity=int(quantity), name=name, unit_price_cents=unit_price_cents)
            lines.append(line)
    subtotal_cents = sum(line.quantity * line.unit_price_cents for line in lines)
    return Cart(cart_id=cart_id, lines=lines, subtotal_cents=subtotal_cents)
