"""The window of a file is what it holds."""

from collections.abc import Mapping
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from shopscope_ops.sources._telemetry import Telemetry, telemetry

__all__ = ["of_file"]

_WARM_UP_NANO: Final = 60 * 10**9


def of_file(origin: str, tables: Mapping[str, pa.Table], notes: tuple[str, ...] = ()) -> Telemetry:
    """Telemetry of a file's tables; tables left out are empty."""
    spans, points = tables.get("spans"), tables.get("metric_points")
    begins, ends = [], []
    if spans is not None and len(spans):
        begins.append(pc.min(spans["start_unix_nano"]).as_py())
        ends.append(pc.max(pc.add(spans["start_unix_nano"], spans["duration_nano"])).as_py())
    if points is not None and len(points):
        begins.append(_begin_of_points(points, min(begins, default=None)))
        ends.append(pc.max(points["time_unix_nano"]).as_py())
    return telemetry(
        origin,
        spans=spans,
        metric_points=points,
        exemplars=tables.get("exemplars"),
        since_unix_nano=min(begins, default=None),
        until_unix_nano=max(ends, default=None),
        notes=notes,
    )


def _begin_of_points(points: pa.Table, spans_begin: int | None) -> int:
    """When metrics begin: with their service's start, if that is at most a minute before anything else in the file.

    A service that had run for long before the recording counted what the file knows nothing about.
    """
    first = pc.min(points["time_unix_nano"]).as_py()
    first = first if spans_begin is None else min(first, spans_begin)
    starts = points["start_unix_nano"].filter(pc.greater_equal(points["start_unix_nano"], first - _WARM_UP_NANO))
    return int(min(first, pc.min(starts).as_py() or first))
