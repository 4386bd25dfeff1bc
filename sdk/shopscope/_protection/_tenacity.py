"""tenacity, and stamina, whose retries are tenacity's: attempts as calls and as blocks, sync and async.

Source: https://github.com/jd/tenacity
"""

import functools
from typing import Any

import tenacity

from shopscope._protection import _guards as guards
from shopscope._protection._attempts import begin, wrap_enter, wrap_enter_async, wrap_exit
from shopscope._protection._decisions import wrap_iter, wrap_iter_async


def instrument() -> None:
    """Wrap what runs an attempt and what decides about the next."""
    for owner, name, wrap in (
        (tenacity.Retrying, "__call__", _wrap_call),
        (tenacity.AsyncRetrying, "__call__", _wrap_call_async),
        (tenacity.BaseRetrying, "iter", wrap_iter),
        (tenacity.AsyncRetrying, "iter", wrap_iter_async),
        (tenacity.AttemptManager, "__enter__", wrap_enter),
        (tenacity.AttemptManager, "__exit__", wrap_exit),  # its `__aexit__` calls it
        (tenacity.AttemptManager, "__aenter__", wrap_enter_async),
    ):
        original = getattr(owner, name, None)
        if original and not hasattr(original, "__wrapped__"):
            setattr(owner, name, wrap(original))


def _guard_of_function(function: Any) -> guards.Guard:
    return guards.Guard("retry", getattr(function, "__qualname__", ""))


def _wrap_call(original: Any) -> Any:
    @functools.wraps(original)
    def call(self: Any, fn: Any, *args: Any, **kwargs: Any) -> Any:
        with begin(_guard_of_function, self, fn) or guards.NOTHING:
            return original(self, fn, *args, **kwargs)

    return call


def _wrap_call_async(original: Any) -> Any:
    @functools.wraps(original)
    async def call(self: Any, fn: Any, *args: Any, **kwargs: Any) -> Any:
        with begin(_guard_of_function, self, fn) or guards.NOTHING:
            return await original(self, fn, *args, **kwargs)

    return call
