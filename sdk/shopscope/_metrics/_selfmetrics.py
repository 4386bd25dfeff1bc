"""What the SDK says of itself: nothing is lost or goes wrong uncounted, and nothing is logged over and over."""

import functools
import logging
import threading
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from prometheus_client import REGISTRY, Counter, Histogram

from shopscope._metrics import _names as names

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger("shopscope")

SIGNALS = ("traces", "metrics", "logs")
#: Why records are lost; each is there from the start, at zero, because `increase` does not see a series' first value.
REASONS = ("queue_full", "shutdown", "unreachable", "refused", "rejected", "timeout", "fault")


def _counter(row: names.MetricName) -> Counter:
    return Counter(row.family, row.description, tuple(row.labels))


SENT = _counter(names.SDK_SENT)
SENT_BYTES = _counter(names.SDK_SENT_BYTES)
DROPPED = _counter(names.SDK_DROPPED)
ERRORS = _counter(names.SDK_ERRORS)
OVERFLOWS = _counter(names.SDK_OVERFLOW)
EXPORT_SECONDS = Histogram(names.SDK_EXPORT.family, names.SDK_EXPORT.description, tuple(names.SDK_EXPORT.labels))
_METRICS = (SENT, SENT_BYTES, DROPPED, ERRORS, OVERFLOWS, EXPORT_SECONDS)

_logged: set[str] = set()
# Reentrant: a signal handler that shuts down may come while its own thread is in here.
_lock = threading.RLock()


def log_once(key: str, message: str, *args: object) -> None:
    """Log a warning, the first time that ``key`` is seen."""
    with _lock:
        if key in _logged:
            return
        _logged.add(key)
    logger.warning(message, *args)


def dropped(signal: str, reason: str, count: int = 1, detail: str = "") -> None:
    """Count ``count`` lost records; the first loss for a reason is logged, with the detail that is known."""
    if count <= 0:
        return
    DROPPED.labels(signal, reason).inc(count)
    log_once(
        f"dropped {signal} {reason}",
        "shopscope drops %s (%s); further losses are only counted in shopscope_sdk_dropped_total",
        signal,
        f"{reason}: {detail}" if detail else reason,
    )


def overflowed(metric: str) -> None:
    """Count a series that a metric's cap kept out; the first one of a metric is logged."""
    OVERFLOWS.labels(metric).inc()
    log_once(
        f"overflow {metric}",
        "shopscope: metric %s has more series than its cap; further ones share an overflow series",
        metric,
    )


def internal_error(where: str) -> None:
    """Count the exception being handled; the first one at a place is logged with its trace."""
    ERRORS.labels(where).inc()
    with _lock:
        if where in _logged:
            return
        _logged.add(where)
    # An exception is being handled by whoever calls this.
    logger.warning(
        "shopscope fault in %s, kept from the service; repeats are only counted",
        where,
        exc_info=True,  # noqa: LOG014 (see above)
    )


def never_raises(function: Callable[P, None]) -> Callable[P, None]:
    """Keep every fault of a telemetry function from the service that calls it."""

    @functools.wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except Exception:  # noqa: BLE001 (the promise of this decorator)
            internal_error(function.__qualname__)

    return guarded


def after_fork_in_child() -> None:
    """Another thread of the parent may have held the lock, and what the parent has counted is the parent's."""
    global _lock  # noqa: PLW0603 (replaced as a whole, because it cannot be released)
    _lock = threading.RLock()
    renew_locks(REGISTRY, *_METRICS)
    _begin_at_zero()


def renew_locks(*owners: Any) -> None:
    """Give metrics (or a registry) of ``prometheus_client`` new locks: a thread of the parent may hold the old ones.

    The library does not care for forks itself; without this a child hangs, in about one of a hundred forks under load.
    """
    for owner in owners:
        owner._lock = threading.Lock()  # noqa: SLF001 (there is no public way)


def reset() -> None:
    """Forget what has been logged and counted; for tests."""
    with _lock:
        _logged.clear()
    _begin_at_zero()


def _begin_at_zero() -> None:
    for metric in _METRICS:
        # Not `clear`, which warns where the service uses prometheus_client's multi-process mode.
        metric._metrics = {}  # noqa: SLF001 (see above)
    for signal in SIGNALS:
        for series in (SENT, SENT_BYTES, EXPORT_SECONDS):
            series.labels(signal)
        for reason in REASONS:
            DROPPED.labels(signal, reason)


_begin_at_zero()
