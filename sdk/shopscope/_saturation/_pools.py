"""Database pools: connections by state, and how long callers wait for one.

Source: https://opentelemetry.io/docs/specs/semconv/database/database-metrics/#connection-pools
"""

import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from prometheus_client.metrics_core import Metric

from shopscope import _names as names
from shopscope._instruments import Instruments
from shopscope._saturation._plain import metric_of
from shopscope._selfmetrics import internal_error
from shopscope._series import OVERFLOW, CappedCounter, CappedHistogram

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
        self, name: str, read: Callable[[Any], PoolSize], wait: CappedHistogram, timeouts: CappedCounter
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
        self._uses: weakref.WeakKeyDictionary[Any, PoolUse] = weakref.WeakKeyDictionary()

    def use_of(self, pool: Any, name: Callable[[], str], read: Callable[[Any], PoolSize]) -> PoolUse:
        """The use of a pool.

        Args:
            pool: the library's object; it is not kept alive.
            name: gives the pool's name, stable and without values; asked once.
            read: gives the pool's size.
        """
        use = self._uses.get(pool)
        if use is None:
            label = name() if len(self._uses) < _MAX_POOLS else OVERFLOW
            use = PoolUse(label, read, self._wait.labels(label), self._timeouts.labels(label))
            self._uses[pool] = use
        return use

    def after_fork_in_child(self) -> None:
        """Series begin anew."""
        self._uses = weakref.WeakKeyDictionary()

    def collect(self) -> Iterator[Metric]:
        """What ``prometheus_client`` calls."""
        counts: dict[tuple[str, str], int] = {}
        most: dict[str, int] = {}
        pending: dict[str, int] = {}
        for pool, use in list(self._uses.items()):
            pending[use.name] = pending.get(use.name, 0) + len(use.waiting)
            try:
                size = use.read(pool)
            except Exception:  # noqa: BLE001 (the library's own code, from another thread than its)
                internal_error("size of a database pool")
                continue
            for state, count in (("idle", size.idle), ("used", size.used)):
                counts[use.name, state] = counts.get((use.name, state), 0) + count
            if size.most is not None:
                most[use.name] = most.get(use.name, 0) + size.most
        yield metric_of(
            names.POOL_CONNECTIONS, [({"pool": name, "state": state}, n) for (name, state), n in counts.items()]
        )
        yield metric_of(names.POOL_MAX, [({"pool": name}, n) for name, n in most.items()])
        yield metric_of(names.POOL_PENDING, [({"pool": name}, n) for name, n in pending.items()])
