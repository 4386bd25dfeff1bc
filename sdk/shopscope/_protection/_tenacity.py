"""tenacity, and stamina, whose retries are tenacity's: attempts as blocks and as calls, sync and async.

Source: https://github.com/jd/tenacity
"""

import functools
from typing import Any

import tenacity

from shopscope import _guards as guards
from shopscope._protection._decisions import GUARD, is_once, wrap_iter, wrap_iter_async


def instrument() -> None:
    """Wrap what runs an attempt and what decides about the next."""
    for owner, name, wrap in (
        (tenacity.Retrying, "__call__", _wrap_call),
        (tenacity.AsyncRetrying, "__call__", _wrap_call_async),
        (tenacity.BaseRetrying, "iter", wrap_iter),
        (tenacity.AsyncRetrying, "iter", wrap_iter_async),
        (tenacity.AttemptManager, "__enter__", _wrap_enter),
        (tenacity.AttemptManager, "__exit__", _wrap_exit),
    ):
        original = getattr(owner, name)
        if not hasattr(original, "__wrapped__"):
            setattr(owner, name, wrap(original))


def _begin(find: Any, retrying: Any, subject: Any) -> guards.Use | None:
    return None if is_once(retrying) else guards.begin(find, subject)


def _guard_of_function(function: Any) -> guards.Guard:
    return guards.Guard("retry", getattr(function, "__qualname__", ""))


def _guard_of_state(state: Any) -> guards.Guard:
    """One guard for all attempts at a block: they share what they learn of the peer."""
    name = getattr(state.retry_object, "_name", None) or ""
    guard: guards.Guard = state.__dict__.setdefault(GUARD, guards.Guard("retry", name))
    return guard


def _wrap_call(original: Any) -> Any:
    @functools.wraps(original)
    def call(self: Any, fn: Any, *args: Any, **kwargs: Any) -> Any:
        with _begin(_guard_of_function, self, fn) or guards.NOTHING:
            return original(self, fn, *args, **kwargs)

    return call


def _wrap_call_async(original: Any) -> Any:
    @functools.wraps(original)
    async def call(self: Any, fn: Any, *args: Any, **kwargs: Any) -> Any:
        with _begin(_guard_of_function, self, fn) or guards.NOTHING:
            return await original(self, fn, *args, **kwargs)

    return call


def _wrap_enter(original: Any) -> Any:
    @functools.wraps(original)
    def enter(self: Any) -> Any:
        _begin(_guard_of_state, self.retry_state.retry_object, self.retry_state)
        return original(self)

    return enter


def _wrap_exit(original: Any) -> Any:
    @functools.wraps(original)
    def leave(self: Any, *error: Any) -> Any:
        guards.leave(_guard_of_state, self.retry_state)
        return original(self, *error)

    return leave
