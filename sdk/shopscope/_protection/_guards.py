"""Under which protections a call is made: marked on its span, announced and counted.

A protection that is entered is kept in a context variable, so that it is known to calls deeper down and across awaits.
As long as none is used, a call pays for one look at a variable that is None.
"""

import contextlib
import functools
import inspect
from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import Any, Literal, ParamSpec, Self, TypeVar

from shopscope import _pipeline
from shopscope._errors import ConfigError
from shopscope._metrics._dependencies import Dependency
from shopscope._metrics._selfmetrics import internal_error, never_raises
from shopscope._pipeline import Pipeline, active
from shopscope._tracing._span import Span

P = ParamSpec("P")
R = TypeVar("R")

PROTECTION_KEY = "shopscope.protection"
UNKNOWN_PEER = "unknown"
EVENTS = {
    "breaker": ("opened", "half_opened", "closed", "rejected"),
    "limiter": ("limited",),
    "retry": ("retried", "exhausted"),
    "timeout": ("expired",),
    "bulkhead": ("rejected",),
}
#: For ``with begin(...) or NOTHING``.
NOTHING = contextlib.nullcontext()
_MAX_ANNOUNCED = 1000
_ATTACHED = "_shopscope_guard"


class Guard:
    """One protection: of the peer that is declared, else of the one that a call under it was last made to."""

    __slots__ = ("is_declared", "kind", "operation", "peer", "state")

    def __init__(self, kind: str, operation: str = "", peer: str = "") -> None:
        self.kind = kind
        self.operation = operation
        self.peer = peer
        self.is_declared = bool(peer)
        #: The state that was last noted, for breakers that do not announce a change.
        self.state = "closed"

    @never_raises
    def count(self, event: str) -> None:
        """Count what the protection did, for the peer that it does it to here."""
        pipeline = active()
        if pipeline is not None:
            use = _use_of(self)
            peer = (use.peer if use else "") or self.peer or UNKNOWN_PEER
            announce(pipeline, peer, self)
            pipeline.instruments.guard_events.labels(peer, self.operation, self.kind, event).inc()

    def note_state(self, state: str, event: str) -> None:
        """Count ``event`` if the breaker was not known to be in that state."""
        if state != self.state:
            self.state = state
            self.count(event)


class Use:
    """One call, or block, that runs under a guard."""

    __slots__ = ("guard", "is_admitted", "is_over", "outer", "peer", "token")

    token: "Token[Use | None]"

    def __init__(self, guard: Guard, outer: "Use | None") -> None:
        self.guard = guard
        self.outer = outer
        self.peer = guard.peer if guard.is_declared else ""
        #: A task that was started under the guard may outlive it.
        self.is_over = False
        #: Whether the breaker let the call through.
        self.is_admitted = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        end(self)


_innermost: ContextVar[Use | None] = ContextVar("shopscope_guards", default=None)


def enter(guard: Guard) -> Use:
    """Run under ``guard`` from here on."""
    _pipeline.watch_call = _watch_call
    use = Use(guard, _living(_innermost.get()))
    use.token = _innermost.set(use)
    pipeline = active()
    if guard.is_declared and pipeline is not None:
        announce(pipeline, guard.peer, guard)
    return use


def end(use: Use) -> None:
    """End one use of a guard."""
    use.is_over = True
    try:
        _innermost.reset(use.token)
    except (ValueError, RuntimeError):
        # Ended where it was not begun (a generator that another task closes): that it is over is enough.
        return


def begin(find: Callable[..., Guard], *arguments: object) -> Use | None:
    """Enter the guard that ``find`` knows, never raising; None if telemetry is off."""
    if active() is None:
        return None
    try:
        return enter(find(*arguments))
    except Exception:  # noqa: BLE001 (telemetry never raises into the service)
        internal_error("guard")
        return None


def begin_once(find: Callable[..., Guard], *arguments: object) -> Use | None:
    """The same as `begin`, but None also if we are under that guard already: libraries call themselves."""
    use = begin(find, *arguments)
    if use is None or use.outer is None or use.outer.guard is not use.guard:
        return use
    end(use)
    return None


@never_raises
def leave(find: Callable[..., Guard], *arguments: object) -> None:
    """End the innermost use of the guard that ``find`` knows."""
    use = _use_of(find(*arguments))
    if use is not None:
        end(use)


def attached(owner: Any, kind: str, operation: str) -> Guard:
    """The guard of an object of a protection library, made at first sight."""
    guard = owner.__dict__.get(_ATTACHED)
    if not isinstance(guard, Guard):
        guard = Guard(kind, operation)
        owner.__dict__[_ATTACHED] = guard
    return guard


def use_of_kind(kind: str) -> Use | None:
    """The innermost use of any guard of that kind."""
    use = _innermost.get()
    while use is not None and (use.is_over or use.guard.kind != kind):
        use = use.outer
    return use


def admit(guard: Guard) -> None:
    """The breaker lets the call through."""
    use = _use_of(guard)
    if use is not None:
        use.is_admitted = True


def _use_of(guard: Guard) -> Use | None:
    use = _innermost.get()
    while use is not None and (use.is_over or use.guard is not guard):
        use = use.outer
    return use


def _living(use: Use | None) -> Use | None:
    while use is not None and use.is_over:
        use = use.outer
    return use


@never_raises
def _watch_call(pipeline: Pipeline, span: Span | None, dependency: Dependency) -> None:
    """Mark the span of a call that ends with the protections it was made under, and let those learn whom they guard."""
    use = _innermost.get()
    kinds = set()
    while use is not None:
        guard = use.guard
        if not use.is_over:
            kinds.add(guard.kind)
            if not guard.is_declared:
                use.peer = guard.peer = dependency.peer
                announce(pipeline, dependency.peer, guard)
        use = use.outer
    if kinds and span is not None:
        span.attributes[PROTECTION_KEY] = ",".join(sorted(kinds))


_announced: dict[tuple[str, str, str], None] = {}
_announced_in: Pipeline | None = None


def announce(pipeline: Pipeline, peer: str, guard: Guard) -> None:
    """Say that there is such a protection, once."""
    global _announced, _announced_in
    if pipeline is not _announced_in:
        _announced, _announced_in = {}, pipeline
        pipeline.caches.append(_announced)
    labels = (peer, guard.operation, guard.kind)
    if labels not in _announced:
        if len(_announced) < _MAX_ANNOUNCED:
            _announced[labels] = None
        pipeline.instruments.guards.labels(*labels).set(1)
        for event in EVENTS[guard.kind]:
            # Zero at first sight: without it the first event is invisible to increase().
            pipeline.instruments.guard_events.labels(*labels, event)


class DeclaredGuard:
    """A protection that the service declares: a context manager and a decorator, sync and async, used at will."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def event(self, name: str) -> None:
        """Count what the protection did.

        Args:
            name: of a breaker ``opened``, ``half_opened``, ``closed`` or ``rejected``; of a retry ``retried`` or
                ``exhausted``; of a limiter ``limited``; of a timeout ``expired``; of a bulkhead ``rejected``.
        """
        self._event(name)

    @never_raises
    def _event(self, name: str) -> None:
        events = EVENTS[self._guard.kind]
        if name not in events:
            raise ValueError(f"event of a {self._guard.kind} must be one of {', '.join(events)}: {name!r}; use these")
        self._guard.count(name)

    def __enter__(self) -> Self:
        begin(self._get)
        return self

    def __exit__(self, *_: object) -> None:
        leave(self._get)

    async def __aenter__(self) -> Self:
        begin(self._get)
        return self

    async def __aexit__(self, *_: object) -> None:
        leave(self._get)

    def _get(self) -> Guard:
        return self._guard

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def awaited(*args: P.args, **kwargs: P.kwargs) -> Any:
                with self:
                    return await function(*args, **kwargs)

            return awaited  # type: ignore[return-value]

        @functools.wraps(function)
        def called(*args: P.args, **kwargs: P.kwargs) -> R:
            with self:
                return function(*args, **kwargs)

        return called


def guard(
    peer: str, *, kind: Literal["breaker", "limiter", "retry", "timeout", "bulkhead"], operation: str = ""
) -> DeclaredGuard:
    """Declare a protection that shopscope does not recognise by itself.

    Calls made inside carry ``shopscope.protection`` on their spans, and the protection is announced in
    ``shopscope_guard_info``::

        with shopscope.guard("bank", kind="breaker", operation="authorise"):
            ...

    Args:
        peer: who is protected against, by a stable name: the one that the spans of its calls have in ``peer.service``.
        kind: what protects.
        operation: which of the peer's operations, by a stable name.

    Returns:
        A context manager and decorator, for sync and async code; its ``event`` counts what the protection does.

    Raises:
        ConfigError: an argument is wrong; the error lists every one.
    """
    problems = _problems(peer, kind, operation)
    if problems:
        raise ConfigError(problems)
    return DeclaredGuard(Guard(kind, operation, peer))


def _problems(peer: object, kind: object, operation: object) -> list[str]:
    problems = []
    if not isinstance(peer, str) or not peer:
        problems.append(f"guard: peer must be a text that is not empty: {peer!r}; pass a stable name")
    if kind not in EVENTS:
        problems.append(f"guard: kind must be one of {', '.join(sorted(EVENTS))}: {kind!r}; pass one of these")
    if not isinstance(operation, str):
        problems.append(f"guard: operation must be a text: {operation!r}; pass a stable name or leave it out")
    return problems
