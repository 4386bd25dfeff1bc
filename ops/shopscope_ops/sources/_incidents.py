"""Recorded incidents: Parquet files of spans, kinds and statuses unknown."""

from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shopscope_ops.sources._errors import InputError, input_error
from shopscope_ops.sources._telemetry import Telemetry
from shopscope_ops.sources._window import of_file
from shopscope_ops.store.schema import SPANS

__all__ = ["read_incident"]

_NEEDED: Final = ("trace_id", "span_id", "parent_span_id", "service", "name", "start_unix_nano")


def read_incident(path: Path, origin: Path) -> Telemetry:
    """Spans of a Parquet file with the columns of ``store.schema.SPANS``, or with ``end_unix_nano`` for the duration.

    Columns beside the needed ones may be missing: they are unknown then.

    Raises:
        InputError: the file is no Parquet, or lacks a column, or a column has the wrong type.
    """
    try:
        table = pq.ParquetFile(path).read()
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path} must be a readable Parquet file: {error}; record it again") from error
    length = "duration_nano" if "duration_nano" in table.column_names else "end_unix_nano"
    missing = [name for name in (*_NEEDED, length) if name not in table.column_names]
    if missing:
        rule = f"spans with the columns {', '.join((*_NEEDED, 'end_unix_nano'))}"
        raise input_error(path, f"columns {', '.join(missing)}", rule, table.column_names, "add or rename the columns")
    return of_file(str(origin), {"spans": _spans(path, table)})


def _spans(path: Path, table: pa.Table) -> pa.Table:
    columns = []
    for field in SPANS:
        if field.name == "duration_nano" and field.name not in table.column_names:
            end = _cast(path, table, "end_unix_nano", pa.int64())
            columns.append(pc.subtract(end, _cast(path, table, "start_unix_nano", pa.int64())))
        elif field.name in table.column_names:
            columns.append(_cast(path, table, field.name, field.type))
        else:
            columns.append(pa.repeat(pa.scalar("", pa.string()), len(table)))
    return pa.table(columns, schema=SPANS)


def _cast(path: Path, table: pa.Table, name: str, kind: pa.DataType) -> pa.ChunkedArray:
    column = table[name]
    try:
        cast = column.cast(kind)
    except pa.ArrowException as error:
        raise input_error(path, f"column {name}", f"of type {kind}", str(column.type), "convert the column") from error
    if kind == pa.string():
        return pc.fill_null(cast, "")
    if cast.null_count:
        row = pc.index(pc.is_null(cast), True).as_py()
        raise input_error(path, f"column {name}, row {row}", "a time in nanoseconds", None, "remove the row")
    return cast
