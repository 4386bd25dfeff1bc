"""Latency for people."""

from typing import Final

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from shopscope_ops.answers._forest import Quality
from shopscope_ops.answers._latency_model import JourneyLatency, Measure
from shopscope_ops.answers._quantiles import Quantile
from shopscope_ops.answers._words import duration, precise_percent

__all__ = ["latency_blocks", "mark", "quality_notes"]

_MARKS: Final = {
    "ok": ("✓ ok", "green"),
    "slow": ("▲ slow", "yellow"),
    "failing": ("✗ failing", "bold red"),
    "unknown": ("? unknown", "dim"),
}


def mark(journey: JourneyLatency) -> Text:
    """The journey's state as a sign and a word."""
    if journey.histogram is None and journey.spans is None:
        return Text("? no data", style="dim")
    if journey.state == "unknown" and journey.threshold_seconds is None:
        return Text("· no limit", style="dim")
    return Text(*_MARKS[journey.state])


def latency_blocks(journeys: list[JourneyLatency]) -> list[RenderableType]:
    """The table of quantiles, then what needs words."""
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim", expand=True)
    table.add_column("journey", ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column("by", no_wrap=True)
    for name in ("req/s", "p50", "p95", "p99"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("p99 is in", justify="right", no_wrap=True)
    table.add_column("good", justify="right", no_wrap=True)
    for journey in journeys:
        good = precise_percent(journey.good.share) if journey.good and journey.good.share is not None else "-"
        name = journey.journey
        for source, measure in (("histogram", journey.histogram), ("spans", journey.spans)):
            if measure is not None:
                table.add_row(name, source, *_cells(measure, journey.threshold_seconds), good)
                name = good = ""
        if journey.histogram is None and journey.spans is None:
            table.add_row(name, "-", *["-"] * 5, good, style="dim")
    words = [*_disagreements(journeys), *_evidence(journeys)]
    return [table, Text(), *words] if words else [table]


def _cells(measure: Measure, threshold: float | None) -> list[str | Text]:
    rate = "-" if measure.rate_per_second is None else f"{measure.rate_per_second:.3g}"
    cells: list[str | Text] = [rate]
    for quantile in measure.quantiles.values():
        is_over = threshold is not None and _is_above(quantile, threshold)
        cells.append(Text(_value(quantile) + ("!" if is_over else ""), style="yellow" if is_over else ""))
    return [*cells, _interval(measure.quantiles["p99"])]


def _is_above(quantile: Quantile, threshold: float) -> bool:
    if quantile.seconds is not None:
        return quantile.seconds > threshold
    return quantile.lower_seconds is not None and quantile.lower_seconds >= threshold


def _value(quantile: Quantile) -> str:
    if quantile.seconds is not None:
        return duration(quantile.seconds)
    return "unknown" if quantile.lower_seconds is None else f"> {duration(quantile.lower_seconds)}"


def _interval(quantile: Quantile) -> str:
    lower, upper = quantile.lower_seconds, quantile.upper_seconds
    if upper is None:
        return "-" if lower is None else f"≥ {duration(lower)}"
    return f"{duration(lower or 0.0)} to {duration(upper)}"


def _disagreements(journeys: list[JourneyLatency]) -> list[RenderableType]:
    lines: list[RenderableType] = []
    for journey in journeys:
        for found in journey.disagreements:
            show = (lambda value: f"{value:,.0f}") if found.what == "count" else duration
            histogram, spans = ("beyond its buckets" if v is None else show(v) for v in (found.histogram, found.spans))
            text = Text.assemble(
                ("≠ ", "yellow"),
                (f"{journey.journey} {found.what}", "bold"),
                f": histogram {histogram}, spans {spans}; ",
            )
            lines.append(text.append(f"likely cause: {found.likely_cause}."))
    return lines


def _evidence(journeys: list[JourneyLatency]) -> list[RenderableType]:
    lines: list[RenderableType] = []
    for journey in journeys:
        if journey.evidence and journey.state in {"slow", "failing"}:
            slowest = journey.evidence[0]
            took = duration(slowest.seconds)
            lines.append(Text(f"slowest {journey.journey}: {slowest.trace_id} ({took})", style="dim", overflow="fold"))
    return lines


def quality_notes(quality: Quality) -> list[str]:
    """Doubts about the spans, one line each."""
    said = (
        (quality.duplicate_spans, "repeated spans, counted once: {:,}"),
        (quality.orphan_spans, "spans whose parent is not in the data, or still runs: {:,}"),
        (quality.rootless_traces, "traces without a root, of which only requests of the file's services count: {:,}"),
        (quality.cyclic_spans, "spans that are their own ancestors, left out: {:,}"),
        (quality.negative_durations, "spans that end before they start, counted as instants: {:,}"),
    )
    return [words.format(count) for count, words in said if count]
