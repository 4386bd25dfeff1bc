"""Requests that have been answered, and are recorded several in a row.

What runs for many in a row finds its code and data in the processor's caches, where the service's own work has driven
them out in between: recorded so, a request costs half. It is done between requests of a server that is running, and
soon; whoever reads metrics, flushes or shuts down has it done at once.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from shopscope._logging._output import write_lines
from shopscope._metrics._selfmetrics import internal_error

if TYPE_CHECKING:
    from shopscope._serving._request import Request

_MOST = 64
# So short that a request which comes amid a group waits for no more than the few of this time.
_LONGEST_SECONDS = 0.003
_LONGEST_NANO = 3_000_000
# Requests that come further apart save nothing by waiting, and the next one might have to wait for their group.
_SPARSE_NANO = 1_000_000

#: Takes a request; returns the access line.
Record = Callable[["Request"], bytes]


class Endings:
    """The requests of one application that wait; safe to settle from any thread."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._waiting: deque[Request] = deque()
        # When the timer that is running will have run.
        self._settled_at_unix_nano = 0
        self._last_end_unix_nano = time.time_ns()

    def add(self, request: "Request") -> None:
        """Record a request that has ended, in a few milliseconds at the latest."""
        waiting, now, last = self._waiting, request.end_unix_nano, self._last_end_unix_nano
        waiting.append(request)
        self._last_end_unix_nano = now
        if len(waiting) >= _MOST or now - last > _SPARSE_NANO:
            self.settle()
        elif now >= self._settled_at_unix_nano:
            try:
                asyncio.get_running_loop().call_later(_LONGEST_SECONDS, self.settle)
            except RuntimeError:
                # A loop of another kind.
                self.settle()
            else:
                self._settled_at_unix_nano = now + _LONGEST_NANO

    def settle(self) -> None:
        """Record what waits."""
        waiting, record = self._waiting, self._record
        lines: list[bytes] = []
        try:
            while waiting:
                try:
                    request = waiting.popleft()
                except IndexError:
                    # Another thread has taken the last.
                    return
                try:
                    lines.append(record(request))
                except Exception:  # noqa: BLE001 (telemetry never raises into the service)
                    internal_error("end of request")
        finally:
            if lines:
                write_lines(lines)

    def forget(self) -> None:
        """Drop what waits: after a fork it is the parent's to record."""
        self._waiting.clear()
        self._settled_at_unix_nano = 0
        self._last_end_unix_nano = time.time_ns()
