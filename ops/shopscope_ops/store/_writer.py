"""The one thread that writes: it joins what several requests brought into one commit, then acknowledges them all.

A request is acknowledged after its commit, so what was acknowledged survives the death of the process. A commit has
fixed costs (log, fsync, transaction): shared by 10,000 rows it costs 2 µs a row, alone for 512 rows 10 µs.
"""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final

import duckdb
import pyarrow as pa

from shopscope_ops.store._database import Database
from shopscope_ops.store._errors import QueueFullError, StoreError, StoreUnavailableError
from shopscope_ops.store._limits import Limits

__all__ = ["Writer"]

_RETRY_SECONDS: Final = 5
_TICK_SECONDS: Final = 1.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Request:
    tables: Mapping[str, pa.Table]
    rows: int
    size: int
    arrived: float
    done: Future[None]


class Writer:
    """A bounded queue and the thread that empties it into the database.

    Attributes:
        failed_commits: commits that the database refused, since start.
        stored: rows committed since start, by table.
        last_seen_nano: when rows of each service were last committed (unix nanoseconds).
        trouble: why the last commit failed; "" when it did not.
    """

    def __init__(self, database: Database, limits: Limits, housekeeping: Callable[[], None]) -> None:
        self.failed_commits = 0
        self.stored: Counter[str] = Counter()
        self.last_seen_nano: dict[str, int] = {}
        self.trouble = ""
        self._database = database
        self._limits = limits
        self._housekeeping = housekeeping
        self._requests: deque[_Request] = deque()
        self._queued_rows = 0
        self._queued_bytes = 0
        self._closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="shopscope-store-writer", daemon=True)
        self._thread.start()

    @property
    def queued_bytes(self) -> int:
        """Bytes that wait for their commit, those being committed included."""
        return self._queued_bytes

    def submit(self, tables: Mapping[str, pa.Table]) -> Future[None]:
        """Queue rows; the future is done once they are durable, or failed with a ``StoreUnavailableError``.

        Raises:
            QueueFullError: too much waits already.
            StoreUnavailableError: the store is closing.
        """
        rows = sum(table.num_rows for table in tables.values())
        size = sum(table.nbytes for table in tables.values())
        request = _Request(tables, rows, size, time.monotonic(), Future())
        if rows == 0:
            request.done.set_result(None)
            return request.done
        with self._changed:
            if self._closing:
                raise StoreUnavailableError("the store is closing; send again after it has restarted", _RETRY_SECONDS)
            # A request larger than the whole queue is let in when it is alone: refusing it would be for ever.
            if self._queued_bytes and self._queued_bytes + size > self._limits.queue_bytes:
                raise QueueFullError(
                    f"queue must hold at most {self._limits.queue_bytes} bytes: {self._queued_bytes} wait; send slower",
                    1,
                )
            self._requests.append(request)
            self._queued_rows += rows
            self._queued_bytes += size
            self._changed.notify()
        return request.done

    def close(self, deadline_seconds: float) -> bool:
        """Refuse new rows and commit those that wait.

        Returns:
            Whether all were committed before the deadline.
        """
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(deadline_seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            requests = self._next_requests()
            if requests:
                self._commit(requests)
            elif self._closing:
                return
            elif not self._database.is_open:
                self._reopen()
            if not self.trouble:
                self._guarded("housekeeping", self._housekeeping)

    def _next_requests(self) -> list[_Request]:
        """What the next commit takes; empty when a second passed without rows, so that housekeeping gets its turn."""
        limits = self._limits
        with self._changed:
            self._changed.wait_for(lambda: self._requests or self._closing, _TICK_SECONDS)
            if not self._requests:
                return []
            patience = self._requests[0].arrived + limits.flush_seconds - time.monotonic()
            self._changed.wait_for(lambda: self._closing or self._queued_rows >= limits.flush_rows, patience)
            taken: list[_Request] = []
            rows = 0
            while self._requests and rows < limits.flush_rows:
                taken.append(self._requests.popleft())
                rows += taken[-1].rows
            self._queued_rows -= rows
            return taken

    def _commit(self, requests: list[_Request]) -> None:
        error = self._guarded("a commit", lambda: self._insert(requests))
        with self._changed:
            self._queued_bytes -= sum(request.size for request in requests)
        if error is None:
            self._count(requests)
        else:
            self.failed_commits += 1
        for request in requests:
            if error is None:
                request.done.set_result(None)
            else:
                request.done.set_exception(StoreUnavailableError(f"rows were not stored: {error}", _RETRY_SECONDS))

    def _insert(self, requests: list[_Request]) -> None:
        names = dict.fromkeys(name for request in requests for name in request.tables)
        with self._database.cursor() as cursor:
            cursor.execute("BEGIN")
            for name in names:
                table = pa.concat_tables(request.tables[name] for request in requests if name in request.tables)
                cursor.register("incoming", table)
                cursor.execute(f'INSERT INTO "{name}" SELECT * FROM incoming')  # noqa: S608  # names come from schema.TABLES
                cursor.unregister("incoming")
            cursor.execute("COMMIT")

    def _guarded(self, what: str, work: Callable[[], None]) -> Exception | None:
        """Do the work; a fault is logged once until work succeeds again, and never ends the thread."""
        try:
            work()
        except Exception as error:  # noqa: BLE001  # whatever it is, the senders must hear of it and the next rows be tried
            if not self.trouble:
                _log.error("%s failed: %s; senders are asked to try again later", what, error)
            self.trouble = str(error)
            if isinstance(error, (duckdb.FatalException, duckdb.InternalException, StoreUnavailableError)):
                self._reopen()
            return error
        if self.trouble:
            _log.warning("the store works again")
            self.trouble = ""
        return None

    def _reopen(self) -> None:
        try:
            self._database.reopen()
        except (duckdb.Error, StoreError) as error:
            self.trouble = str(error)

    def _count(self, requests: list[_Request]) -> None:
        now = time.time_ns()
        for request in requests:
            for name, table in request.tables.items():
                self.stored[name] += table.num_rows
                for service in table.column("service").unique().to_pylist():
                    self.last_seen_nano[service] = now
