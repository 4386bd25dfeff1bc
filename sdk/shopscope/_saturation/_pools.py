"""Database pools: connections by state, and how long callers wait for one.

Source: https://opentelemetry.io/docs/specs/semconv/database/database-metrics/#connection-pools
"""

import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from prometheus_client.metrics_core import Metric

from shopscope._metrics import _names as names
from shopscope._metrics._instruments import Instruments
from shopscope._metrics._selfmetrics import internal_error
from shopscope._metrics._series import OVERFLOW, CappedCounter, CappedHistogram
from shopscope._saturation._plain import metric_of

_MAX_POOLS = 100


class PoolSize(NamedTuple):
    """Connections of a pool; ``most`` is None for a pool without a limit."""

    idle: int
    used: int
    most: int | None


class PoolUse:
    """What the callers of one pool do; pools of the same name share their series."""

    __slots__ = ("_timeouts", "_wait", "name", "read", "waiting")

    def __init__(
        self, name: str, read: Callable[[Any], PoolSize | None], wait: CappedHistogram, timeouts: CappedCounter
    ) -> None:
        self.name = name
        self.read = read
        self._wait = wait
        self._timeouts = timeouts
        #: Who waits, as a set because that needs no lock.
        self.waiting: set[object] = set()

    def begin(self) -> tuple[object, float]:
        """Somebody asks for a connection; the token is for `end` or `give_up`."""
        token = object()
        self.waiting.add(token)
        return token, time.perf_counter()

    def end(self, began: tuple[object, float]) -> None:
        """They have it."""
        self.waiting.discard(began[0])
        self._wait.observe(time.perf_counter() - began[1])

    def fail(self, began: tuple[object, float], *, is_timeout: bool) -> None:
        """They have none; a wait that was given up is one that lasted so long."""
        if is_timeout:
            self.end(began)
            self._timeouts.inc()
        self.waiting.discard(began[0])


class Pools:
    """The pools that the service has taken connections from."""

    def __init__(self, instruments: Instruments) -> None:
        self._wait = instruments.pool_wait
        self._timeouts = instruments.pool_timeouts
        #: By the pool's id: what gives the pool, as long as it exists, and its use.
        self._uses: dict[int, tuple[Callable[[], Any], PoolUse]] = {}

    def use_of(self, pool: Any, name: Callable[[], str], read: Callable[[Any], PoolSize | None]) -> PoolUse:
        """The use of a pool.

        Args:
            pool: the library's object.
            name: gives the pool's name, stable and without values; asked once.
            read: gives the pool's size, or None when it has been closed.
        """
        known = self._uses.get(id(pool))
        if known is not None:
            return known[1]
        label = name() if len(self._uses) < _MAX_POOLS else OVERFLOW
        use = PoolUse(label, read, self._wait.labels(label), self._timeouts.labels(label))
        self._uses[id(pool)] = self._holder_of(pool), use
        return use

    def after_fork_in_child(self) -> None:
        """Series begin anew."""
        self._uses = {}

    def collect(self) -> Iterator[Metric]:
        """What ``prometheus_client`` calls."""
        counts: dict[tuple[str, str], int] = {}
        most: dict[str, int] = {}
        pending: dict[str, int] = {}
        for use, size in list(self._sizes()):
            pending[use.name] = pending.get(use.name, 0) + len(use.waiting)
            for state, count in (("idle", size.idle), ("used", size.used)):
                counts[use.name, state] = counts.get((use.name, state), 0) + count
            if size.most is not None:
                most[use.name] = most.get(use.name, 0) + size.most
        yield metric_of(
            names.POOL_CONNECTIONS, [({"pool": name, "state": state}, n) for (name, state), n in counts.items()]
        )
        yield metric_of(names.POOL_MAX, [({"pool": name}, n) for name, n in most.items()])
        yield metric_of(names.POOL_PENDING, [({"pool": name}, n) for name, n in pending.items()])

    def _sizes(self) -> Iterator[tuple[PoolUse, PoolSize]]:
        for key, (holder, use) in list(self._uses.items()):
            pool = holder()
            try:
                size = None if pool is None else use.read(pool)
            except Exception:  # noqa: BLE001 (the library's own code, from another thread than its)
                internal_error("size of a database pool")
                continue
            if size is None:
                self._uses.pop(key, None)
            else:
                yield use, size

    def _holder_of(self, pool: Any) -> Callable[[], Any]:
        key = id(pool)
        try:
            return weakref.ref(pool, lambda _: self._uses.pop(key, None))
        except TypeError:
            # Not every class allows weak references; such a pool is let go when it has been closed.
            return lambda: pool
