"""circuitbreaker: it has no listeners, but runs every call inside the breaker as a context manager.

Source: https://github.com/fabfuel/circuitbreaker
"""

import functools
from typing import Any

import circuitbreaker

from shopscope import _guards as guards
from shopscope._selfmetrics import never_raises

_EVENTS = {"open": "opened", "half_open": "half_opened", "closed": "closed"}


def instrument() -> None:
    """Wrap what happens to a breaker."""
    breaker = circuitbreaker.CircuitBreaker
    if not hasattr(breaker.__enter__, "__wrapped__"):
        breaker.__enter__ = _wrap_enter(breaker.__enter__)
        breaker.__exit__ = _wrap_exit(breaker.__exit__)
        breaker.fallback_function = property(_wrap_fallback(breaker.fallback_function.fget))
        circuitbreaker.CircuitBreakerError.__init__ = _wrap_error(circuitbreaker.CircuitBreakerError.__init__)


def _guard_of(breaker: Any) -> guards.Guard:
    guard = guards.attached(breaker, "breaker", breaker.name or "")
    guard.state = guard.state or "closed"
    return guard


@never_raises
def _note_state(breaker: Any) -> None:
    _guard_of(breaker).note_state(breaker.state, _EVENTS.get(breaker.state, ""))


@never_raises
def _count_rejection(breaker: Any) -> None:
    _guard_of(breaker).count("rejected")


def _wrap_enter(original: Any) -> Any:
    @functools.wraps(original)
    def enter(self: Any) -> Any:
        if guards.begin(_guard_of, self) is not None:
            _note_state(self)
        return original(self)

    return enter


def _wrap_exit(original: Any) -> Any:
    @functools.wraps(original)
    def leave(self: Any, *error: Any) -> Any:
        try:
            return original(self, *error)
        finally:
            _note_state(self)
            guards.leave(_guard_of, self)

    return leave


def _wrap_fallback(original: Any) -> Any:
    @functools.wraps(original)
    def fallback_function(self: Any) -> Any:
        fallback = original(self)
        if fallback is None:
            return None

        @functools.wraps(fallback)
        def instead(*args: Any, **kwargs: Any) -> Any:
            # A breaker calls its fallback in the moment that it refuses a call.
            _count_rejection(self)
            return fallback(*args, **kwargs)

        return instead

    return fallback_function


def _wrap_error(original: Any) -> Any:
    @functools.wraps(original)
    def init(self: Any, circuit_breaker: Any, *args: Any, **kwargs: Any) -> None:
        original(self, circuit_breaker, *args, **kwargs)
        _count_rejection(circuit_breaker)

    return init
