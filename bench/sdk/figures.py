"""What a run has measured, and the arithmetic on it: everything is a list with one value a round."""

import statistics
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bench.verdicts import Budget

PER_REQUEST = {"plain": 2, "calling": 6}  # spans of ours: server, price; and cache, HTTP, two statements


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one measured process was asked, and what of it arrived at the sink."""

    agent: str
    service: str
    requests: int
    lines: int
    counts: dict[str, Any]


@dataclass(slots=True)
class Figures:
    """Values by agent and quantity; deliveries of the measured processes; spans an agent makes of one request."""

    values: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    deliveries: list[Delivery] = field(default_factory=list)
    spans_per_request: dict[tuple[str, str], int] = field(default_factory=dict)

    def of(self, agent: str, what: str) -> list[float]:
        """One value a round; nothing where it was not measured."""
        return self.values.get((agent, what), [])

    def added(self, agent: str, what: str) -> list[float]:
        """Beyond the bare service, round by round, because what disturbs a round disturbs both."""
        return self._paired(agent, "bare", what, lambda one, bare: one - bare)

    def times_bare(self, agent: str, what: str) -> list[float]:
        """As a multiple of the bare service's, round by round."""
        return self._paired(agent, "bare", what, lambda one, bare: one / bare)

    def share(self, agent: str, what: str, of: str = "opentelemetry") -> list[float]:
        """What an agent adds, as a share of what another one adds."""
        pairs = zip(self.added(agent, what), self.added(of, what), strict=True)
        return [one / other for one, other in pairs] if self.of(agent, what) and self.of(of, what) else []

    def beyond_bare(self, agent: str, what: str) -> list[float]:
        """Each value less the bare service's median: for processes that are not measured in pairs."""
        bare = self.of("bare", what)
        return [value - statistics.median(bare) for value in self.of(agent, what)] if bare else []

    def delivered(self, agent: str) -> tuple[int, int]:
        """Spans of requests that an agent made and that arrived, over all measured processes."""
        made = arrived = 0
        for one in self.deliveries:
            if one.agent == agent:
                due = one.requests * self.spans_per_request[agent, one.service]
                made, arrived = made + due, arrived + min(due, one.counts["spans"])
        return made, arrived

    def missing(self) -> int:
        """What is not there of ours: spans, SLO events, log records, JSON lines, and processes without an exemplar."""
        return sum(map(_missing, (one for one in self.deliveries if one.agent == "shopscope")))

    def _paired(self, agent: str, other: str, what: str, join: Callable[[float, float], float]) -> list[float]:
        return [join(*pair) for pair in zip(self.of(agent, what), self.of(other, what), strict=False)]


def _missing(one: Delivery) -> int:
    seen = (one.counts["log_records"], one.lines, int(one.counts["sums"].get("shopscope.slo.events", 0)))
    without = sum(abs(one.requests - number) for number in seen)
    spans = abs(one.requests * PER_REQUEST[one.service] - one.counts["spans"])
    return without + spans + (not one.counts["exemplars"])


def budgets(figures: Figures) -> list[Budget]:
    """Every budget of the design that is about the SDK; without values where this run has not measured it."""
    own = "shopscope"
    missing = [float(figures.missing())] if any(one.agent == own for one in figures.deliveries) else []
    return [
        Budget("CPU added in-process, of OpenTelemetry's", figures.share(own, "plain in-process"), 1 / 15, "share"),
        Budget("CPU added under load, of OpenTelemetry's", figures.share(own, "plain load"), 1 / 10, "share"),
        Budget("CPU added with clients, of OpenTelemetry's", figures.share(own, "calling in-process"), 1 / 6, "share"),
        Budget("p99 at a paced load, of bare", figures.times_bare(own, "paced p99"), 1.2, "times"),
        Budget("the same with a hung collector", figures.times_bare("shopscope, hung", "paced p99"), 1.2, "times"),
        Budget("import and init beyond FastAPI's import", figures.beyond_bare(own, "import wall"), 60.0, "ms"),
        Budget("memory added", figures.added(own, "memory"), 8.0, "MiB"),
        Budget("spans, SLO events, log lines not delivered", missing, 0.0, "of all"),
    ]
