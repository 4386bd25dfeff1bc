"""The span table and its friends: the one definition of every column that answers, sources, page and store share.

All times are unix nanoseconds UTC. Text columns are never null: "" says "unknown" or "none", so that readers need no
null logic. Columns that hold JSON hold one document: ``attributes`` and ``resource`` an object, ``events`` and
``links`` a list; the attributes of a metric point have sorted keys, because together they are a series' identity.
Pure pyarrow: a source that reads files must not pay for a database.
"""

from typing import Final

import pyarrow as pa

_TEXT: Final = pa.string()
_NANO: Final = pa.int64()


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema([pa.field(name, kind) for name, kind in columns.items()])


SPANS: Final = _schema(
    trace_id=_TEXT,
    span_id=_TEXT,
    parent_span_id=_TEXT,
    service=_TEXT,
    instance=_TEXT,
    name=_TEXT,
    kind=_TEXT,
    peer=_TEXT,
    journey=_TEXT,
    start_unix_nano=_NANO,
    duration_nano=_NANO,
    status=_TEXT,
    status_message=_TEXT,
    protection=_TEXT,
    attributes=_TEXT,
    events=_TEXT,
    links=_TEXT,
    scope=_TEXT,
    trace_state=_TEXT,
    resource=_TEXT,
)
"""Spans: ``kind`` is server, client, internal, producer, consumer or ""; ``status`` is unset, ok, error or ""."""

METRIC_POINTS: Final = _schema(
    time_unix_nano=_NANO,
    start_unix_nano=_NANO,
    service=_TEXT,
    instance=_TEXT,
    name=_TEXT,
    kind=_TEXT,
    unit=_TEXT,
    is_monotonic=pa.bool_(),
    temporality=_TEXT,
    attributes=_TEXT,
    value=pa.float64(),
    count=pa.int64(),
    sum=pa.float64(),
    min=pa.float64(),
    max=pa.float64(),
    bounds=pa.list_(pa.float64()),
    bucket_counts=pa.list_(pa.int64()),
    resource=_TEXT,
    scope=_TEXT,
    detail=_TEXT,
)
"""Metric points: ``value`` is null for histograms and summaries, ``count`` and ``sum`` for the others; ``detail`` is
the JSON of what only exponential histograms and summaries have."""

EXEMPLARS: Final = _schema(
    time_unix_nano=_NANO,
    service=_TEXT,
    instance=_TEXT,
    name=_TEXT,
    attributes=_TEXT,
    value=pa.float64(),
    trace_id=_TEXT,
    span_id=_TEXT,
)
"""Exemplars of metric points: ``name`` and ``attributes`` are the point's."""

LOGS: Final = _schema(
    time_unix_nano=_NANO,
    service=_TEXT,
    instance=_TEXT,
    severity=_TEXT,
    severity_number=pa.int32(),
    body=_TEXT,
    trace_id=_TEXT,
    span_id=_TEXT,
    attributes=_TEXT,
    resource=_TEXT,
    scope=_TEXT,
)
"""Log records; a body that is not text is stored as its JSON."""

TABLES: Final[dict[str, pa.Schema]] = {
    "spans": SPANS,
    "metric_points": METRIC_POINTS,
    "exemplars": EXEMPLARS,
    "logs": LOGS,
}
"""Every table by name; also the whitelist of names that a query may use."""

TIME_COLUMN: Final[dict[str, str]] = {
    "spans": "start_unix_nano",
    "metric_points": "time_unix_nano",
    "exemplars": "time_unix_nano",
    "logs": "time_unix_nano",
}
"""The column by which each table is read and aged."""

__all__ = ["EXEMPLARS", "LOGS", "METRIC_POINTS", "SPANS", "TABLES", "TIME_COLUMN"]
