"""Do the histogram and the spans of a journey tell the same story about the same stretch of time?"""

from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shopscope_ops.answers._forest import Forest, Ints
from shopscope_ops.answers._histograms import Histogram
from shopscope_ops.answers._latency_model import Disagreement, Measure
from shopscope_ops.answers._quantiles import LEVELS, Quantile, of_values
from shopscope_ops.answers._words import duration

__all__ = ["compare", "count_tolerance", "span_quantiles"]

_SHARE: Final = 0.02
_EVENTS: Final = 5
_ON_THE_WAY_SECONDS: Final = 10.0


class _Cause(NamedTuple):
    kind: str
    sentence: str


_WINDOWS: Final = _Cause(
    "different windows",
    "requests that ended outside the time between the histogram's first and last point; within it the two agree",
)


def span_quantiles(forest: Forest, rows: Ints) -> dict[str, Quantile]:
    """p50, p95 and p99 of the durations of spans."""
    ordered = np.sort(forest.duration[rows]) / 1e9
    return {name: of_values(ordered, level) for name, level in LEVELS.items()}


def count_tolerance(count: int, rate_per_second: float | None) -> float:
    """How far counts may be apart: 2 % and 5 events, plus 10 s of traffic that may still be on its way."""
    return _SHARE * count + _EVENTS + _ON_THE_WAY_SECONDS * (rate_per_second or 0.0)


def compare(
    forest: Forest, rows: Ints, histogram: Histogram, measured: Measure, by_spans: Measure | None
) -> tuple[Disagreement, ...]:
    """Contradictions between a histogram and the entry spans that ended while it counted, instance by instance."""
    covered = _covered(forest, rows, histogram)
    tolerance = count_tolerance(measured.count, measured.rate_per_second)
    found = []
    missing = measured.count - len(covered)
    if abs(missing) > tolerance:
        cause = _count_cause(missing, measured)
        found.append(Disagreement("count", measured.count, len(covered), tolerance, cause.sentence, cause.kind))
    inside = span_quantiles(forest, covered)
    for name in LEVELS:
        one, other = measured.quantiles[name], inside[name]
        whole = by_spans.quantiles[name] if by_spans else other
        if other.seconds is not None and not _touch(one, other):
            cause = _quantile_cause(one, other, is_incomplete=bool(missing > tolerance))
            found.append(Disagreement(name, one.seconds, other.seconds, 0.0, cause.sentence, cause.kind))
        elif whole.seconds is not None and not _touch(one, whole):
            found.append(Disagreement(name, one.seconds, whole.seconds, 0.0, _WINDOWS.sentence, _WINDOWS.kind))
    return tuple(found)


def _covered(forest: Forest, rows: Ints, histogram: Histogram) -> Ints:
    ends = forest.start[rows] + forest.duration[rows]
    instance = forest.table["instance"].take(pa.array(rows))
    is_covered = np.zeros(len(rows), dtype=np.bool_)
    for coverage in histogram.coverage:
        is_its = forest.service.codes[rows] == forest.service.code(coverage.service)
        is_its &= pc.equal(instance, coverage.instance).to_numpy()
        is_covered |= is_its & (ends > coverage.since_unix_nano) & (ends <= coverage.until_unix_nano)
    return rows[is_covered]


def _touch(one: Quantile, other: Quantile) -> bool:
    """Whether two intervals have a point in common; a bound that is unknown excludes nothing."""
    if one.seconds is None and one.lower_seconds is None:
        return True
    low = max(one.lower_seconds or 0.0, other.lower_seconds or 0.0)
    uppers = [upper for upper in (one.upper_seconds, other.upper_seconds) if upper is not None]
    return not uppers or low <= min(uppers)


def _count_cause(missing: int, measured: Measure) -> _Cause:
    """Why the numbers of events differ."""
    if missing == measured.count:
        return _Cause(
            "lost spans", "no span of these requests arrived: traces are sampled away, dropped, or sent elsewhere"
        )
    if missing > 0:
        lost = f"{missing} of {measured.count} requests left no span"
        return _Cause("lost spans", f"{lost}: traces are sampled, or spans were dropped; see shopscope.sdk.dropped")
    return _Cause(
        "lost points",
        "more spans than counted events: metric points are missing, or the service restarted between two of them",
    )


def _quantile_cause(histogram: Quantile, spans: Quantile, *, is_incomplete: bool) -> _Cause:
    """Why a quantile differs."""
    if is_incomplete:
        return _Cause("lost spans", "the spans that arrived are not a fair sample of the requests")
    if histogram.seconds is None and histogram.lower_seconds is not None:
        bound = duration(histogram.lower_seconds)
        return _Cause("coarse buckets", f"the histogram's last bound, {bound}, is too low to see it")
    if histogram.upper_seconds is not None and histogram.lower_seconds is not None:
        width = histogram.upper_seconds - histogram.lower_seconds
        if width > histogram.lower_seconds:
            return _Cause("coarse buckets", f"the histogram's bucket only knows a range {duration(width)} wide")
    direction = "more" if (spans.seconds or 0.0) > (histogram.seconds or 0.0) else "less"
    return _Cause("different places", f"the entry span measures {direction}: the two start or end at different places")
