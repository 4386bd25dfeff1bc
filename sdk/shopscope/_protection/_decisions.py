"""What tenacity decides after an attempt: to try again, or that it was the last."""

import functools
from typing import Any

import tenacity

from shopscope._metrics._selfmetrics import never_raises
from shopscope._protection import _guards as guards
from shopscope._protection._attempts import GUARD, is_once


def wrap_iter(original: Any) -> Any:
    """The same method, counted."""

    @functools.wraps(original)
    def iterate(self: Any, retry_state: Any) -> Any:
        try:
            result = original(self, retry_state)
        except BaseException as error:
            _count(self, retry_state, error)
            raise
        _count(self, retry_state, result)
        return result

    return iterate


def wrap_iter_async(original: Any) -> Any:
    """The same coroutine method, counted."""

    @functools.wraps(original)
    async def iterate(self: Any, retry_state: Any) -> Any:
        try:
            result = await original(self, retry_state)
        except BaseException as error:
            _count(self, retry_state, error)
            raise
        _count(self, retry_state, result)
        return result

    return iterate


@never_raises
def _count(retrying: Any, state: Any, outcome: Any) -> None:
    """Count what tenacity decided after an attempt: to sleep and try again, or that it was the last."""
    is_last = getattr(getattr(retrying, "iter_state", None), "stop_run_result", False)
    event = "retried" if isinstance(outcome, tenacity.DoSleep) else "exhausted" if is_last else ""
    if not event or is_once(retrying):
        return
    guard = state.__dict__.get(GUARD)
    if guard is None and (use := guards.use_of_kind("retry")):
        # A call, not a block: what decides runs inside the call, where its own retry is the innermost.
        guard = use.guard
    if guard is not None:
        guard.count(event)
