"""What breakers with listeners share: pybreaker, and aiobreaker, which was made after it."""

import functools
from typing import Any

from shopscope._metrics._selfmetrics import never_raises
from shopscope._protection import _guards as guards


class Breakers:
    """One library's breakers."""

    def __init__(self, refusal: type[Exception]) -> None:
        self._refusal = refusal
        #: Added to every breaker when it is used first.
        self.listener: Any = None

    @never_raises
    def admit(self, breaker: Any) -> None:
        """The breaker lets a call through."""
        guards.admit(_guard_of(breaker))

    @never_raises
    def count(self, breaker: Any, event: str | None) -> None:
        """Count a change of state."""
        if event:
            _guard_of(breaker).count(event)

    def begin(self, breaker: Any) -> guards.Use | None:
        """Run under the breaker, unless we do."""
        return guards.begin_once(self._listened_guard_of, breaker)

    def wrap_call(self, original: Any) -> Any:
        """The same method, that runs under the breaker."""

        @functools.wraps(original)
        def call(breaker: Any, *args: Any, **kwargs: Any) -> Any:
            with (use := self.begin(breaker)) or guards.NOTHING:
                try:
                    return original(breaker, *args, **kwargs)
                except self._refusal:
                    _count_refusal(use)
                    raise

        return call

    def wrap_call_async(self, original: Any) -> Any:
        """The same coroutine method, that runs under the breaker."""

        @functools.wraps(original)
        async def call_async(breaker: Any, *args: Any, **kwargs: Any) -> Any:
            with (use := self.begin(breaker)) or guards.NOTHING:
                try:
                    return await original(breaker, *args, **kwargs)
                except self._refusal:
                    _count_refusal(use)
                    raise

        return call_async

    def _listened_guard_of(self, breaker: Any) -> guards.Guard:
        if self.listener not in breaker.listeners:
            breaker.add_listener(self.listener)
        return _guard_of(breaker)


def _guard_of(breaker: Any) -> guards.Guard:
    return guards.attached(breaker, "breaker", breaker.name or "")


def _count_refusal(use: guards.Use | None) -> None:
    # The failure that opens the breaker is raised as the same error, but was let through.
    if use is not None and not use.is_admitted:
        use.guard.count("rejected")
