"""Attempts of tenacity: what they run under, as calls and as blocks."""

import functools
from typing import Any

import tenacity

from shopscope._protection import _guards as guards

#: Where the state of a retried block keeps its guard.
GUARD = "_shopscope_guard"


def is_once(retrying: Any) -> bool:
    """Whether it makes one attempt, which is no retry: stamina that is switched off, a test that stops at once."""
    stop = getattr(retrying, "stop", None)
    stops = stop.stops if isinstance(stop, tenacity.stop_any) else (stop,)
    is_single = any(getattr(stop, "max_attempt_number", 0) == 1 for stop in stops)
    return is_single or not getattr(retrying, "enabled", True)


def begin(find: Any, retrying: Any, subject: Any) -> guards.Use | None:
    """Run under the guard that ``find`` knows, if this is a retry."""
    return None if is_once(retrying) else guards.begin(find, subject)


def _guard_of_state(state: Any) -> guards.Guard:
    """One guard for all attempts at a block: they share what they learn of the peer."""
    name = getattr(state.retry_object, "_name", None) or ""
    guard: guards.Guard = state.__dict__.setdefault(GUARD, guards.Guard("retry", name))
    return guard


def wrap_enter(original: Any) -> Any:
    """The same method, that begins an attempt."""

    @functools.wraps(original)
    def enter(self: Any) -> Any:
        begin(_guard_of_state, self.retry_state.retry_object, self.retry_state)
        return original(self)

    return enter


def wrap_enter_async(original: Any) -> Any:
    """The same coroutine method, that begins an attempt."""

    @functools.wraps(original)
    async def enter(self: Any) -> Any:
        begin(_guard_of_state, self.retry_state.retry_object, self.retry_state)
        return await original(self)

    return enter


def wrap_exit(original: Any) -> Any:
    """The same method, that ends an attempt."""

    @functools.wraps(original)
    def leave(self: Any, *error: Any) -> Any:
        guards.leave(_guard_of_state, self.retry_state)
        return original(self, *error)

    return leave
