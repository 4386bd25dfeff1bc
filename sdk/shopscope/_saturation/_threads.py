"""Threads that blocking work waits for: anyio's, which sync endpoints run in, and those of executors.

An event loop's default executor, which ``asyncio.to_thread`` uses, is one of those. Under uvloop it cannot be told from
others, so that all executors of the process are taken together.
"""

import asyncio
import sys
import weakref
from collections.abc import Iterator
from typing import Any

from prometheus_client.metrics_core import Metric

from shopscope._metrics import _names as names
from shopscope._saturation._plain import metric_of

_ANYIO, _EXECUTOR = {"pool": "anyio"}, {"pool": "executor"}


class Threads:
    """Reads the pools of the loops that serve requests, when asked."""

    def __init__(self) -> None:
        self._limiters: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Any] = weakref.WeakKeyDictionary()

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Know a loop; called in one of its tasks."""
        # Whoever uses anyio has imported it by now; its limiter can be asked for on the loop alone.
        if loop not in self._limiters and "anyio.to_thread" in sys.modules:
            self._limiters[loop] = sys.modules["anyio.to_thread"].current_default_thread_limiter()

    def after_fork_in_child(self) -> None:
        """The loops are the parent's."""
        self._limiters = weakref.WeakKeyDictionary()

    def collect(self) -> Iterator[Metric]:
        """What ``prometheus_client`` calls."""
        found = [limiter.statistics() for limiter in list(self._limiters.values())]
        waiting = [(_ANYIO, sum(one.tasks_waiting for one in found))] if found else []
        yield metric_of(names.THREADS_WAITING, [*waiting, (_EXECUTOR, _queued())])
        for row, figure in ((names.THREADS_USED, "borrowed_tokens"), (names.THREADS_MAX, "total_tokens")):
            total = sum(getattr(one, figure) for one in found)
            yield metric_of(row, [(_ANYIO, total)] if found else [])


def _queued() -> int:
    """Work that no thread of an executor has taken yet.

    The standard library keeps this table of threads and queues to end them at exit; it has no public name.
    """
    # Whoever has an executor has imported this.
    table = getattr(sys.modules.get("concurrent.futures.thread"), "_threads_queues", {})
    queues = {id(queue): queue for queue in list(table.values())}
    return sum(queue.qsize() for queue in queues.values())
