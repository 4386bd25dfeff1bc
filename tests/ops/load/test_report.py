"""What a load reports."""

import io
import json
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from shopscope_ops.load._render import render_report
from shopscope_ops.load.plan import Action
from shopscope_ops.load.report import Latencies, LoadReport, Outcome, outcome_of_status


@given(st.lists(st.floats(1e-5, 100.0), min_size=1), st.floats(0.01, 1.0))
def test_percentiles_are_within_one_percent_of_the_exact_ones(seconds, share):
    """Buckets of 1 % lose no more than that."""
    latencies = Latencies()
    for value in seconds:
        latencies.add(value)
    exact = sorted(seconds)[max(0, math.ceil(share * len(seconds)) - 1)]
    assert latencies.percentile(share) == pytest.approx(exact, rel=0.01)


def test_no_measurement_has_no_percentile():
    """Nothing measured is NaN for the program and null in JSON."""
    assert math.isnan(Latencies().percentile(0.5))
    assert Latencies().to_dict()["p99_seconds"] is None


def test_merged_latencies_are_those_of_all():
    """Merging two halves gives the same percentiles as counting all in one."""
    draw = random.Random(1)
    values = [draw.expovariate(10.0) for _ in range(1000)]
    whole, left, right = Latencies(), Latencies(), Latencies()
    for index, value in enumerate(values):
        whole.add(value)
        (left if index % 2 else right).add(value)
    left.merge(right)
    assert left.to_dict() == whole.to_dict()


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, Outcome.GOOD),
        (303, Outcome.GOOD),
        (402, Outcome.DECLINED),
        (409, Outcome.SOLD_OUT),
        (429, Outcome.LIMITED),
        (404, Outcome.ERROR),
        (503, Outcome.ERROR),
    ],
)
def test_business_as_usual_is_no_error(status, expected):
    """A declined card, a sold-out product and a rate limit are counted apart from errors."""
    assert outcome_of_status(status) is expected


def test_a_late_generator_says_that_its_figures_are_a_lower_bound():
    """More than 1 % of late sends is a failure of the generator, and the report says how many."""
    report = LoadReport()
    for lateness in [0.001] * 90 + [0.5] * 10:
        report.lateness.add(lateness)
    assert not report.kept_up
    assert "10.0 % of requests left more than 10 ms late" in report.verdict
    assert "lower bound" in report.verdict


def test_left_out_visits_are_a_failure_of_the_generator_too():
    """A load that leaves visits out is not the load that was asked for."""
    report = LoadReport(skipped_visits=3)
    assert not report.kept_up
    assert "3 visits were left out" in report.verdict


def test_a_generator_in_time_says_so():
    """Millisecond timers do not count as late."""
    report = LoadReport()
    for _ in range(100):
        report.lateness.add(0.001)
    assert report.kept_up


def test_the_printed_report_has_journeys_and_their_steps():
    """The cart journey shows the sum and both of its steps; errors are listed with their number."""
    report = LoadReport(seconds=10.0, visits=4)
    for action in Action:
        report.actions[action].latencies.add(0.2)
        report.actions[action].outcomes[Outcome.GOOD] += 1
    report.errors["checkout: HTTP 500"] += 2
    console = Console(width=140, file=io.StringIO())
    console.print(render_report(report))
    lines = [" ".join(line.split()) for line in console.file.getvalue().splitlines()]
    assert "cart 2 200.0 200.0 200.0 200.0 2 good" in lines
    assert "add to cart 1 200.0 200.0 200.0 200.0 1 good" in lines
    assert "2 times checkout: HTTP 500" in lines


def test_the_json_report_is_json_with_every_journey():
    """Journeys have the names that shopscope.toml gives them."""
    document = json.loads(json.dumps(LoadReport().to_dict()))
    assert sorted(document["journeys"]) == ["browse", "cart", "checkout", "product", "search"]
