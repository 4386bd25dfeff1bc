"""Keeps the store within its age and its bytes. Runs on the writer's thread, between commits."""

import logging
import time
from typing import Final

from shopscope_ops.store._database import Database
from shopscope_ops.store._limits import Limits
from shopscope_ops.store.schema import TIME_COLUMN

__all__ = ["Retention"]

_KEPT_SHARE: Final = 0.75
"""How full the file is left when rows must go: so that it happens rarely, and three quarters of what fits stay."""
_PATIENCE_SECONDS: Final = 60.0
_log = logging.getLogger(__name__)


class Retention:
    """Folds the log into the file, and removes rows that are too old or too many."""

    def __init__(self, database: Database, limits: Limits) -> None:
        self._database = database
        self._limits = limits
        self._age_interval_seconds = min(60.0, limits.max_age_seconds / 20)
        self._next_age_check = 0.0
        self._reclaiming_until = 0.0
        self._next_checkpoint = 0.0
        self._checked_bytes = 0

    def run(self) -> None:
        """Do what is due; mostly nothing."""
        now = time.monotonic()
        if now >= self._next_age_check:
            self._next_age_check = now + self._age_interval_seconds
            self._remove_old(time.time_ns() - int(self._limits.max_age_seconds * 1e9))
        # Live blocks count beside the log: DuckDB writes very large commits to the database file at once.
        grown_bytes = self._database.wal_bytes + self._live_bytes() - self._checked_bytes
        if grown_bytes >= self._limits.checkpoint_bytes and now >= self._next_checkpoint:
            self._checkpoint()
            self._remove_excess(now)
            self._checked_bytes = self._live_bytes()

    def _remove_old(self, before_nano: int) -> None:
        if self._delete("<", before_nano):
            self._checkpoint()

    def _remove_excess(self, now: float) -> None:
        """Remove the oldest rows if the file is too full.

        Blocks of removed rows become free at a checkpoint unless a reader's snapshot holds them. Then nothing more is
        removed for a minute: else one slow reader would empty the store.
        """
        full_bytes, live_bytes = self._limits.reclaim_bytes, self._live_bytes()
        if now < self._reclaiming_until or live_bytes <= full_bytes:
            return
        share = 1 - _KEPT_SHARE * full_bytes / live_bytes
        times = " UNION ALL ".join(
            f'SELECT "{column}" AS t FROM "{name}"'  # noqa: S608  # names are the schema's
            for name, column in TIME_COLUMN.items()
        )
        query = f"SELECT quantile_disc(t, {share}) FROM ({times})"  # noqa: S608  # same
        with self._database.cursor() as cursor:
            ((cutoff,),) = cursor.execute(query).fetchall()
        removed = self._delete("<=", cutoff)
        self._checkpoint()
        self._reclaiming_until = 0.0 if self._live_bytes() < live_bytes else now + _PATIENCE_SECONDS
        _log.info("removed the oldest %d rows to stay below %d bytes", removed, self._limits.max_bytes)

    def _delete(self, comparison: str, cutoff_nano: int) -> int:
        removed = 0
        with self._database.cursor() as cursor:
            for name, column in TIME_COLUMN.items():
                statement = f'DELETE FROM "{name}" WHERE "{column}" {comparison} ?'  # noqa: S608  # same
                removed += cursor.execute(statement, [cutoff_nano]).fetchall()[0][0]
        return removed

    def _checkpoint(self) -> None:
        # A checkpoint that fails (full disk) is fatal to every connection: it must not be tried after each commit.
        self._next_checkpoint = time.monotonic() + _PATIENCE_SECONDS
        with self._database.cursor() as cursor:
            cursor.execute("CHECKPOINT").fetchall()
        self._next_checkpoint = 0.0

    def _live_bytes(self) -> int:
        with self._database.cursor() as cursor:
            row = cursor.execute("SELECT block_size * used_blocks FROM pragma_database_size()").fetchall()
        return int(row[0][0])
