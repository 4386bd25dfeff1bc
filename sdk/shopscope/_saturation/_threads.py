"""Threads that blocking work waits for: the event loop's default executor, and anyio's, which sync endpoints run in."""

import asyncio
import sys
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from prometheus_client.metrics_core import Metric

from shopscope import _names as names
from shopscope._saturation._plain import metric_of

_ROWS = (names.THREADS_WAITING, names.THREADS_USED, names.THREADS_MAX)


class Threads:
    """Reads the pools of the loops that serve requests, when asked."""

    def __init__(self) -> None:
        self._loops: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()
        self._limiters: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Any] = weakref.WeakKeyDictionary()

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Know a loop; called in one of its tasks."""
        self._loops.add(loop)
        # Whoever uses anyio has imported it by now; its limiter can be asked for on the loop alone.
        if loop not in self._limiters and "anyio.to_thread" in sys.modules:
            self._limiters[loop] = sys.modules["anyio.to_thread"].current_default_thread_limiter()

    def after_fork_in_child(self) -> None:
        """The loops are the parent's."""
        self._loops = weakref.WeakSet()
        self._limiters = weakref.WeakKeyDictionary()

    def collect(self) -> Iterator[Metric]:
        """What ``prometheus_client`` calls."""
        found = [("anyio", _of_limiter(limiter)) for limiter in self._limiters.values()]
        # No public name; the executor comes into being with the first `run_in_executor`.
        executors = [getattr(loop, "_default_executor", None) for loop in list(self._loops)]
        found += [("default", _of_executor(pool)) for pool in executors if isinstance(pool, ThreadPoolExecutor)]
        for index, row in enumerate(_ROWS):
            sums: dict[str, int] = {}
            for pool, figures in found:
                sums[pool] = sums.get(pool, 0) + figures[index]
            yield metric_of(row, [({"pool": pool}, value) for pool, value in sums.items()])


def _of_limiter(limiter: Any) -> tuple[int, int, int]:
    statistics = limiter.statistics()
    return statistics.tasks_waiting, statistics.borrowed_tokens, int(statistics.total_tokens)


def _of_executor(executor: ThreadPoolExecutor) -> tuple[int, int, int]:
    # No public names either: https://github.com/python/cpython/blob/3.13/Lib/concurrent/futures/thread.py
    waiting = executor._work_queue.qsize()  # noqa: SLF001 (see above)
    idle = executor._idle_semaphore._value  # noqa: SLF001 (see above)
    return waiting, max(0, len(executor._threads) - idle), executor._max_workers  # noqa: SLF001 (see above)
