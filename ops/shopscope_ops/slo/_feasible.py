"""Objectives that no alert can watch are refused, with the arithmetic."""

from shopscope.config import FILE_NAME, Journey, Shop
from shopscope_ops.slo._windows import BURNS, budget

_SHORTEST_DAYS, _LONGEST_DAYS = 7, 35
#: Less is spent by the first bad event of any hour.
_SMALLEST_BUDGET = 1e-6


def faults(shop: Shop, origin: str = FILE_NAME) -> list[str]:
    """What is wrong with the objectives: field, rule, value, fix; empty if they can all be watched.

    Args:
        shop: a shop that has been parsed.
        origin: what the file is called.
    """
    return [f"{origin}: {fault}" for journey in shop.journeys.values() for fault in _faults(journey)]


def _faults(journey: Journey) -> list[str]:
    where, found = f"journeys.{journey.name}", []
    share = float(budget(journey) or 0)
    steepest = max(BURNS, key=lambda burn: burn.factor)
    if steepest.factor * share >= 1:
        found.append(
            f"{where}.objective must be above {_least_objective(steepest.factor):g}: {journey.objective:g}; "
            f"its alert fires at {steepest.factor:g} times the budget, "
            f"{steepest.factor:g} x (1 - {journey.objective:g}) = {steepest.factor * share:.3g}, "
            "and no more than 1 of all events can be bad: raise the objective"
        )
    if share < _SMALLEST_BUDGET:
        found.append(
            f"{where}.objective must leave a budget of at least {_SMALLEST_BUDGET:g}: {journey.objective!r}; "
            f"1 - {journey.objective!r} = {1 - journey.objective:.3g}, less than one event "
            "of a million: lower the objective"
        )
    days = journey.window_seconds / 86400
    if not (_SHORTEST_DAYS <= days <= _LONGEST_DAYS and days == int(days)):
        found.append(
            f"{where}.window must be whole days, {_SHORTEST_DAYS}d to {_LONGEST_DAYS}d: '{days:g}d'; alerts look back "
            f"three days, and Prometheus keeps {_LONGEST_DAYS}: write for example '30d'"
        )
    return found


def _least_objective(factor: float) -> float:
    """The objective at which an alert would ask for every event to be bad; rounded up to four digits."""
    return -(-10_000 * (1 - 1 / factor) // 1) / 10_000
