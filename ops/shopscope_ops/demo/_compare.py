"""Two diagnoses side by side: what a fault changed for a journey, and whether the answers saw it."""

from dataclasses import dataclass, replace

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from shopscope_ops.answers import Diagnosis, JourneyChain, JourneyLatency, Segment
from shopscope_ops.answers._words import duration, percent, precise_percent

_SHOWN_SEGMENTS = 5
_LEAST_RISE = 0.7
# One hiccup of the machine lifts the p99 of a hundred healthy requests, so that less than the fault is left to rise.
_LEAST_P99_RISE = 0.3
_BANK = "bank"


@dataclass(frozen=True, slots=True)
class JourneyView:
    """Both answers about one journey at one time."""

    latency: JourneyLatency
    chain: JourneyChain

    @property
    def p99_seconds(self) -> float | None:
        """The journey's p99; None when it is unknown."""
        return self.latency.best("p99").seconds


def view(diagnosis: Diagnosis, journey: str) -> JourneyView:
    """The answers of a diagnosis about one journey of ``shopscope.toml``."""
    latencies = {found.journey: found for found in diagnosis.latency.journeys}
    chains = {found.journey: found for found in diagnosis.chains.journeys}
    return JourneyView(latencies[journey], chains[journey])


def focus(diagnosis: Diagnosis, journey: str) -> Diagnosis:
    """The diagnosis with the chain of one journey alone: that of every journey fills three screens."""
    chains = tuple(found for found in diagnosis.chains.journeys if found.journey == journey)
    return replace(diagnosis, chains=replace(diagnosis.chains, journeys=chains))


def unseen(before: JourneyView, after: JourneyView, fault_seconds: float) -> list[str]:
    """Why the answers did not see a bank that is ``fault_seconds`` slower; empty when they did.

    Both have to see it: p99 rises, and what grew most on the critical path, at the median, is the call of the bank. The
    rest of the slowest requests' time may be anything: on a busy machine they are slow for many reasons.
    """
    reasons = []
    old, new = before.p99_seconds, after.p99_seconds
    if old is None or new is None:
        reasons.append(f"p99 is unknown: {_seconds(old)} before, {_seconds(new)} after")
    elif new < fault_seconds or new - old < _LEAST_P99_RISE * fault_seconds:
        reasons.append(f"p99 went from {_seconds(old)} to {_seconds(new)}, which does not show the fault")
    grown = _by_growth(before, after)
    if not grown:
        return [*reasons, "the critical path is unknown"]
    top = grown[0]
    if top.segment.callee != _BANK:
        reasons.append(f"what grew most on the critical path is {top.label}, not the call of the {_BANK}")
    elif min(top.median_seconds, top.slowest_seconds) < _LEAST_RISE * fault_seconds:
        growth = f"{_signed(top.median_seconds)} at the median and {_signed(top.slowest_seconds)} among the slowest"
        reasons.append(f"{top.label} changed by {growth}, which is less than the fault")
    return reasons


def summary(before: JourneyView, after: JourneyView) -> str:
    """The change in one sentence."""
    top = _by_growth(before, after)[0]
    latency = f"{after.latency.journey}'s p99 went from {_seconds(before.p99_seconds)} to {_seconds(after.p99_seconds)}"
    shares = f"from {_share(top.old, 'median')} to {_share(top.segment, 'median')} of the time"
    return f"{latency}, and at the median {top.label} went {shares}"


def render_change(before: JourneyView, after: JourneyView) -> RenderableType:
    """Latency, share of good events and critical path of a journey, before and after."""
    head = Text(f"{after.latency.journey}: before and after", style="bold")
    return Group(head, _latency_table(before.latency, after.latency), Text(), _path_table(before, after))


@dataclass(frozen=True, slots=True)
class _Growth:
    """How much more time requests spend on one segment than before."""

    segment: Segment
    old: Segment | None

    @property
    def label(self) -> str:
        return self.segment.label

    @property
    def median_seconds(self) -> float:
        return self.segment.median.seconds - (self.old.median.seconds if self.old else 0.0)

    @property
    def slowest_seconds(self) -> float:
        return self.segment.slowest.seconds - (self.old.slowest.seconds if self.old else 0.0)


def _by_growth(before: JourneyView, after: JourneyView) -> list[_Growth]:
    """Segments of the critical path, the one that grew most at the median first."""
    old = {segment.label: segment for segment in before.chain.segments}
    grown = [_Growth(segment, old.get(segment.label)) for segment in after.chain.segments]
    return sorted(grown, key=lambda growth: growth.median_seconds, reverse=True)


def _latency_table(before: JourneyLatency, after: JourneyLatency) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    table.add_column("before", justify="right")
    table.add_column("after", justify="right")
    for name in ("p50", "p95", "p99"):
        table.add_row(name, *(_seconds(latency.best(name).seconds) for latency in (before, after)))
    table.add_row("good events", *(_good(latency) for latency in (before, after)))
    table.add_row("requests", *(str(latency.spans.count if latency.spans else 0) for latency in (before, after)))
    return table


def _path_table(before: JourneyView, after: JourneyView) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("exclusive time on the critical path", ratio=1)
    for heading in ("median", "slowest", "change at the median"):
        table.add_column(heading, justify="right")
    for growth in _by_growth(before, after)[:_SHOWN_SEGMENTS]:
        shares = [f"{_share(growth.old, name)} → {_share(growth.segment, name)}" for name in ("median", "slowest")]
        style = "bold" if table.row_count == 0 else ""
        table.add_row(growth.label, *shares, _signed(growth.median_seconds), style=style)
    return table


def _share(segment: Segment | None, cohort: str) -> str:
    if segment is None:
        return percent(0.0)
    return percent((segment.median if cohort == "median" else segment.slowest).share)


def _good(latency: JourneyLatency) -> str:
    share = latency.good.share if latency.good else None
    return "unknown" if share is None else precise_percent(share)


def _seconds(value: float | None) -> str:
    return "unknown" if value is None else duration(value)


def _signed(value: float) -> str:
    return f"{'−' if value < 0 else '+'}{duration(abs(value))}"  # noqa: RUF001 - a real minus sign
