"""Quantiles that say how sure they are."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopscope_ops.answers import Quantile
from shopscope_ops.answers._quantiles import binomial_ranks, is_below, of_histogram, of_values


def cumulative(count: int, level: float, successes: int) -> float:
    return sum(math.comb(count, k) * level**k * (1 - level) ** (count - k) for k in range(successes + 1))


@given(st.integers(2, 400), st.sampled_from([0.5, 0.95, 0.99]))
def test_ranks_are_the_sharpest_that_hold_95_percent(count: int, level: float):
    """Between the ranks lies 95 %, and one rank further in on either side it would not (exact binomial)."""
    low, high = binomial_ranks(count, level)
    assert (low == 0 or cumulative(count, level, low - 1) <= 0.025 + 1e-9) is True
    assert cumulative(count, level, low) > 0.025 - 1e-9
    assert (high == count + 1 or cumulative(count, level, high - 1) >= 0.975 - 1e-9) is True
    assert cumulative(count, level, high - 2) < 0.975 + 1e-9


def test_value_is_the_nearest_rank():
    """p95 of 1 to 100 is 95, with a neighbourhood that its 95 % interval spans."""
    quantile = of_values(np.arange(1.0, 101.0), 0.95)
    assert quantile == Quantile(95.0, 90.0, 100.0)


@pytest.mark.parametrize(("level", "count", "needed"), [(0.5, 1, 2), (0.95, 19, 20), (0.99, 99, 100)])
def test_too_few_events_are_unknown(level, count, needed):
    """A quantile beyond which not even one event is expected is unknown, and says how many it needs."""
    unknown = Quantile(None, None, None, f"needs at least {needed} events, {count} seen")
    assert of_values(np.ones(count), level) == unknown
    assert of_histogram([1.0], [count, 0], level) == unknown


def test_open_end_is_said():
    """With 100 events the 99th percentile has no upper bound."""
    quantile = of_values(np.arange(1.0, 101.0), 0.99)
    assert quantile == Quantile(99.0, 97.0, None, "too few events to bound it on both sides")


@pytest.mark.parametrize(
    ("counts", "level", "expected"),
    [
        # histogram_quantile of Prometheus gives the same values for these buckets.
        ([50, 50, 0, 0], 0.5, Quantile(0.1, 0.0, 0.1)),
        ([50, 50, 0, 0], 0.95, Quantile(0.1 + 0.4 * 45 / 50, 0.1, 0.5)),
        ([0, 0, 100, 0], 0.99, Quantile(0.5 + 0.5 * 99 / 100, 0.5, 1.0)),
        ([99, 0, 1, 0], 0.99, Quantile(0.1, 0.0, 0.1)),
        ([10, 0, 0, 190], 0.95, Quantile(None, 1.0, None, "beyond the last bucket bound, 1 s")),
    ],
)
def test_histogram_is_interpolated_within_its_bucket(counts, level, expected):
    """The value is Prometheus', the interval is the bucket."""
    actual = of_histogram((0.1, 0.5, 1.0), counts, level)
    assert (actual.seconds, actual.lower_seconds, actual.upper_seconds, actual.reason) == (
        expected.seconds if expected.seconds is None else pytest.approx(expected.seconds),
        expected.lower_seconds,
        expected.upper_seconds,
        expected.reason,
    )


@pytest.mark.parametrize(
    ("good", "count", "expected"),
    [(100, 100, False), (994, 1000, False), (980, 1000, True), (9, 10, False), (0, 3, True)],
)
def test_objective_is_missed_only_beyond_chance(good, count, expected):
    """One bad event of ten says nothing about 99.5 %; twenty of a thousand do."""
    assert is_below(good, count, 0.995) is expected


@given(st.integers(1, 300), st.data())
def test_missing_the_objective_is_the_exact_binomial_test(count: int, data: st.DataObject):
    """Significant means: under 1 % of shops that hold the objective would look like this."""
    good = data.draw(st.integers(0, count))
    chance = cumulative(count, 0.99, good)
    assert is_below(good, count, 0.99) is (good / count < 0.99 and chance < 0.01)
