"""What the SDK says of itself: nothing is lost or goes wrong uncounted, and nothing is logged over and over."""

import functools
import logging
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from prometheus_client import Counter, Histogram

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger("shopscope")

SENT = Counter("shopscope_sdk_spans", "Records delivered to the OTLP endpoint.", ["signal"])
DROPPED = Counter("shopscope_sdk_dropped", "Records lost, by reason.", ["signal", "reason"])
ERRORS = Counter("shopscope_sdk_errors", "Faults inside the SDK that were kept from the service.", ["where"])
EXPORT_SECONDS = Histogram("shopscope_sdk_export_seconds", "Time of one export request.", ["signal"])

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
    _begin_at_zero()


def reset() -> None:
    """Forget what has been logged and counted; for tests."""
    with _lock:
        _logged.clear()
    _begin_at_zero()


def _begin_at_zero() -> None:
    for metric in (SENT, DROPPED, ERRORS, EXPORT_SECONDS):
        metric.clear()
