"""Cumulative metric points to what happened in a window."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = ["Coverage", "Events", "Histogram", "journey_histograms", "slo_events"]

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Coverage:
    """The stretch of time that an instance's points speak about, unix nanoseconds; begin excluded, end included."""

    service: str
    instance: str
    since_unix_nano: int
    until_unix_nano: int


@dataclass(slots=True)
class Histogram:
    """Events by bucket, summed over instances."""

    bounds: tuple[float, ...]
    counts: Counts
    coverage: list[Coverage] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Number of events."""
        return int(self.counts.sum())


@dataclass(slots=True)
class Events:
    """Good, slow and failed events of a journey."""

    outcomes: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Increase:
    """What a series gained: one number per bucket, or a single one."""

    bounds: tuple[float, ...]
    counts: Counts
    since: int
    until: int


@dataclass(frozen=True, slots=True)
class _Series:
    """The points of one series in the order of time."""

    service: str
    instance: str
    attributes: Mapping[str, Any]
    points: Sequence[Mapping[str, Any]]


def journey_histograms(points: pa.Table, since: int) -> dict[str, Histogram]:
    """``shopscope.journey.duration`` by journey: what was observed after ``since`` (unix nanoseconds)."""
    merged: dict[str, Histogram] = {}
    for series in _series(points, "shopscope.journey.duration", "histogram"):
        journey = str(series.attributes.get("journey", ""))
        for gained in _increases(series.points, since):
            coverage = Coverage(series.service, series.instance, gained.since, gained.until)
            known = merged.get(journey)
            merged[journey] = _merge(known, gained) if known else Histogram(gained.bounds, gained.counts)
            merged[journey].coverage.append(coverage)
    return merged


def slo_events(points: pa.Table, since: int) -> dict[str, Events]:
    """``shopscope.slo.events`` by journey: what was counted after ``since`` (unix nanoseconds)."""
    events: dict[str, Events] = defaultdict(Events)
    for series in _series(points, "shopscope.slo.events", "sum"):
        outcomes = events[str(series.attributes.get("journey", ""))].outcomes
        outcome = str(series.attributes.get("outcome", ""))
        gained = sum(int(gain.counts.sum()) for gain in _increases(series.points, since))
        outcomes[outcome] = outcomes.get(outcome, 0) + gained
    return dict(events)


def _series(points: pa.Table, name: str, kind: str) -> Iterator[_Series]:
    """Points of a metric by series, each in the order of time."""
    chosen = points.filter(pc.and_(pc.equal(points["name"], name), pc.equal(points["kind"], kind)))
    columns = ["time_unix_nano", "start_unix_nano", "service", "instance", "temporality", "attributes", "value"]
    by_identity: dict[tuple[str, str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for row in chosen.select([*columns, "bounds", "bucket_counts"]).sort_by("time_unix_nano").to_pylist():
        by_identity[row["service"], row["instance"], row["attributes"]].append(row)
    for (service, instance, attributes), rows in by_identity.items():
        yield _Series(service, instance, orjson.loads(attributes) if attributes else {}, rows)


def _counts(point: Mapping[str, Any]) -> Counts:
    if point["bucket_counts"]:
        return np.array(point["bucket_counts"], dtype=np.int64)
    return np.array([round(point["value"] or 0)], dtype=np.int64)


def _bounds(point: Mapping[str, Any]) -> tuple[float, ...]:
    return tuple(point["bounds"] or ())


def _increases(points: Sequence[Mapping[str, Any]], since: int) -> Iterator[_Increase]:
    """What a series gained after ``since``, one item for each layout of buckets that it had."""
    earlier = [point for point in points if point["time_unix_nano"] <= since]
    later = [point for point in points if point["time_unix_nano"] > since]
    is_delta = points[0]["temporality"] == "delta"
    previous = earlier[-1] if earlier and not is_delta else None
    if previous is None and later and not is_delta and later[0]["start_unix_nano"] < since:
        # The series is older than the window and nothing says what it had counted before: measure from here.
        previous = later.pop(0)
    gains: dict[tuple[float, ...], _Increase] = {}
    for point, counts, started in _steps(later, previous, is_delta=is_delta):
        bounds = _bounds(point)
        known = gains.get(bounds)
        gains[bounds] = _Increase(
            bounds,
            counts if known is None else known.counts + counts,
            started if known is None else min(started, known.since),
            point["time_unix_nano"],
        )
    yield from gains.values()


def _steps(
    points: Iterable[Mapping[str, Any]], previous: Mapping[str, Any] | None, *, is_delta: bool
) -> Iterator[tuple[Mapping[str, Any], Counts, int]]:
    """Each point with what it adds to the one before, and since when; a restarted counter adds all it has."""
    for point in points:
        counts = _counts(point)
        started = point["start_unix_nano"] or point["time_unix_nano"]
        if previous is not None and not is_delta:
            before = _counts(previous)
            is_restarted = (
                point["start_unix_nano"] > previous["time_unix_nano"]
                or _bounds(point) != _bounds(previous)
                or len(before) != len(counts)
                or bool((counts < before).any())
            )
            if not is_restarted:
                counts, started = counts - before, previous["time_unix_nano"]
        previous = point
        yield point, counts, started


def _merge(known: Histogram, gained: _Increase) -> Histogram:
    """Sum of two histograms on the bounds that both have: cumulative counts at a shared bound are exact."""
    if known.bounds == gained.bounds:
        return Histogram(known.bounds, known.counts + gained.counts, known.coverage)
    shared = tuple(bound for bound in known.bounds if bound in gained.bounds)
    counts = _at_bounds(known.bounds, known.counts, shared) + _at_bounds(gained.bounds, gained.counts, shared)
    return Histogram(shared, counts, known.coverage)


def _at_bounds(bounds: tuple[float, ...], counts: Counts, shared: tuple[float, ...]) -> Counts:
    cumulative = np.cumsum(counts)
    at = [int(cumulative[bounds.index(bound)]) for bound in shared]
    edges = np.array([0, *at, int(cumulative[-1])], dtype=np.int64)
    return edges[1:] - edges[:-1]
