"""One refresh for everyone who looks: each question is asked once, on a thread, and only while somebody wants it.

The page lives in the process that receives telemetry, so it must never cost more than a small part of it: two threads
at most, and after each reading a pause that is at least nine times as long as the reading took.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

    from shopscope.config import Shop

_log = logging.getLogger(__name__)

_THREADS: Final = 2
_REST_FACTOR: Final = 9.0
_RETRY_SECONDS: Final = 2.0


class ReadableStore(Protocol):
    """What the page needs of a store: two ways to read it."""

    def read(
        self,
        table: str,
        since_nano: int,
        until_nano: int,
        trace_id: str | None = None,
        service: str | None = None,
        name: str | None = None,
        limit: int | None = None,
    ) -> "pa.Table":
        """Rows of one table between two times, unix nanoseconds."""

    def sql(self, query: str, params: Any = None) -> "pa.Table":
        """Rows of a query with named parameters."""


class Query(Protocol):
    """A question to the store; equal queries share one refresh, so a query is a frozen value."""

    def load(self, store: ReadableStore, shop: "Shop", now_nano: int) -> Any:
        """Read the store, on a thread, and return a view."""

    def pause_seconds(self, view: Any) -> float | None:
        """Seconds until the view wants a refresh, or None when it will not change any more."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a query last brought.

    Attributes:
        view: the last view that could be read, or None before the first.
        at_nano: when that view was read.
        fault: why the latest attempt failed, or an empty string.
    """

    view: Any = None
    at_nano: int = 0
    fault: str = ""


Listener = Callable[[Reading], None]


@dataclass(slots=True)
class _Watch:
    reading: Reading = field(default_factory=Reading)
    listeners: list[Listener] = field(default_factory=list)
    task: asyncio.Task[None] | None = None


class Feed:
    """Refreshes queries for any number of viewers; used from one event loop.

    Args:
        store: where the telemetry lies.
        shop: the journeys and their thresholds.
        clock: the time now in unix nanoseconds.
    """

    def __init__(self, store: ReadableStore, shop: "Shop", clock: Callable[[], int] = time.time_ns) -> None:
        self.shop = shop
        self._store = store
        self._clock = clock
        self._watches: dict[Query, _Watch] = {}
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="shopscope-page")

    @property
    def watched(self) -> tuple[Query, ...]:
        """The queries that somebody looks at now."""
        return tuple(self._watches)

    def latest(self, query: Query) -> Reading | None:
        """What ``query`` last brought, if somebody looks at it already."""
        watch = self._watches.get(query)
        return watch.reading if watch is not None and watch.reading != Reading() else None

    def watch(self, query: Query, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` after every refresh of ``query``, at once if a reading is at hand.

        Returns:
            A function that ends the watch; the last one to leave ends the refresh.
        """
        watch = self._watches.setdefault(query, _Watch())
        watch.listeners.append(listener)
        if watch.task is None:
            watch.task = asyncio.get_running_loop().create_task(self._refresh(query, watch))
        if watch.reading != Reading():
            _tell(listener, watch.reading)

        def leave() -> None:
            if listener in watch.listeners:
                watch.listeners.remove(listener)
            if not watch.listeners and self._watches.get(query) is watch:
                del self._watches[query]
                if watch.task is not None:
                    watch.task.cancel()

        return leave

    def close(self) -> None:
        """End every refresh; running reads finish on their threads, their results are dropped."""
        for watch in self._watches.values():
            if watch.task is not None:
                watch.task.cancel()
        self._watches.clear()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _refresh(self, query: Query, watch: _Watch) -> None:
        loop = asyncio.get_running_loop()
        pause: float | None = 0.0
        while pause is not None:
            now = self._clock()
            begin = time.perf_counter()
            try:
                view = await loop.run_in_executor(self._threads, query.load, self._store, self.shop, now)
            except Exception as error:  # noqa: BLE001 - whatever the store says, the viewer has to read it and we try again
                fault = str(error) or type(error).__name__
                if fault != watch.reading.fault:
                    _log.warning("page: %r could not be read: %s", query, fault)
                watch.reading = Reading(watch.reading.view, watch.reading.at_nano, fault)
                pause = _RETRY_SECONDS
            else:
                watch.reading = Reading(view, now)
                pause = query.pause_seconds(view)
            for listener in tuple(watch.listeners):
                _tell(listener, watch.reading)
            if pause is not None:
                await asyncio.sleep(max(pause, _REST_FACTOR * (time.perf_counter() - begin)))


def _tell(listener: Listener, reading: Reading) -> None:
    try:
        listener(reading)
    except Exception:  # noqa: BLE001 - one viewer that cannot be drawn must not end the refresh of the others
        _log.exception("page: a view could not be drawn")
