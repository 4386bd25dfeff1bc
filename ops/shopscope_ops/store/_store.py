"""The store as the engine, the page and the answers see it."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import duckdb
import pyarrow as pa

from shopscope_ops.store._database import Database
from shopscope_ops.store._errors import StoreError
from shopscope_ops.store._limits import Limits
from shopscope_ops.store._retention import Retention
from shopscope_ops.store._writer import Writer
from shopscope_ops.store.schema import TABLES, TIME_COLUMN

__all__ = ["Status", "Store"]

_BATCH_ROWS: Final = 16_384


@dataclass(frozen=True, slots=True)
class Status:
    """What the store holds and how it is.

    Attributes:
        rows: rows in the file, by table.
        stored: rows committed since start, by table.
        oldest_unix_nano: time of the oldest row, or None when there is none.
        file_bytes: bytes on disk.
        queued_bytes: bytes that wait for their commit.
        failed_commits: commits that failed since start.
        trouble: why the last commit failed; "" when all is well.
        last_seen_unix_nano: when each service was last heard.
        set_aside: the unreadable file that was set aside at start, or "".
        limits: the bounds in force.
    """

    rows: Mapping[str, int]
    stored: Mapping[str, int]
    oldest_unix_nano: int | None
    file_bytes: int
    queued_bytes: int
    failed_commits: int
    trouble: str
    last_seen_unix_nano: Mapping[str, int]
    set_aside: str
    limits: Limits


class Store:
    """Spans, metric points, exemplars and logs in one DuckDB file. Safe to use from any thread."""

    def __init__(self, folder: Path, limits: Limits | None = None) -> None:
        """Open the store in ``folder``, or make it.

        Args:
            folder: the data folder; one process at a time.
            limits: bounds of age, bytes, queue and memory.

        Raises:
            StoreLockedError: another process has the folder.
            StoreError: the folder cannot be used.
        """
        self.limits = limits or Limits()
        self._database = Database(folder, self.limits.memory_bytes)
        self._writer = Writer(self._database, self.limits, Retention(self._database, self.limits).run)
        self._writer.last_seen_nano.update(self._database.last_seen_nano)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def trouble(self) -> str:
        """Why the last commit failed; "" when all is well."""
        return self._writer.trouble

    def submit(self, tables: Mapping[str, pa.Table]) -> Future[None]:
        """Queue rows by table name; the future is done once they would survive the death of the process.

        Raises:
            QueueFullError: too much waits already; try again after a second.
            StoreUnavailableError: the store is closing.
            StoreError: a table is unknown or its columns are not the schema's.
        """
        for name, table in tables.items():
            if not table.schema.equals(_schema_of(name)):
                raise StoreError(f"table {name} must have the columns of store.schema: {table.schema.names}")
        return self._writer.submit(tables)

    def read(
        self,
        table: str,
        since_nano: int | None = None,
        until_nano: int | None = None,
        trace_id: str | None = None,
        service: str | None = None,
        name: str | None = None,
        limit: int | None = None,
    ) -> pa.Table:
        """Rows of one table with the schema of ``store.schema``, in no promised order.

        Args:
            table: spans, metric_points, exemplars or logs.
            since_nano: first time, included (unix nanoseconds).
            until_nano: last time, excluded.
            trace_id: only rows of this trace.
            service: only rows of this service.
            name: only spans or metrics of this name.
            limit: at most so many rows: the newest.

        Raises:
            StoreError: the table is unknown or has no such column.
        """
        query, parameters = _selection(table, since_nano, until_nano, trace_id, service, name, limit)
        return self.sql(query, parameters).cast(TABLES[table])

    @contextmanager
    def stream(
        self,
        table: str,
        since_nano: int | None = None,
        until_nano: int | None = None,
        trace_id: str | None = None,
        service: str | None = None,
        name: str | None = None,
        limit: int | None = None,
    ) -> Iterator[Iterator[pa.RecordBatch]]:
        """As ``read``, but batch by batch, so that the memory used does not grow with the rows.

        Raises:
            StoreError: the table is unknown or has no such column.
        """
        query, parameters = _selection(table, since_nano, until_nano, trace_id, service, name, limit)
        with self._database.cursor() as cursor, _as_store_error():
            reader: Any = cursor.sql(query, params=parameters).to_arrow_reader(_BATCH_ROWS)
            yield (batch.cast(TABLES[table]) for batch in reader)

    def sql(self, query: str, parameters: Sequence[Any] | Mapping[str, Any] | None = None) -> pa.Table:
        """The answer to a query of the program's own; values belong into ``parameters``.

        Raises:
            StoreError: the query is wrong, or the database is not open at the moment.
        """
        with self._database.cursor() as cursor, _as_store_error():
            return cursor.sql(query, params=parameters).to_arrow_table()

    def status(self) -> Status:
        """What the store holds; a few milliseconds.

        Raises:
            StoreError: the database is not open at the moment.
        """
        found = {
            name: self.sql(f'SELECT count(*) AS rows, min("{column}") AS oldest FROM "{name}"').to_pylist()[0]  # noqa: S608  # names are the schema's
            for name, column in TIME_COLUMN.items()
        }
        writer = self._writer
        return Status(
            rows={name: row["rows"] for name, row in found.items()},
            stored={name: writer.stored[name] for name in TABLES},
            oldest_unix_nano=min((row["oldest"] for row in found.values() if row["rows"]), default=None),
            file_bytes=self._database.file_bytes,
            queued_bytes=writer.queued_bytes,
            failed_commits=writer.failed_commits,
            trouble=writer.trouble,
            last_seen_unix_nano=dict(sorted(writer.last_seen_nano.items())),
            set_aside=str(self._database.set_aside or ""),
            limits=self.limits,
        )

    def close(self, deadline_seconds: float = 5.0) -> bool:
        """Commit what waits, and close the file.

        Returns:
            Whether everything was committed before the deadline.
        """
        is_flushed = self._writer.close(deadline_seconds)
        self._database.close()
        return is_flushed


def _schema_of(table: str) -> pa.Schema:
    schema = TABLES.get(table)
    if schema is None:
        raise StoreError(f"table must be one of {', '.join(TABLES)}: {table!r}")
    return schema


def _selection(
    table: str,
    since_nano: int | None,
    until_nano: int | None,
    trace_id: str | None,
    service: str | None,
    name: str | None,
    limit: int | None,
) -> tuple[str, dict[str, Any]]:
    """The query for ``read`` and its parameters: names are the schema's, values never become text of the query."""
    schema, time_column = _schema_of(table), TIME_COLUMN[table]
    filters = {
        f'"{time_column}" >= $since': ("since", since_nano),
        f'"{time_column}" < $until': ("until", until_nano),
        "trace_id = $trace_id": ("trace_id", trace_id),
        "service = $service": ("service", service),
        "name = $name": ("name", name),
    }
    used = {text: entry for text, entry in filters.items() if entry[1] is not None}
    parameters: dict[str, Any] = dict(used.values())
    for column in ("trace_id", "service", "name"):
        if column in parameters and column not in schema.names:
            raise StoreError(f"table {table} has no column {column}: {parameters[column]!r}; leave it out")
    where = f"WHERE {' AND '.join(used)}" if used else ""
    columns = ", ".join(f'"{column}"' for column in schema.names)
    if limit is None:
        return f'SELECT {columns} FROM "{table}" {where}', parameters  # noqa: S608  # names are the schema's
    # Sorting whole rows would spill to disk: the limit's time is found on the one column first.
    newest = f'SELECT "{time_column}" AS t FROM "{table}" {where} ORDER BY t DESC LIMIT $limit'  # noqa: S608  # same
    bound = f'"{time_column}" >= (SELECT min(t) FROM ({newest}))'  # noqa: S608  # same
    where = f"{where} AND {bound}" if where else f"WHERE {bound}"
    query = f'SELECT {columns} FROM "{table}" {where} LIMIT $limit'  # noqa: S608  # same
    return query, parameters | {"limit": limit}


@contextmanager
def _as_store_error() -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        raise StoreError(f"the query failed: {error}") from error
