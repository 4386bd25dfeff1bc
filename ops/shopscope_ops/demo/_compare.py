"""Two diagnoses side by side: what a fault changed for a journey, and whether the answers saw it."""

from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from shopscope_ops.answers import Diagnosis, JourneyChain, JourneyLatency, Segment

_SHOWN_SEGMENTS = 5
_LEAST_RISE = 0.7
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


def unseen(before: JourneyView, after: JourneyView, fault_seconds: float) -> list[str]:
    """Why the answers did not see a bank that is ``fault_seconds`` slower; empty when they did."""
    reasons = []
    old, new = before.p99_seconds, after.p99_seconds
    if old is None or new is None:
        reasons.append(f"p99 is unknown: {_milliseconds(old)} before, {_milliseconds(new)} after")
    elif new - old < _LEAST_RISE * fault_seconds:
        reasons.append(f"p99 rose from {_milliseconds(old)} to {_milliseconds(new)}, by less than the fault")
    if not after.chain.segments:
        reasons.append("the critical path is unknown")
        return reasons
    top = after.chain.segments[0]
    if top.callee != _BANK:
        reasons.append(f"the critical path of the slowest is led by {top.label}, not by the call of the {_BANK}")
    rise = _median_seconds(after, top) - _median_seconds(before, top)
    if rise < _LEAST_RISE * fault_seconds:
        reasons.append(f"{top.label} grew by {_milliseconds(rise)} at the median, by less than the fault")
    return reasons


def render_change(before: JourneyView, after: JourneyView) -> RenderableType:
    """Latency, share of good events and critical path of a journey, before and after."""
    head = Text(f"{after.latency.journey}: before and after", style="bold")
    return Group(head, _latency_table(before.latency, after.latency), _path_table(before, after))


def summary(before: JourneyView, after: JourneyView) -> str:
    """The change in one sentence."""
    top = after.chain.segments[0]
    return (
        f"{after.latency.journey}'s p99 went from {_milliseconds(before.p99_seconds)} to "
        f"{_milliseconds(after.p99_seconds)}; {top.slowest.share:.0%} of the slowest requests' time is now "
        f"{top.label} ({_share(_same(before, top), 'slowest')} before)"
    )


def _latency_table(before: JourneyLatency, after: JourneyLatency) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    table.add_column("before", justify="right")
    table.add_column("after", justify="right")
    for name in ("p50", "p95", "p99"):
        table.add_row(name, *(_milliseconds(view.best(name).seconds) for view in (before, after)))
    table.add_row("good events", *(_good(view) for view in (before, after)))
    table.add_row("requests", *(str(view.spans.count if view.spans else 0) for view in (before, after)))
    return table


def _path_table(before: JourneyView, after: JourneyView) -> Table:
    table = Table(title="exclusive time on the critical path", title_justify="left", box=None, pad_edge=False)
    table.add_column("what it is spent on", ratio=1)
    for heading in ("median before", "after", "slowest before", "after"):
        table.add_column(heading, justify="right")
    for segment in after.chain.segments[:_SHOWN_SEGMENTS]:
        old = _same(before, segment)
        cells = [_share(found, cohort) for cohort in ("median", "slowest") for found in (old, segment)]
        table.add_row(segment.label, *cells, style="bold" if segment is after.chain.segments[0] else "")
    return table


def _same(view: JourneyView, wanted: Segment) -> Segment | None:
    """The segment of another diagnosis that stands for the same thing."""
    return next((segment for segment in view.chain.segments if segment.label == wanted.label), None)


def _median_seconds(view: JourneyView, wanted: Segment) -> float:
    found = _same(view, wanted)
    return found.median.seconds if found else 0.0


def _share(segment: Segment | None, cohort: str) -> str:
    if segment is None:
        return "0 %"
    spent = segment.median if cohort == "median" else segment.slowest
    return f"{spent.share * 100:.0f} %"


def _good(latency: JourneyLatency) -> str:
    share = latency.good.share if latency.good else None
    return "unknown" if share is None else f"{share * 100:.1f} %"


def _milliseconds(seconds: float | None) -> str:
    return "unknown" if seconds is None else f"{seconds * 1000:,.0f} ms"
