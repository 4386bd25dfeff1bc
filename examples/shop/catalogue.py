"""The catalogue: 5,000 products, the same ones every time."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from shop.words import CATEGORIES, COLOURS, PRAISE, Category

PRODUCTS = 5_000
_HOT_EVERY = 625
_HOT_STOCK = 1_000_000
_LEAST_STOCK, _MOST_STOCK = 20_000, 60_000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CatalogueProduct:
    """One product as it is seeded; a hot one is on the front page and has many buyers at once."""

    sku: str
    name: str
    brand: str
    category: str
    description: str
    price_cents: int
    is_hot: bool
    stock: int


def catalogue() -> Iterator[CatalogueProduct]:
    """Every product, in the order of its number."""
    # Only ``random()`` is used: Python promises the same sequence from it in every version.
    rng = random.Random(5_000)  # noqa: S311  # a fixed catalogue, no secret
    for number in range(PRODUCTS):
        yield _product(number, CATEGORIES[number % len(CATEGORIES)], rng)


def _product(number: int, category: Category, rng: random.Random) -> CatalogueProduct:
    quality, noun, colour = _pick(category.qualities, rng), _pick(category.nouns, rng), _pick(COLOURS, rng)
    brand, purpose, praise = _pick(category.brands, rng), _pick(category.purposes, rng), _pick(PRAISE, rng)
    is_hot = number % _HOT_EVERY == number // _HOT_EVERY  # spread over the categories
    spread = category.dearest_cents / category.cheapest_cents
    euros = int(category.cheapest_cents * spread ** rng.random()) // 100
    return CatalogueProduct(
        sku=f"{category.code}-{number:05d}",
        name=f"{brand} {quality} {noun} in {colour}",
        brand=brand,
        category=category.name,
        description=f"{quality} {noun.lower()} {purpose}, in {colour.lower()}. {praise}",
        price_cents=euros * 100 + _pick((0, 50, 90, 95), rng),
        is_hot=is_hot,
        stock=_HOT_STOCK if is_hot else _LEAST_STOCK + int((_MOST_STOCK - _LEAST_STOCK) * rng.random()),
    )


def _pick(choices: Sequence[T], rng: random.Random) -> T:
    return choices[int(rng.random() * len(choices))]
