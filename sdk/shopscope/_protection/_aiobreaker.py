"""aiobreaker: its calls, sync and async, and what its listeners are told.

Source: https://github.com/arlyon/aiobreaker
"""

from typing import Any

import aiobreaker

from shopscope._protection._breakers import Breakers

_EVENTS = {"OPEN": "opened", "HALF_OPEN": "half_opened", "CLOSED": "closed"}
_breakers = Breakers(aiobreaker.CircuitBreakerError)


def instrument() -> None:
    """Wrap what runs code under a breaker."""
    breaker: Any = aiobreaker.CircuitBreaker
    if not hasattr(breaker.call, "__wrapped__"):
        breaker.call = _breakers.wrap_call(breaker.call)
        breaker.call_async = _breakers.wrap_call_async(breaker.call_async)


class _Listener(aiobreaker.CircuitBreakerListener):  # type: ignore[misc] # the library has no types
    def before_call(self, breaker: Any, *_: Any, **__: Any) -> None:
        _breakers.admit(breaker)

    def state_change(self, breaker: Any, old: Any, new: Any) -> None:  # noqa: ARG002 (signature of listeners)
        _breakers.count(breaker, _EVENTS.get(new.state.name))


_breakers.listener = _Listener()
