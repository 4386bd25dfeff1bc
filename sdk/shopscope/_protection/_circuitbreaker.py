"""circuitbreaker: no listeners, but a context manager around each call. https://github.com/fabfuel/circuitbreaker."""

import functools
from typing import Any

import circuitbreaker

from shopscope._metrics._selfmetrics import never_raises
from shopscope._protection import _guards as guards

_EVENTS = {"open": "opened", "half_open": "half_opened", "closed": "closed"}


def instrument() -> None:
    """Wrap what happens to a breaker."""
    breaker, refusal = circuitbreaker.CircuitBreaker, circuitbreaker.CircuitBreakerError
    if not hasattr(breaker.__enter__, "__wrapped__"):
        breaker.__enter__ = _around(breaker.__enter__, before=_enter)
        breaker.__exit__ = _around(breaker.__exit__, after=_leave)
        breaker.fallback_function = property(_wrap_fallback(breaker.fallback_function.fget))
        refusal.__init__ = _wrap_refusal(refusal.__init__)


def _guard_of(breaker: Any) -> guards.Guard:
    return guards.attached(breaker, "breaker", breaker.name or "")


@never_raises
def _enter(breaker: Any) -> None:
    if guards.begin(_guard_of, breaker) is not None:
        _guard_of(breaker).note_state(breaker.state, _EVENTS[breaker.state])


@never_raises
def _leave(breaker: Any) -> None:
    _guard_of(breaker).note_state(breaker.state, _EVENTS[breaker.state])
    guards.leave(_guard_of, breaker)


@never_raises
def _refuse(breaker: Any) -> None:
    _guard_of(breaker).count("rejected")


def _fall_back(breaker: Any, fallback: Any, *args: Any, **kwargs: Any) -> Any:
    _refuse(breaker)
    return fallback(*args, **kwargs)


def _around(original: Any, before: Any = None, after: Any = None) -> Any:
    @functools.wraps(original)
    def method(self: Any, *args: Any) -> Any:
        if before:
            before(self)
        try:
            return original(self, *args)
        finally:
            if after:
                after(self)

    return method


def _wrap_fallback(original: Any) -> Any:
    @functools.wraps(original)
    def fallback_function(self: Any) -> Any:
        # If there is one it is called in the moment that the breaker refuses a call.
        fallback = original(self)
        return fallback and functools.partial(_fall_back, self, fallback)

    return fallback_function


def _wrap_refusal(original: Any) -> Any:
    @functools.wraps(original)
    def init(self: Any, circuit_breaker: Any, *args: Any, **kwargs: Any) -> None:
        original(self, circuit_breaker, *args, **kwargs)
        _refuse(circuit_breaker)

    return init
