"""The DuckDB file: opened by one process, set aside when it cannot be read, reopened after a fatal error."""

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from shopscope_ops.store._errors import StoreError, StoreLockedError, StoreUnavailableError
from shopscope_ops.store.schema import TABLES, TIME_COLUMN

__all__ = ["FILE_NAME", "SCHEMA_VERSION", "Database"]

FILE_NAME: Final = "shopscope.duckdb"
SCHEMA_VERSION: Final = 1
"""Raised with every change of ``store.schema`` that a file of before does not fit."""

_HOLDER: Final = re.compile(r"Conflicting lock is held in (.+?) \(PID (\d+)\)")
# DuckDB has no error class for a damaged file; these are the words of its storage, checksum and replay errors.
_DAMAGED: Final = re.compile(
    r"not a valid DuckDB|corrupt|checksum|replaying WAL|serializ|version number|newer version|storage version"
    r"|could not read (enough|all) bytes|INTERNAL Error",
    re.IGNORECASE,
)
_COLUMN_TYPES: Final = {
    pa.string(): "VARCHAR",
    pa.int64(): "BIGINT",
    pa.int32(): "INTEGER",
    pa.float64(): "DOUBLE",
    pa.bool_(): "BOOLEAN",
    pa.list_(pa.float64()): "DOUBLE[]",
    pa.list_(pa.int64()): "BIGINT[]",
}
_log = logging.getLogger(__name__)


class Database:
    """One DuckDB file and its connections.

    Attributes:
        path: the file.
        last_seen_nano: newest time of each service's rows when the file was opened (unix nanoseconds).
        set_aside: where an unreadable or incompatible earlier file went, if there was one.
    """

    def __init__(self, folder: Path, memory_bytes: int) -> None:
        """Open the file in ``folder``, or make it.

        Raises:
            StoreLockedError: another process has it open.
            StoreError: the folder or the file cannot be used.
        """
        self.path = folder / FILE_NAME
        self.last_seen_nano: dict[str, int] = {}
        self.set_aside: Path | None = None
        self._memory_bytes = memory_bytes
        self._guard = threading.Lock()
        self._cursors: set[duckdb.DuckDBPyConnection] = set()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"data folder must be a writable folder: {folder}: {error}; give another one") from error
        self._connection: duckdb.DuckDBPyConnection | None = self._open()

    @property
    def wal_path(self) -> Path:
        """DuckDB's write-ahead log; absent after a checkpoint."""
        return self.path.with_name(f"{FILE_NAME}.wal")

    @property
    def file_bytes(self) -> int:
        """Bytes on disk, log included."""
        return _size(self.path) + _size(self.wal_path)

    @property
    def wal_bytes(self) -> int:
        """Bytes of the write-ahead log."""
        return _size(self.wal_path)

    @contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection of one's own, for one thread: readers do not wait for the writer.

        Raises:
            StoreUnavailableError: the database is closed, or could not be reopened yet.
        """
        with self._guard:
            if self._connection is None:
                raise StoreUnavailableError(f"{self.path} is not open at the moment; try again", 5)
            cursor = self._connection.cursor()
            self._cursors.add(cursor)
        try:
            yield cursor
        finally:
            with self._guard:
                self._cursors.discard(cursor)
            with suppress(duckdb.Error):
                cursor.close()

    @property
    def is_open(self) -> bool:
        """False between a failed ``reopen`` and the next that succeeds."""
        return self._connection is not None

    def reopen(self) -> None:
        """Close every connection and open the file again: after a fatal error DuckDB refuses all work until then.

        Raises:
            StoreError: it cannot be opened (yet).
        """
        self.close()
        with self._guard:
            self._connection = self._connect()

    def close(self) -> None:
        """Close every connection; a question under way fails."""
        with self._guard:
            connections = [*self._cursors, self._connection]
            self._cursors.clear()
            self._connection = None
        for connection in connections:
            if connection is not None:
                with suppress(duckdb.Error):
                    connection.close()

    def _open(self) -> duckdb.DuckDBPyConnection:
        """A connection to a file of our schema; any other file is set aside first."""
        try:
            connection = self._connect()
            reason = self._misfit(connection)
            if reason:
                connection.close()
        except duckdb.Error as error:
            if not _DAMAGED.search(str(error)):
                raise StoreError(f"{self.path} cannot be opened: {error}; correct it or give another folder") from error
            reason = f"it cannot be read ({str(error).partition(chr(10))[0]})"
        if reason:
            self._move_aside(reason)
            connection = self._connect()
        if not _table_names(connection):
            _create_tables(connection)
        return connection

    def _misfit(self, connection: duckdb.DuckDBPyConnection) -> str:
        """Why the file's tables are not ours; "" when they are, or when there are none yet.

        Reading two columns of every table shows a file that was cut short, which opening it does not.
        """
        try:
            names = _table_names(connection)
            if names and "shopscope_meta" not in names:
                return "it holds other tables than ours"
            if names:
                (version,) = connection.execute("SELECT schema_version FROM shopscope_meta").fetchall()[0]
                if version != SCHEMA_VERSION:
                    return f"its schema version is {version}, this program's is {SCHEMA_VERSION}"
                self.last_seen_nano = _last_seen(connection)
        except duckdb.Error:
            connection.close()
            raise
        return ""

    def _connect(self) -> duckdb.DuckDBPyConnection:
        # The writer decides when to checkpoint: one that happens inside a commit could fail after the rows are durable.
        settings: dict[str, Any] = {"memory_limit": f"{self._memory_bytes}B", "checkpoint_threshold": "1TB"}
        try:
            return duckdb.connect(str(self.path), config=settings)
        except duckdb.Error as error:
            holder = _HOLDER.search(str(error))
            if holder is None:
                raise
            raise StoreLockedError(
                f"data folder {self.path.parent} must belong to one process: process {holder[2]} ({holder[1]}) has "
                f"{FILE_NAME} open; stop it or give another folder"
            ) from error

    def _move_aside(self, reason: str) -> None:
        """Keep what cannot be used: its owner may have the tool that reads it."""
        target = self.path.with_name(f"{FILE_NAME}.bak")
        number = 1
        while target.exists():
            number += 1
            target = self.path.with_name(f"{FILE_NAME}.bak{number}")
        if self.wal_path.exists():
            self.wal_path.rename(target.with_name(f"{target.name}.wal"))
        self.path.rename(target)
        self.set_aside = target
        _log.warning("%s was set aside as %s and a new file begun: %s", self.path, target.name, reason)


def _table_names(connection: duckdb.DuckDBPyConnection) -> set[str]:
    return {row[0] for row in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}


def _last_seen(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    times = " UNION ALL ".join(
        f'SELECT service, max("{column}") AS t FROM "{name}" GROUP BY service'  # noqa: S608  # names are the schema's
        for name, column in TIME_COLUMN.items()
    )
    query = f"SELECT service, max(t) FROM ({times}) GROUP BY service"  # noqa: S608  # same
    return dict(connection.execute(query).fetchall())


def _create_tables(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("BEGIN")
    for name, schema in TABLES.items():
        columns = ", ".join(f'"{column.name}" {_COLUMN_TYPES[column.type]}' for column in schema)
        connection.execute(f'CREATE TABLE "{name}" ({columns})')
    connection.execute("CREATE TABLE shopscope_meta (schema_version INTEGER)")
    connection.execute("INSERT INTO shopscope_meta VALUES (?)", [SCHEMA_VERSION])
    connection.execute("COMMIT")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
