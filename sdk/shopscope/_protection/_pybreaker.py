"""pybreaker: its calls, and what its listeners are told.

Source: https://github.com/danielfm/pybreaker
"""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import pybreaker

from shopscope._protection import _guards as guards
from shopscope._protection._breakers import Breakers

_EVENTS = {"open": "opened", "half-open": "half_opened", "closed": "closed"}
_breakers = Breakers(pybreaker.CircuitBreakerError)


def instrument() -> None:
    """Wrap what runs code under a breaker."""
    breaker: Any = pybreaker.CircuitBreaker
    if not hasattr(breaker.call, "__wrapped__"):
        breaker.call = _breakers.wrap_call(breaker.call)
        breaker.calling = _wrap_calling(breaker.calling)


class _Listener(pybreaker.CircuitBreakerListener):
    def before_call(self, cb: Any, *_: Any, **__: Any) -> None:
        _breakers.admit(cb)

    def state_change(self, cb: Any, old_state: Any, new_state: Any) -> None:  # noqa: ARG002 (signature of listeners)
        _breakers.count(cb, _EVENTS.get(new_state.name))


_breakers.listener = _Listener()


def _wrap_calling(original: Any) -> Any:
    @contextlib.contextmanager
    @functools.wraps(original)
    def calling(self: Any) -> Iterator[None]:
        with original(self), _breakers.begin(self) or guards.NOTHING:
            yield

    return calling
