"""What a load measured: latencies and outcomes of every action, and whether the generator itself kept up."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from shopscope_ops.load.plan import Action

LATE_SECONDS = 0.010
"""A request that leaves later than this after its intended start counts as late."""

_TOLERATED_LATE_SHARE = 0.01
_GROWTH = 1.01
_LOG_GROWTH = math.log(_GROWTH)
_SMALLEST_SECONDS = 1e-6


class Outcome(StrEnum):
    """How a request ended. A declined card, a sold-out product and a rate limit are business as usual, not errors."""

    GOOD = "good"
    DECLINED = "declined"
    SOLD_OUT = "sold_out"
    LIMITED = "limited"
    ERROR = "error"


_EXPECTED_STATUSES = {402: Outcome.DECLINED, 409: Outcome.SOLD_OUT, 429: Outcome.LIMITED}
_FIRST_BAD_STATUS = 400

JOURNEYS: Mapping[Action, str] = {
    Action.HOME: "browse",
    Action.SEARCH: "search",
    Action.PRODUCT: "product",
    Action.ADD_TO_CART: "cart",
    Action.VIEW_CART: "cart",
    Action.CHECKOUT: "checkout",
}
"""The journey of ``shopscope.toml`` that an action belongs to."""


def outcome_of_status(status: int) -> Outcome:
    """The outcome that an HTTP status stands for."""
    if status < _FIRST_BAD_STATUS:
        return Outcome.GOOD
    return _EXPECTED_STATUSES.get(status, Outcome.ERROR)


class Latencies:
    """Durations in buckets 1 % wide: percentiles within 0.5 %, in bounded memory however long the load runs."""

    __slots__ = ("_buckets", "count", "max_seconds")

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self.count = 0
        self.max_seconds = 0.0

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self._buckets[math.floor(math.log(max(seconds, _SMALLEST_SECONDS)) / _LOG_GROWTH)] += 1
        self.count += 1
        self.max_seconds = max(self.max_seconds, seconds)

    def merge(self, other: "Latencies") -> None:
        """Count all durations of ``other`` too."""
        self._buckets.update(other._buckets)  # noqa: SLF001 - one of its own kind
        self.count += other.count
        self.max_seconds = max(self.max_seconds, other.max_seconds)

    def percentile(self, share: float) -> float:
        """The duration in seconds that ``share`` of all do not exceed; NaN when there is none."""
        if not self.count:
            return math.nan
        remaining = max(1, math.ceil(share * self.count))
        for bucket in sorted(self._buckets):
            remaining -= self._buckets[bucket]
            if remaining <= 0:
                return min(math.exp((bucket + 0.5) * _LOG_GROWTH), self.max_seconds)
        return self.max_seconds

    def share_above(self, seconds: float) -> float:
        """The share of durations above ``seconds`` (to the bucket's width); 0 when there is none."""
        limit = math.log(seconds) / _LOG_GROWTH
        above = sum(count for bucket, count in self._buckets.items() if bucket >= limit)
        return above / self.count if self.count else 0.0

    def to_dict(self) -> dict[str, float | int | None]:
        """Count and percentiles in seconds; null where nothing was measured."""
        shares = {"p50_seconds": 0.5, "p90_seconds": 0.9, "p95_seconds": 0.95, "p99_seconds": 0.99}
        measured = self.count > 0
        percentiles = {name: round(self.percentile(share), 6) if measured else None for name, share in shares.items()}
        return {"count": self.count, **percentiles, "max_seconds": round(self.max_seconds, 6) if measured else None}


@dataclass(slots=True)
class ActionReport:
    """One action's latencies, counted from the intended start, and outcomes."""

    latencies: Latencies = field(default_factory=Latencies)
    outcomes: Counter[Outcome] = field(default_factory=Counter)

    def merge(self, other: "ActionReport") -> None:
        """Count everything of ``other`` too."""
        self.latencies.merge(other.latencies)
        self.outcomes.update(other.outcomes)

    def to_dict(self) -> dict[str, Any]:
        """Latencies and outcomes."""
        return {**self.latencies.to_dict(), "outcomes": {str(name): self.outcomes[name] for name in Outcome}}


@dataclass(slots=True)
class LoadReport:
    """What a load did.

    Attributes:
        seconds: how long visits were started.
        visits: how many were started.
        skipped_visits: how many were left out because too many were under way; the load was then not open any more.
        actions: latencies and outcomes of every action.
        visit_latencies: the time a shopper waited for the shop in one whole visit.
        lateness: how late requests left, against their intended start.
        errors: how often each kind of error came, for example ``HTTP 500`` or ``ConnectionRefusedError``.
    """

    seconds: float = 0.0
    visits: int = 0
    skipped_visits: int = 0
    actions: dict[Action, ActionReport] = field(default_factory=lambda: {action: ActionReport() for action in Action})
    visit_latencies: Latencies = field(default_factory=Latencies)
    lateness: Latencies = field(default_factory=Latencies)
    errors: Counter[str] = field(default_factory=Counter)

    @property
    def requests(self) -> int:
        """How many requests were answered or failed."""
        return sum(report.latencies.count for report in self.actions.values())

    @property
    def late_share(self) -> float:
        """The share of requests that left more than ``LATE_SECONDS`` after their intended start."""
        return self.lateness.share_above(LATE_SECONDS)

    @property
    def kept_up(self) -> bool:
        """Whether the generator offered the load that it was asked for."""
        return self.late_share <= _TOLERATED_LATE_SHARE and not self.skipped_visits

    @property
    def verdict(self) -> str:
        """One sentence: did the generator keep up, and what that means for the figures."""
        late = f"{self.late_share * 100:.1f} % of requests left more than {LATE_SECONDS * 1000:.0f} ms late"
        skipped = f", {self.skipped_visits} visits were left out" if self.skipped_visits else ""
        if self.kept_up:
            return f"The generator kept up: {late}."
        return f"THE GENERATOR COULD NOT KEEP UP: {late}{skipped}. The figures are a lower bound of what shoppers see."

    def journeys(self) -> dict[str, ActionReport]:
        """Latencies and outcomes by journey."""
        journeys: dict[str, ActionReport] = {}
        for action, report in self.actions.items():
            journeys.setdefault(JOURNEYS[action], ActionReport()).merge(report)
        return journeys

    def to_dict(self) -> dict[str, Any]:
        """The whole report as JSON; times in seconds."""
        return {
            "seconds": round(self.seconds, 3),
            "visits": self.visits,
            "skipped_visits": self.skipped_visits,
            "requests": self.requests,
            "kept_up": self.kept_up,
            "late_share": round(self.late_share, 6),
            "late_threshold_seconds": LATE_SECONDS,
            "lateness": self.lateness.to_dict(),
            "journeys": {name: report.to_dict() for name, report in self.journeys().items()},
            "steps": {str(action): report.to_dict() for action, report in self.actions.items()},
            "visit": self.visit_latencies.to_dict(),
            "errors": dict(self.errors),
        }
