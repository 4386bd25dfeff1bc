"""What a run has measured, and the arithmetic on it: everything is a list with one value a round."""

import statistics
from collections import defaultdict
from dataclasses import dataclass, field

from bench.verdicts import Budget

AGENT, AGENT_TWICE, PLAIN = "agent.yaml", "agent.yaml, two copies", "contrib defaults"
STACK, TOTAL = "stack", "all together"
OTHERS = "sender and sink"

FIRST_DATA_SECONDS, IDLE_MIB = 15.0, 1024.0


@dataclass(frozen=True, slots=True)
class Counted:
    """Spans that one measured collector took, and how many of them came out at the backend that got the fewest."""

    who: str
    acknowledged: int
    delivered: int


@dataclass(slots=True)
class Figures:
    """Values by who was measured and by quantity; every span that was sent; components that could not be measured."""

    values: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    counted: list[Counted] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    def add(self, who: str, what: str, value: float) -> None:
        """One round's value."""
        self.values[who, what].append(value)

    def of(self, who: str, what: str) -> list[float]:
        """One value a round; nothing where it was not measured."""
        return self.values.get((who, what), [])

    def middle(self, who: str, what: str) -> float | None:
        """Median of the rounds."""
        values = self.of(who, what)
        return statistics.median(values) if values else None

    def ratio(self, who: str, what: str, of: str = PLAIN) -> list[float]:
        """As a multiple of another's, round by round, because what disturbs a round disturbs both."""
        pairs = zip(self.of(who, what), self.of(of, what), strict=False)
        return [one / other for one, other in pairs if other]

    def undelivered(self, who: str) -> int:
        """Spans that were acknowledged and did not come out; one that came twice makes up for no other run's."""
        return sum(max(0, one.acknowledged - one.delivered) for one in self.counted if one.who == who)

    def twice(self, who: str) -> int:
        """Spans that came out more often than they were acknowledged."""
        return sum(max(0, one.delivered - one.acknowledged) for one in self.counted if one.who == who)


def rate(spans: int, seconds: float) -> float:
    """Spans/s; of one moment there is none."""
    return spans / seconds if seconds > 0 else 0.0


def milliseconds_per_thousand(cpu_seconds: float, spans: int) -> float:
    """CPU of 1,000 spans."""
    return cpu_seconds * 1e6 / spans if spans else float("inf")


def budgets(figures: Figures) -> list[Budget]:
    """Every limit of the design that is about the stack; without values where this run has not measured it."""
    ours = (AGENT, AGENT_TWICE)
    missing = [float(sum(map(figures.undelivered, ours)))] if any(one.who in ours for one in figures.counted) else []
    return [
        Budget("first data in Prometheus and answers after start", figures.of(STACK, "first"), FIRST_DATA_SECONDS, "s"),
        Budget("idle memory of all components that run here", figures.of(TOTAL, "idle MiB"), IDLE_MIB, "MiB"),
        Budget("spans that agent.yaml took and did not deliver", missing, 0.0, "of all"),
    ]
