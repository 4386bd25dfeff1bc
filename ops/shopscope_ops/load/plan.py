"""The plan of a load: who comes when, what they look at, how long they think. A pure function of seed and rate."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """What a shopper does; each is one request."""

    HOME = "home"
    SEARCH = "search"
    PRODUCT = "product"
    ADD_TO_CART = "add to cart"
    VIEW_CART = "view cart"
    CHECKOUT = "checkout"


@dataclass(frozen=True, slots=True)
class Step:
    """One action of a visit.

    Attributes:
        action: what the shopper does.
        think_seconds: how long they look at the previous answer first.
        words: what they search for; empty for other actions.
        choice: which of the products before them they take, from 0 (the first) to 1 (excluded).
        quantity: how many pieces they put into the cart.
    """

    action: Action
    think_seconds: float
    words: str = ""
    choice: float = 0.0
    quantity: int = 1


@dataclass(frozen=True, slots=True)
class Visit:
    """One shopper's session: when it starts, in seconds from the start of the load, and its steps."""

    number: int
    start_seconds: float
    steps: tuple[Step, ...]


# What people type into the demo shop; one of them finds nothing.
_SEARCHES = (
    "backpack", "waterproof tent", "sleeping bag", "headlamp", "water bottle", "running shoes", "running socks",
    "windbreaker", "bike helmet", "front light", "saddle for long climbs", "chef's knife", "cast-iron pan", "teapot",
    "coffee grinder", "wireless headphones", "turntable", "radio", "desk lamp", "wool blanket", "cobalt rug",
    "wall clock", "watering can", "plant pot", "garden hose", "board game", "jigsaw puzzle", "wooden train",
    "face cream", "hand soap", "merino sweater", "rain jacket", "linen trousers", "beanie", "gift under ten",
)  # fmt: skip

# Shares of the shoppers of one stage who reach the next; far more buy than in life, because checkout is what we watch.
_SEARCHES_AT_ALL = 0.85
_SEARCHES_AGAIN = 0.35
_LOOKS_AT_PRODUCT = 0.85
_LOOKS_AT_ANOTHER = 0.35
_ADDS_TO_CART = 0.8
_VIEWS_CART = 0.5
_CHECKS_OUT = 0.85
_MOST_REPEATS = 3


def plan_visits(seed: int, rate: float, think_seconds: float = 0.5) -> Iterator[Visit]:
    """Visits without end: Poisson arrivals, each visit independent of every other.

    Args:
        seed: the same seed gives the same visits; the first visits do not depend on how many are taken.
        rate: visits per second, on average.
        think_seconds: mean time between an answer and the next action.
    """
    arrivals = random.Random(f"arrivals {seed}")  # noqa: S311 - a plan, not a secret
    start_seconds = 0.0
    number = 0
    while True:
        start_seconds += arrivals.expovariate(rate)
        choices = random.Random(f"visit {seed} {number}")  # noqa: S311 - same
        yield Visit(number, start_seconds, _steps(choices, think_seconds))
        number += 1


def _steps(draw: random.Random, think_seconds: float) -> tuple[Step, ...]:
    """One shopper's way through the shop, left early by most."""
    steps = [Step(Action.HOME, 0.0)]

    def think() -> float:
        return draw.expovariate(1.0 / think_seconds) if think_seconds > 0 else 0.0

    if draw.random() < _SEARCHES_AT_ALL:
        steps += [Step(Action.SEARCH, think(), words=draw.choice(_SEARCHES)) for _ in _repeats(draw, _SEARCHES_AGAIN)]
    if draw.random() >= _LOOKS_AT_PRODUCT:
        return tuple(steps)
    steps += [Step(Action.PRODUCT, think(), choice=draw.random()) for _ in _repeats(draw, _LOOKS_AT_ANOTHER)]
    if draw.random() >= _ADDS_TO_CART:
        return tuple(steps)
    steps.append(Step(Action.ADD_TO_CART, think(), quantity=draw.choice((1, 1, 1, 2))))
    if draw.random() < _VIEWS_CART:
        steps.append(Step(Action.VIEW_CART, think()))
    if draw.random() < _CHECKS_OUT:
        steps.append(Step(Action.CHECKOUT, think()))
    return tuple(steps)


def _repeats(draw: random.Random, again: float) -> range:
    count = 1
    while count < _MOST_REPEATS and draw.random() < again:
        count += 1
    return range(count)
