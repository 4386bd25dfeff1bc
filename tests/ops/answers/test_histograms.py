"""Cumulative metric points to what happened in a window."""

import pyarrow as pa
import pytest

from shopscope_ops.answers._histograms import Coverage, journey_histograms, slo_events
from shopscope_ops.store.schema import METRIC_POINTS

BEGIN = 1_790_000_000_000_000_000
SECOND = 10**9


def table(*points):
    return pa.Table.from_pylist(list(points), schema=METRIC_POINTS)


def counts(points, since_seconds=0):
    found = journey_histograms(points, BEGIN + since_seconds * SECOND)
    return {name: histogram.counts.tolist() for name, histogram in found.items()}


def test_series_that_began_in_the_window_counts_from_zero(histogram_point):
    """All that a new service counted happened in the window."""
    points = table(histogram_point(5, [1, 2, 3, 4]), histogram_point(10, [2, 3, 4, 5]))
    assert counts(points) == {"checkout": [2, 3, 4, 5]}


def test_last_point_before_the_window_is_subtracted(histogram_point):
    """What was counted before the window is not now."""
    points = table(*(histogram_point(at, [at, 0, 0, 0]) for at in (5, 10, 15, 20)))
    found = journey_histograms(points, BEGIN + 12 * SECOND)["checkout"]
    assert found.counts.tolist() == [10, 0, 0, 0]
    assert found.coverage == [Coverage("storefront", "1", BEGIN + 10 * SECOND, BEGIN + 20 * SECOND)]


def test_old_series_without_a_point_before_the_window_is_measured_from_its_first(histogram_point):
    """Nobody knows when its first count was reached."""
    points = table(histogram_point(15, [100, 0, 0, 0]), histogram_point(20, [107, 0, 0, 0]))
    assert counts(points, since_seconds=12) == {"checkout": [7, 0, 0, 0]}


@pytest.mark.parametrize("start_seconds", [0, 11])
def test_restart_adds_what_the_new_life_counted(histogram_point, start_seconds):
    """A counter that fell, or has a new start, began again at zero: nothing is lost, nothing is negative."""
    restarted = histogram_point(15, [3, 0, 0, 0], start_unix_nano=BEGIN + start_seconds * SECOND)
    points = table(histogram_point(5, [10, 0, 0, 0]), histogram_point(10, [12, 0, 0, 0]), restarted)
    assert counts(points) == {"checkout": [15, 0, 0, 0]}


def test_restart_is_seen_by_its_start_alone(histogram_point):
    """A counter that grew past its old value before the first push after a restart is still a new one."""
    restarted = histogram_point(15, [20, 0, 0, 0], start_unix_nano=BEGIN + 11 * SECOND)
    assert counts(table(histogram_point(10, [12, 0, 0, 0]), restarted)) == {"checkout": [32, 0, 0, 0]}


def test_instances_and_journeys_are_told_apart_and_added_up(histogram_point):
    """Two instances are one journey, two journeys are two."""
    points = table(
        histogram_point(5, [1, 0, 0, 0], instance="1"),
        histogram_point(5, [2, 0, 0, 0], instance="2"),
        histogram_point(5, [7, 0, 0, 0], attributes={"journey": "search"}),
    )
    assert counts(points) == {"checkout": [3, 0, 0, 0], "search": [7, 0, 0, 0]}


def test_different_buckets_meet_at_their_shared_bounds(histogram_point):
    """During a roll-out old and new buckets are added where both know the count exactly."""
    points = table(
        histogram_point(5, [1, 2, 3, 4], instance="1"),
        histogram_point(5, [5, 6, 7], bounds=(0.2, 1.0), instance="2"),
    )
    found = journey_histograms(points, BEGIN)["checkout"]
    assert (found.bounds, found.counts.tolist()) == ((1.0,), [17, 11])


def test_delta_points_are_added_up(histogram_point):
    """Deltas are increases already; those before the window are not part of it."""
    points = table(*(histogram_point(at, [1, 0, 0, 0], temporality="delta") for at in (5, 10, 15)))
    assert counts(points, since_seconds=7) == {"checkout": [2, 0, 0, 0]}


def test_outcomes_are_counted(slo_point):
    """Good, slow and failed events of the window, by journey."""
    points = table(*(slo_point(at, outcome, at) for at in (5, 10) for outcome in ("good", "slow", "error")))
    found = slo_events(points, BEGIN + 7 * SECOND)
    assert found["checkout"].outcomes == {"good": 5, "slow": 5, "error": 5}
