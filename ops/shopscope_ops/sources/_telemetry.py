"""What every source fills and every answer reads."""

from dataclasses import dataclass

import pyarrow as pa

from shopscope_ops.store.schema import EXEMPLARS, METRIC_POINTS, SPANS

__all__ = ["Telemetry", "telemetry"]


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Signals of one window of time, as Arrow tables with the columns of ``store.schema``.

    Attributes:
        spans: spans that started in the window.
        metric_points: metric points of the window and, where the source can, the last ones before it, so that
            cumulative series have something to be subtracted from.
        exemplars: exemplars of metric points of the window.
        origin: where it was read from, for people.
        since_unix_nano: begin of the window, unix nanoseconds; None when the source has no data.
        until_unix_nano: end of the window, unix nanoseconds; None when the source has no data.
        notes: what a reader of the answers should know about the source.
    """

    spans: pa.Table
    metric_points: pa.Table
    exemplars: pa.Table
    origin: str
    since_unix_nano: int | None = None
    until_unix_nano: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """No span and no metric point."""
        return not len(self.spans) and not len(self.metric_points)


def telemetry(
    origin: str,
    *,
    spans: pa.Table | None = None,
    metric_points: pa.Table | None = None,
    exemplars: pa.Table | None = None,
    since_unix_nano: int | None = None,
    until_unix_nano: int | None = None,
    notes: tuple[str, ...] = (),
) -> Telemetry:
    """Telemetry in which a table left out is empty."""
    return Telemetry(
        spans=SPANS.empty_table() if spans is None else spans,
        metric_points=METRIC_POINTS.empty_table() if metric_points is None else metric_points,
        exemplars=EXEMPLARS.empty_table() if exemplars is None else exemplars,
        origin=origin,
        since_unix_nano=since_unix_nano,
        until_unix_nano=until_unix_nano,
        notes=notes,
    )
