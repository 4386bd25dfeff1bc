"""What a run says about a limit of the design: one value a round, judged by the median."""

import statistics
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Range:
    """Median of the rounds, and how far they are apart."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> "Range":
        """Of one value a round."""
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit of the design and what this run says about it."""

    name: str
    values: list[float]
    limit: float
    unit: str

    @property
    def is_judged(self) -> bool:
        """A share of nothing, or less, is what disturbs the machine and not what an agent costs."""
        return bool(self.values) and (self.unit != "share" or statistics.median(self.values) > 0)

    @property
    def is_met(self) -> bool:
        """By the median of the rounds."""
        return self.is_judged and statistics.median(self.values) <= self.limit


def fraction(value: float) -> str:
    """A share as people say it: 1/16.2 of something, or 1.3 times something."""
    if value <= 0:
        return "noise"
    return f"1/{1 / value:.1f}" if value < 1 else f"{value:.2f}"


def verdict(budget: Budget) -> str:
    """The line of a report."""
    if not budget.values:
        return f"  {'not judged':11}{budget.name}: not measured"
    if not budget.is_judged:
        return f"  {'not judged':11}{budget.name}: the bare service cost more; the machine is too busy"
    seen = Range.of(budget.values)
    form = fraction if budget.unit == "share" else lambda value: f"{value:.2f}"
    unit = {"share": "", "times": " x", "of all": ""}.get(budget.unit, f" {budget.unit}")
    word = "met" if budget.is_met else "MISSED"
    figure, spread = f"{form(seen.middle)}{unit}", f"({form(seen.low)} to {form(seen.high)})"
    limit = form(budget.limit) if budget.limit else "0"
    return f"  {word:11}{budget.name:50}{figure:>10}  {spread:20}  limit {limit}{unit}"
