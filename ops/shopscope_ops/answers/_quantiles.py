"""Quantiles that say how sure they are: of exact values by order statistics, of histograms by their buckets."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEVELS", "Quantile", "binomial_ranks", "is_below", "of_histogram", "of_values"]

LEVELS = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
"""The quantiles that every answer gives."""

CONFIDENCE = 0.95
"""Of the intervals of quantiles."""

CHANCE = 0.01
"""A shop that holds its objective is called failing in so many windows; with 5 % one bad event of ten would do it."""


@dataclass(frozen=True, slots=True)
class Quantile:
    """A quantile of a duration.

    Attributes:
        seconds: the value, None when it is unknown.
        lower_seconds: the value is no lower, None when nothing bounds it.
        upper_seconds: the value is no higher, None when nothing bounds it.
        reason: why the value or a bound is unknown, else "".
    """

    seconds: float | None
    lower_seconds: float | None
    upper_seconds: float | None
    reason: str = ""

    def to_dict(self) -> dict[str, float | str | None]:
        """The fields by name."""
        return {name: getattr(self, name) for name in self.__slots__}


def _too_few(level: float, count: int) -> Quantile | None:
    """Unknown, when fewer than one event is expected beyond the quantile."""
    needed = math.ceil(round(1 / (1 - level), 6))
    if count >= needed:
        return None
    return Quantile(None, None, None, f"needs at least {needed} events, {count} seen")


def of_values(ordered: NDArray[np.float64], level: float) -> Quantile:
    """Quantile of ascending values, with a 95 % confidence interval from order statistics: no model, no bootstrap."""
    count = len(ordered)
    if (unknown := _too_few(level, count)) is not None:
        return unknown
    low, high = binomial_ranks(count, level)
    return Quantile(
        seconds=float(ordered[math.ceil(level * count - 1e-9) - 1]),
        lower_seconds=float(ordered[low - 1]) if low else None,
        upper_seconds=float(ordered[high - 1]) if high <= count else None,
        reason="" if low and high <= count else "too few events to bound it on both sides",
    )


def _binomial(count: int, level: float) -> tuple[int, NDArray[np.float64]]:
    """First k and the probabilities of k, k+1, … successes; what is left out weighs less than 1e-20."""
    spread = 10 * math.sqrt(count * level * (1 - level)) + 10
    first = max(0, math.floor(count * level - spread))
    last = min(count, math.ceil(count * level + spread))
    log_first = math.lgamma(count + 1) - math.lgamma(first + 1) - math.lgamma(count - first + 1)
    log_first += first * math.log(level) + (count - first) * math.log1p(-level)
    successes = np.arange(first, last, dtype=np.float64)
    steps = np.log((count - successes) / (successes + 1) * (level / (1 - level)))
    return first, np.exp(log_first + np.concatenate(([0.0], np.cumsum(steps))))


def binomial_ranks(count: int, level: float) -> tuple[int, int]:
    """Ranks (from 1) of the ordered values between which the true quantile lies in at least 95 % of samples.

    Rank 0 stands for no lower bound, ``count + 1`` for no upper one.
    """
    first, probabilities = _binomial(count, level)
    cumulative = np.cumsum(probabilities)
    tail = (1 - CONFIDENCE) / 2
    low = first + int(np.searchsorted(cumulative, tail, side="right"))
    high = first + int(np.searchsorted(cumulative, 1 - tail)) + 1
    return low, min(high, count + 1)


def is_below(good: int, count: int, objective: float) -> bool:
    """Whether so few good events would be surprising (under 1 %) if the objective were held."""
    if good / count >= objective:
        return False
    first, probabilities = _binomial(count, objective)
    return float(probabilities[: max(0, good - first + 1)].sum()) < CHANCE


def of_histogram(bounds: Sequence[float], counts: Sequence[int], level: float) -> Quantile:
    """Quantile of a histogram, interpolated within its bucket as Prometheus' ``histogram_quantile`` does.

    Args:
        bounds: upper bounds of all buckets but the last, ascending, seconds.
        counts: events of each bucket; one more than bounds.
        level: between 0 and 1.

    Returns:
        The bucket's bounds are the interval: the histogram knows no more than that.
    """
    total = sum(counts)
    if (unknown := _too_few(level, total)) is not None:
        return unknown
    rank = level * total
    bucket = next(at for at, reached in enumerate(accumulate(counts)) if reached >= rank and counts[at])
    below = sum(counts[:bucket])
    if bucket == len(bounds):
        last = bounds[-1] if bounds else 0.0
        return Quantile(None, last, None, f"beyond the last bucket bound, {last:g} s")
    lower = bounds[bucket - 1] if bucket else 0.0
    upper = bounds[bucket]
    if lower < 0 or upper <= 0:
        return Quantile(upper, None, upper)
    return Quantile(lower + (upper - lower) * (rank - below) / counts[bucket], lower, upper)
