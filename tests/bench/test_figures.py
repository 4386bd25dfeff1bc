"""Verdicts of `make bench-sdk`: rounds are compared in pairs, and nothing that is missing passes."""

import importlib
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))
figures_module = importlib.import_module("bench.sdk.figures")
sys.path.pop(0)

COMPLETE = {"spans": 20, "log_records": 10, "exemplars": 3, "sums": {"shopscope.slo.events": 10.0}}


def deliver(lines=10, **counts):
    figures = figures_module.Figures()
    figures.deliveries.append(figures_module.Delivery("shopscope", "plain", 10, lines, COMPLETE | counts))
    return figures


def test_share_is_taken_round_by_round():
    """A round in which the machine is slow weighs on all its agents, and so on no ratio."""
    figures = figures_module.Figures()
    figures.values["bare", "load"] += [100.0, 300.0]
    figures.values["shopscope", "load"] += [110.0, 330.0]
    figures.values["opentelemetry", "load"] += [200.0, 600.0]

    assert [0.1, 0.1] == figures.share("shopscope", "load")


@pytest.mark.parametrize(
    ("figures", "missing"),
    [
        (deliver(), 0),
        (deliver(spans=17), 3),
        (deliver(spans=24), 4),
        (deliver(lines=9), 1),
        (deliver(log_records=8), 2),
        (deliver(sums={}), 10),
        (deliver(exemplars=0), 1),
    ],
)
def test_whatever_of_ours_is_missing_or_double_is_counted(figures, missing):
    """Spans, lines, log records, SLO events and exemplars: the comparison is fair only with all of them."""
    assert missing == figures.missing()


def test_spans_of_a_start_do_not_hide_lost_ones():
    """What an agent sends beside its requests makes up for nothing in another process."""
    figures = deliver(spans=25)
    figures.deliveries.append(figures_module.Delivery("shopscope", "plain", 10, 10, COMPLETE | {"spans": 15}))
    figures.spans_per_request["shopscope", "plain"] = 2

    assert (40, 35) == figures.delivered("shopscope")


def test_what_is_not_measured_is_not_met():
    """A run without peers judges no budget."""
    budgets = figures_module.budgets(figures_module.Figures())

    assert {False} == {budget.is_met for budget in budgets}
    assert [[]] * len(budgets) == [budget.values for budget in budgets]


def test_a_budget_is_judged_by_the_median():
    """One disturbed round decides nothing."""
    figures = figures_module.Figures()
    figures.values["bare", "memory"] += [40.0, 40.0, 40.0]
    figures.values["shopscope", "memory"] += [46.0, 47.0, 60.0]
    (memory,) = (budget for budget in figures_module.budgets(figures) if budget.name == "memory added")

    assert (True, [6.0, 7.0, 20.0]) == (memory.is_met, memory.values)


def test_a_share_below_nothing_is_noise():
    """A bare service that costs more than the observed one says nothing about an agent."""
    figures = figures_module.Figures()
    for agent, value in (("bare", 100.0), ("shopscope", 90.0), ("opentelemetry", 200.0)):
        figures.values[agent, "plain load"].append(value)
    (load,) = (budget for budget in figures_module.budgets(figures) if budget.name.startswith("CPU added under load"))

    assert ([-0.1], False, False) == (load.values, load.is_judged, load.is_met)
