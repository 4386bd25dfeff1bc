"""purgatory, sync and async: both run a call inside the ``Context`` of its circuit, which holds the breaker's state.

Source: https://github.com/mardiros/purgatory
"""

import functools
from typing import Any

from purgatory.domain import model

from shopscope._metrics._selfmetrics import never_raises
from shopscope._protection import _guards as guards

_EVENTS = {model.OPENED: "opened", model.HALF_OPENED: "half_opened", model.CLOSED: "closed"}


def instrument() -> None:
    """Wrap the three things that happen to a circuit."""
    for name, wrap in (("__enter__", _wrap_enter), ("__exit__", _wrap_exit), ("set_state", _wrap_set_state)):
        original = getattr(model.Context, name)
        if not hasattr(original, "__wrapped__"):
            setattr(model.Context, name, wrap(original))


@functools.lru_cache(maxsize=1000)
def _guard_named(circuit: str) -> guards.Guard:
    # By name, because with a shared store each call has a context of its own.
    return guards.Guard("breaker", circuit)


def _guard_of(context: Any) -> guards.Guard:
    return _guard_named(context.name)


def _wrap_enter(original: Any) -> Any:
    @functools.wraps(original)
    def enter(self: Any) -> Any:
        use = guards.begin(_guard_of, self)
        try:
            return original(self)
        except BaseException as error:
            # Not let in, so that there will be no exit.
            if use is not None:
                if isinstance(error, model.OpenedState):
                    use.guard.count("rejected")
                guards.end(use)
            raise

    return enter


def _wrap_exit(original: Any) -> Any:
    @functools.wraps(original)
    def leave(self: Any, *error: Any) -> Any:
        try:
            return original(self, *error)
        finally:
            guards.leave(_guard_of, self)

    return leave


def _wrap_set_state(original: Any) -> Any:
    @functools.wraps(original)
    def set_state(self: Any, state: Any) -> None:
        original(self, state)
        _count(self, state)

    return set_state


@never_raises
def _count(context: Any, state: Any) -> None:
    _guard_of(context).count(_EVENTS[state.name])
