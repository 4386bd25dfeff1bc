"""Which requests stand for the median, and which for the slowest 1 %."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopscope_ops.answers._forest import Forest, Ints

__all__ = ["LEAST", "Chosen", "Cohort", "choose_cohorts"]

_ENOUGH_FOR_ONE_PERCENT = 100

LEAST = 5
"""Requests that a cohort has at least, where the journey has enough."""

_EVIDENCE = 5


@dataclass(frozen=True, slots=True)
class Cohort:
    """Some requests of a journey, chosen by duration.

    Attributes:
        name: how people call it: "slowest 1 %", "slowest 5 of 80", "median".
        requests: number of requests.
        mean_seconds: their mean duration.
        lowest_seconds: the shortest duration.
        highest_seconds: the longest duration.
        trace_ids: some of them, the slowest first.
        reason: why the cohort stands for less than its name promises, else "".
    """

    name: str
    requests: int
    mean_seconds: float
    lowest_seconds: float
    highest_seconds: float
    trace_ids: tuple[str, ...]
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The fields by name."""
        return {name: getattr(self, name) for name in self.__slots__} | {"trace_ids": list(self.trace_ids)}


@dataclass(frozen=True, slots=True)
class Chosen:
    """The two cohorts of a journey: ``rows`` are the entry spans of both, the masks say which is in which."""

    rows: Ints
    median: Cohort
    slowest: Cohort
    in_median: NDArray[np.bool_]
    in_slowest: NDArray[np.bool_]


def choose_cohorts(forest: Forest, rows: Ints) -> Chosen | None:
    """The requests between the 45th and 55th percentile, and the slowest 1 %; None without requests.

    Either cohort has at least five requests where there are ten times as many; its name and reason say what it is.
    """
    count = len(rows)
    if not count:
        return None
    ordered = rows[np.lexsort((rows, forest.duration[rows]))]
    spread = max(LEAST, -(-55 * count // 100) - 45 * count // 100)
    low = max(0, min(45 * count // 100, (count - spread) // 2))
    middle = slice(low, min(count, low + spread))
    slow_count = max(-(-count // 100), min(LEAST, max(1, count // 10)))
    is_one_percent = slow_count == -(-count // 100) and count >= _ENOUGH_FOR_ONE_PERCENT
    name = "slowest 1 %" if is_one_percent else f"slowest {slow_count} of {count}"
    few = "" if is_one_percent else f"only {count} requests: 1 % of them would be fewer than {slow_count}"
    in_median, in_slowest = np.zeros(count, dtype=np.bool_), np.zeros(count, dtype=np.bool_)
    in_median[middle] = True
    in_slowest[count - slow_count :] = True
    is_chosen = in_median | in_slowest
    return Chosen(
        rows=ordered[is_chosen],
        median=_cohort(forest, ordered[middle], "median", "" if count >= 2 * LEAST else f"only {count} requests"),
        slowest=_cohort(forest, ordered[count - slow_count :], name, few),
        in_median=in_median[is_chosen],
        in_slowest=in_slowest[is_chosen],
    )


def _cohort(forest: Forest, rows: Ints, name: str, reason: str) -> Cohort:
    seconds = forest.duration[rows] / 1e9
    shown = rows[::-1][:_EVIDENCE]
    return Cohort(
        name=name,
        requests=len(rows),
        mean_seconds=float(seconds.mean()),
        lowest_seconds=float(seconds[0]),
        highest_seconds=float(seconds[-1]),
        trace_ids=tuple(forest.trace_ids(shown)),
        reason=reason,
    )
