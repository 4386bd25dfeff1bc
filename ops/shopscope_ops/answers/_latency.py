"""How slow every journey is now, measured twice: by the service's own histogram, and by the spans that arrived."""

from typing import Final

import numpy as np
import orjson
import pyarrow.compute as pc

from shopscope.config import Journey, Shop
from shopscope_ops.answers._agreement import compare, span_quantiles
from shopscope_ops.answers._forest import Forest, Ints, plant
from shopscope_ops.answers._histograms import Events, Histogram, journey_histograms, slo_events
from shopscope_ops.answers._latency_model import Evidence, Good, JourneyLatency, LatencyAnswer, Measure
from shopscope_ops.answers._quantiles import LEVELS, of_histogram
from shopscope_ops.answers._requests import Requests, find_requests
from shopscope_ops.sources import Telemetry

__all__ = ["latency_in", "latency_now"]

_EVIDENCE: Final = 5


def latency_now(telemetry: Telemetry, shop: Shop, journey: str | None = None) -> LatencyAnswer:
    """p50, p95 and p99 of every journey, from histograms and from spans, and where the two disagree.

    Args:
        telemetry: spans and metric points of the window.
        shop: the parsed ``shopscope.toml``; without a threshold the share of good events is unknown.
        journey: answer for this journey alone.
    """
    forest = plant(telemetry.spans)
    return latency_in(telemetry, forest, find_requests(forest, shop), shop, journey)


def latency_in(
    telemetry: Telemetry, forest: Forest, requests: tuple[Requests, ...], shop: Shop, journey: str | None = None
) -> LatencyAnswer:
    """The same on spans that were planted already."""
    since = telemetry.since_unix_nano or 0
    histograms = journey_histograms(telemetry.metric_points, since)
    events = slo_events(telemetry.metric_points, since)
    rows_of = {found.journey: found.rows for found in requests}
    declared = [found.journey for found in requests if found.is_declared]
    names = dict.fromkeys((*declared, *histograms, *rows_of))
    answers = [
        _answer(
            telemetry,
            forest,
            name,
            shop.journeys.get(name),
            rows_of.get(name, np.zeros(0, dtype=np.int64)),
            histograms.get(name),
            events.get(name),
        )
        for name in names
        if journey is None or name == journey
    ]
    return LatencyAnswer(tuple(answers), forest.quality)


def _answer(
    telemetry: Telemetry,
    forest: Forest,
    name: str,
    journey: Journey | None,
    rows: Ints,
    histogram: Histogram | None,
    events: Events | None,
) -> JourneyLatency:
    threshold = journey.latency_seconds if journey else None
    by_histogram = _by_histogram(histogram) if histogram and histogram.count else None
    by_spans = _by_spans(telemetry, forest, rows) if len(rows) else None
    leading = by_histogram or by_spans
    return JourneyLatency(
        journey=name,
        is_declared=journey is not None,
        threshold_seconds=threshold,
        objective=journey.objective if journey else None,
        rate_per_second=leading.rate_per_second if leading else None,
        good=_good(forest, rows, threshold, events),
        histogram=by_histogram,
        spans=by_spans,
        disagreements=compare(forest, rows, histogram, by_histogram, by_spans) if histogram and by_histogram else (),
        evidence=_evidence(telemetry, forest, name, rows),
    )


def _by_histogram(histogram: Histogram) -> Measure:
    since = min(coverage.since_unix_nano for coverage in histogram.coverage)
    until = max(coverage.until_unix_nano for coverage in histogram.coverage)
    counts = histogram.counts.tolist()
    quantiles = {name: of_histogram(histogram.bounds, counts, level) for name, level in LEVELS.items()}
    return Measure(histogram.count, since, until, _rate(histogram.count, since, until), quantiles)


def _by_spans(telemetry: Telemetry, forest: Forest, rows: Ints) -> Measure:
    ends = forest.start[rows] + forest.duration[rows]
    since, until = telemetry.since_unix_nano, telemetry.until_unix_nano
    # A window that reaches back beyond the first span of all would make every rate too low.
    since = max(since or 0, int(forest.start.min()))
    until = int(ends.max()) if until is None else until
    return Measure(len(rows), since, until, _rate(len(rows), since, until), span_quantiles(forest, rows))


def _rate(count: int, since: int, until: int) -> float | None:
    return count / ((until - since) / 1e9) if until > since else None


def _good(forest: Forest, rows: Ints, threshold: float | None, events: Events | None) -> Good | None:
    """Events by outcome: as the service counted them, else as the entry spans and the threshold say."""
    if events and sum(events.outcomes.values()):
        outcomes = events.outcomes
        return Good("slo events", outcomes.get("good", 0), outcomes.get("slow", 0), outcomes.get("error", 0))
    if threshold is None or not len(rows):
        return None
    is_error = forest.status.codes[rows] == forest.status.code("error")
    is_slow = ~is_error & (forest.duration[rows] > threshold * 1e9)
    errors, slow = int(is_error.sum()), int(is_slow.sum())
    return Good("spans", len(rows) - errors - slow, slow, errors)


def _evidence(telemetry: Telemetry, forest: Forest, journey: str, rows: Ints) -> tuple[Evidence, ...]:
    """The slowest requests that left a trace, and what the histogram's exemplars point at."""
    slowest = rows[np.argsort(-forest.duration[rows], kind="stable")[:_EVIDENCE]]
    seconds = (forest.duration[slowest] / 1e9).tolist()
    found = [Evidence(trace, took, "spans") for trace, took in zip(forest.trace_ids(slowest), seconds, strict=True)]
    known = {evidence.trace_id for evidence in found}
    exemplars = telemetry.exemplars.filter(pc.equal(telemetry.exemplars["name"], "shopscope.journey.duration"))
    for exemplar in exemplars.sort_by([("value", "descending")]).to_pylist():
        is_ours = exemplar["trace_id"] and orjson.loads(exemplar["attributes"] or "{}").get("journey") == journey
        if is_ours and exemplar["trace_id"] not in known:
            known.add(exemplar["trace_id"])
            found.append(Evidence(exemplar["trace_id"], exemplar["value"], "exemplar"))
    return tuple(sorted(found, key=lambda evidence: -evidence.seconds)[:_EVIDENCE])
