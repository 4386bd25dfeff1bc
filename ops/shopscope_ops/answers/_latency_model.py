"""What *latency now* says about a journey."""

from dataclasses import dataclass
from typing import Any

from shopscope_ops.answers._forest import Quality
from shopscope_ops.answers._quantiles import Quantile, is_below
from shopscope_ops.answers._words import duration, precise_percent

__all__ = ["Disagreement", "Evidence", "Good", "JourneyLatency", "LatencyAnswer", "Measure"]


@dataclass(frozen=True, slots=True)
class Measure:
    """One way of measuring a journey's latency.

    Attributes:
        count: events measured.
        since_unix_nano: begin of the time they cover.
        until_unix_nano: end of it.
        rate_per_second: events per second, None when they cover no time.
        quantiles: p50, p95 and p99.
    """

    count: int
    since_unix_nano: int
    until_unix_nano: int
    rate_per_second: float | None
    quantiles: dict[str, Quantile]

    def to_dict(self) -> dict[str, Any]:
        """The fields by name."""
        own = {name: getattr(self, name) for name in self.__slots__}
        return own | {"quantiles": {name: quantile.to_dict() for name, quantile in self.quantiles.items()}}


@dataclass(frozen=True, slots=True)
class Good:
    """Events by outcome.

    Attributes:
        source: "slo events" counted by the service, or "spans" judged by status and threshold.
        good: no error and no slower than the threshold.
        slow: no error, and slower.
        error: failed.
    """

    source: str
    good: int
    slow: int
    error: int

    @property
    def count(self) -> int:
        """All events."""
        return self.good + self.slow + self.error

    @property
    def share(self) -> float | None:
        """Good events by all events; None without any."""
        return self.good / self.count if self.count else None

    def to_dict(self) -> dict[str, Any]:
        """The fields and the share by name."""
        return {name: getattr(self, name) for name in self.__slots__} | {"share": self.share}


@dataclass(frozen=True, slots=True)
class Evidence:
    """A slow request: ``source`` is "spans" or "exemplar"."""

    trace_id: str
    seconds: float
    source: str

    def to_dict(self) -> dict[str, Any]:
        """The fields by name."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Where histogram and spans contradict each other.

    Attributes:
        what: "count", "p50", "p95" or "p99".
        histogram: what the histogram says: events, or seconds (None: beyond its last bucket).
        spans: what the spans say of the same stretch of time.
        tolerance: how far counts may be apart; 0 for quantiles, whose intervals must touch.
        likely_cause: one sentence.
        cause: the same for programs: "lost spans", "lost points", "coarse buckets", "different places", or "different
            windows": the spans reach further than the histogram, and where both look they agree.
    """

    what: str
    histogram: float | None
    spans: float | None
    tolerance: float
    likely_cause: str
    cause: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The fields by name."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class JourneyLatency:
    """Latency and share of good events of one journey.

    Attributes:
        journey: name of the journey.
        is_declared: ``shopscope.toml`` names it.
        threshold_seconds: a good event takes no longer; None when the file does not say.
        objective: share of events that should be good; None when the file does not say.
        rate_per_second: requests per second, of the histogram where there is one, else of the spans.
        good: events by outcome, None when nothing tells good from bad.
        histogram: measured by the service's histogram, None when there is none.
        spans: measured by entry spans, None when there is none.
        disagreements: where the two contradict each other.
        evidence: slow requests, the slowest first.
    """

    journey: str
    is_declared: bool
    threshold_seconds: float | None
    objective: float | None
    rate_per_second: float | None
    good: Good | None
    histogram: Measure | None
    spans: Measure | None
    disagreements: tuple[Disagreement, ...]
    evidence: tuple[Evidence, ...]

    def best(self, name: str) -> Quantile:
        """Quantile ``p50``, ``p95`` or ``p99`` by the sharper measure: spans, where they are complete."""
        spans = self.spans.quantiles[name] if self.spans else None
        histogram = self.histogram.quantiles[name] if self.histogram else None
        are_complete = all(found.cause == "different windows" for found in self.disagreements)
        if spans is not None and spans.seconds is not None and are_complete:
            return spans
        return histogram or spans or Quantile(None, None, None, "no data")

    @property
    def state(self) -> str:
        """One word: ok, slow, failing or unknown.

        Failing are significantly fewer good events than the objective asks for; slow is a p99 above the threshold.
        """
        good, objective = self.good, self.objective
        is_judged = good is not None and good.count > 0 and objective is not None
        if good is not None and objective is not None and is_judged and is_below(good.good, good.count, objective):
            return "failing"
        p99 = self.best("p99")
        if self.threshold_seconds is not None and p99.seconds is not None:
            return "slow" if p99.seconds > self.threshold_seconds else "ok"
        # A bucket does not contain its lower bound: beyond the bound that is the threshold is above it.
        if self.threshold_seconds is not None and (p99.lower_seconds or 0.0) >= self.threshold_seconds:
            return "slow"
        return "ok" if is_judged else "unknown"

    @property
    def sentence(self) -> str:
        """The answer in one sentence."""
        if self.histogram is None and self.spans is None:
            return f"{self.journey}: unknown, no request of it was seen."
        p99 = self.best("p99")
        limit = "" if self.threshold_seconds is None else f", limit {duration(self.threshold_seconds)}"
        if p99.seconds is not None:
            first = f"p99 {duration(p99.seconds)}{limit}"
        elif p99.lower_seconds is not None:
            first = f"p99 above {duration(p99.lower_seconds)}{limit}"
        else:
            first = f"p99 unknown ({p99.reason}){limit}"
        if self.good is None or self.good.share is None:
            return f"{self.journey}: {first}."
        second = f"{precise_percent(self.good.share)} good"
        if self.objective is not None:
            second += f", objective {precise_percent(self.objective)}"
        return f"{self.journey}: {first}; {second}."

    def to_dict(self) -> dict[str, Any]:
        """The document that ``docs/reference/diagnose.md`` describes."""
        plain = ("journey", "is_declared", "state", "sentence", "threshold_seconds", "objective", "rate_per_second")
        return {name: getattr(self, name) for name in plain} | {
            "good": self.good.to_dict() if self.good else None,
            "histogram": self.histogram.to_dict() if self.histogram else None,
            "spans": self.spans.to_dict() if self.spans else None,
            "disagreements": [disagreement.to_dict() for disagreement in self.disagreements],
            "evidence": [evidence.to_dict() for evidence in self.evidence],
        }


@dataclass(frozen=True, slots=True)
class LatencyAnswer:
    """Latency of every journey, and how far the spans can be trusted."""

    journeys: tuple[JourneyLatency, ...]
    quality: Quality

    def to_dict(self) -> dict[str, Any]:
        """The document that ``docs/reference/diagnose.md`` describes."""
        return {"journeys": [journey.to_dict() for journey in self.journeys], "quality": self.quality.to_dict()}
