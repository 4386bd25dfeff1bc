"""Telemetry from the embedded engine's store, within the engine's process."""

from typing import TYPE_CHECKING, Final

from shopscope_ops.sources._slim import slim_spans
from shopscope_ops.sources._telemetry import Telemetry, telemetry

if TYPE_CHECKING:
    from shopscope_ops.store import Store

__all__ = ["LOOKBACK_NANO", "from_store"]

LOOKBACK_NANO: Final = 120 * 10**9
"""Metric points are read from so long before the window: a cumulative series needs its last point before it. Twice the
longest usual export interval."""


def from_store(store: "Store", since_nano: int, until_nano: int) -> Telemetry:
    """Telemetry of a window, begin included, end excluded.

    Args:
        store: the open store.
        since_nano: begin of the window, unix nanoseconds.
        until_nano: end of the window, unix nanoseconds.

    Raises:
        StoreError: the database is not open at the moment.
    """
    with store.stream("spans", since_nano, until_nano) as batches:
        spans = slim_spans(batches)
    return telemetry(
        "embedded engine",
        spans=spans,
        metric_points=store.read("metric_points", since_nano - LOOKBACK_NANO, until_nano),
        exemplars=store.read("exemplars", since_nano, until_nano),
        since_unix_nano=since_nano,
        until_unix_nano=until_nano,
    )
