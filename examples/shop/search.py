"""search: full-text search over the catalogue, rate-limited per shopper."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from pydantic import BaseModel
from slowapi import Limiter, _rate_limit_exceeded_handler
from slowapi.errors import RateLimitExceeded
from slowapi.util import get_remote_address
from sqlalchemy import Row, Select, bindparam, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncEngine

import shopscope
from shop.database import answer_database_failures, autocommit, open_engine
from shop.faults import DatabaseFaults
from shop.models import CURRENCY
from shop.service import create_app
from shop.settings import load_settings
from shop.tables import search_products as products

SETTINGS = load_settings("SHOP_DATABASE_URL")

_CARD = (products.c.sku, products.c.name, products.c.brand, products.c.category, products.c.price_cents)
_FEATURED = select(*_CARD).where(products.c.is_featured).order_by(products.c.sku)
_QUERY = (
    func.websearch_to_tsquery(literal_column("'english'"), bindparam("q"))
    .table_valued("words", name="query")
    .render_derived()
)
_SEARCH = (
    select(*_CARD, func.count().over().label("total"))
    .where(products.c.document.bool_op("@@")(_QUERY.c.words))
    .order_by(func.ts_rank(products.c.document, _QUERY.c.words).desc(), products.c.sku)
    .limit(bindparam("limit"))
)


class ProductCard(BaseModel):
    """A product as it appears in a list."""

    sku: str
    name: str
    brand: str
    category: str
    price_cents: int
    currency: str = CURRENCY


class SearchResult(BaseModel):
    """The best matches, and how many there are in all."""

    query: str
    total: int
    products: list[ProductCard]


class Featured(BaseModel):
    """The products that the front page shows."""

    products: list[ProductCard]


def shopper(request: Request) -> str:
    """Whom the rate limit counts: the shopper that storefront names, else the caller's address."""
    return request.headers.get("X-Shopper-Id", "")[:64] or get_remote_address(request)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One engine, for reads only."""
    async with open_engine(app, SETTINGS) as engine:
        app.state.database = autocommit(engine)
        yield


app = create_app("search", lifespan, DatabaseFaults)
answer_database_failures(app)
shopscope.init("search", app=app)

limiter = Limiter(key_func=shopper, headers_enabled=True)
app.state.limiter = limiter
app.add_exception_handler(RateLimitExceeded, _rate_limit_exceeded_handler)


@app.get("/search")
@limiter.limit(SETTINGS.search_rate_limit)
async def search(
    request: Request,
    response: Response,  # noqa: ARG001  # slowapi writes the rate limit's headers into it
    q: Annotated[str, Query(min_length=1, max_length=100, pattern=r"^[^\x00]*$")],
    limit: Annotated[int, Query(ge=1, le=50)] = 20,
) -> SearchResult:
    """Products whose name, category or description match, best first."""
    rows = await _read(request.app.state.database, _SEARCH, {"q": q, "limit": limit})
    return SearchResult(query=q, total=rows[0].total if rows else 0, products=[_card(row) for row in rows])


@app.get("/featured")
async def featured(request: Request) -> Featured:
    """The products of the front page."""
    rows = await _read(request.app.state.database, _FEATURED, {})
    return Featured(products=[_card(row) for row in rows])


async def _read(database: AsyncEngine, statement: Select[Any], values: dict[str, Any]) -> Sequence[Row[Any]]:
    async with database.connect() as connection:
        return (await connection.execute(statement, values)).all()


def _card(row: Row[Any]) -> ProductCard:
    return ProductCard.model_validate(row, from_attributes=True)
