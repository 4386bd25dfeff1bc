"""Arithmetic of `make bench-stack`: rounds are compared in pairs, and a span that is missing is never made up for."""

import importlib
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))
figures_module = importlib.import_module("bench.stack.figures")
sys.path.pop(0)

AGENT, TWICE, PLAIN = figures_module.AGENT, figures_module.AGENT_TWICE, figures_module.PLAIN


def verdicts(figures):
    return {budget.name.partition(" ")[0]: budget for budget in figures_module.budgets(figures)}


def counted(*runs):
    figures = figures_module.Figures()
    figures.counted += [figures_module.Counted(*run) for run in runs]
    return figures


def test_ratio_is_taken_round_by_round():
    """A round in which the machine is slow weighs on both collectors, and so not on their ratio."""
    figures = figures_module.Figures()
    for who, values in ((AGENT, (40_000.0, 10_000.0)), (PLAIN, (80_000.0, 20_000.0))):
        for value in values:
            figures.add(who, "held", value)

    assert [0.5, 0.5] == figures.ratio(AGENT, "held")


def test_ratio_to_nothing_is_none():
    """A plain collector that held nothing is no measure."""
    figures = figures_module.Figures()
    figures.add(AGENT, "held", 40_000.0)
    figures.add(PLAIN, "held", 0.0)

    assert [] == figures.ratio(AGENT, "held")


@pytest.mark.parametrize(("spans", "seconds", "expected"), [(30_000, 1.5, 20_000.0), (512, 0.0, 0.0), (0, -3.0, 0.0)])
def test_rate(spans, seconds, expected):
    """Spans a second; what came in one moment, or never, has no rate."""
    assert expected == figures_module.rate(spans, seconds)


def test_cost_of_a_thousand_spans_is_in_milliseconds():
    """2 s of CPU for 200,000 spans; nothing delivered costs without end, and so is never the better one."""
    assert (10.0, float("inf")) == (
        figures_module.milliseconds_per_thousand(2.0, 200_000),
        figures_module.milliseconds_per_thousand(2.0, 0),
    )


def test_a_span_that_came_twice_makes_up_for_none_that_is_missing():
    """Missing and double ones are counted apart, over all runs of a collector."""
    figures = counted((AGENT, 1000, 990), (AGENT, 1000, 1005), (PLAIN, 1000, 500))

    assert (10, 5, 500) == (figures.undelivered(AGENT), figures.twice(AGENT), figures.undelivered(PLAIN))


@pytest.mark.parametrize(
    ("runs", "missing"),
    [([], None), ([(PLAIN, 9, 0)], None), ([(AGENT, 9, 9)], 0.0), ([(AGENT, 9, 9), (TWICE, 9, 7), (PLAIN, 9, 0)], 2.0)],
)
def test_only_what_ours_lost_is_a_verdict(runs, missing):
    """The plain collector may lose what it likes; ours, with one copy or two, nothing; unmeasured is no pass."""
    budget = verdicts(counted(*runs))["spans"]

    assert (None if not budget.values else budget.values[0], budget.is_met) == (missing, missing == 0.0)


def test_budgets_are_those_of_the_design():
    """First data after 15 s and 1 GiB idle, by the median of the rounds."""
    figures = figures_module.Figures()
    for seconds, mebibytes in ((11.0, 400.0), (14.9, 1000.0), (40.0, 1025.0)):
        figures.add(figures_module.STACK, "first", seconds)
        figures.add(figures_module.TOTAL, "idle MiB", mebibytes)
    first, idle = verdicts(figures)["first"], verdicts(figures)["idle"]

    assert (True, 15.0, True, 1024.0) == (first.is_met, first.limit, idle.is_met, idle.limit)


def test_a_run_that_measured_nothing_meets_nothing():
    """No budget passes for want of figures."""
    assert {(False, ())} == {
        (budget.is_met, tuple(budget.values)) for budget in verdicts(figures_module.Figures()).values()
    }
