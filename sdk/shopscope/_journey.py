"""Journeys that no route names: the decorator ``journey``."""

import functools
import inspect
import time
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.baggage import set_baggage

from shopscope._exits import settle
from shopscope._metrics._selfmetrics import log_once, never_raises
from shopscope._pipeline import Pipeline, active
from shopscope._tracing._current import around_async_generator, around_generator
from shopscope._tracing._fields import JOURNEY_KEY
from shopscope._tracing._span import Span
from shopscope._tracing._tracer import SPAN_KEY
from shopscope.config import Journey

P = ParamSpec("P")
R = TypeVar("R")


def journey(name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function a journey, for work that no route names.

    Each call is a span with the journey on it and on all below it; if ``shopscope.toml`` names the journey for this
    service, each call is also one SLO event. A generator's call lasts until it is exhausted or closed, but what its
    consumer does meanwhile is not below its span.

    Args:
        name: the journey's name.

    Returns:
        A decorator for functions, coroutine functions, generator functions and asynchronous ones.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        if inspect.isgeneratorfunction(function):
            return around_generator(function, functools.partial(_Call, name))
        if inspect.isasyncgenfunction(function):
            return around_async_generator(function, functools.partial(_Call, name))
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def awaited(*args: P.args, **kwargs: P.kwargs) -> Any:
                with _WholeCall(name):
                    return await function(*args, **kwargs)

            return awaited  # type: ignore[return-value]

        @functools.wraps(function)
        def called(*args: P.args, **kwargs: P.kwargs) -> R:
            with _WholeCall(name):
                return function(*args, **kwargs)

        return called

    return decorate


class _Call:
    """One call of a function that is a journey; current within ``with``, as often as it is needed."""

    __slots__ = ("_declared", "_name", "_pipeline", "_span", "_start_unix_nano", "_token")

    def __init__(self, name: str) -> None:
        self._name = name
        self._pipeline = pipeline = active()
        if pipeline is None:
            return
        settle()
        self._start_unix_nano = time.time_ns()
        self._span = pipeline.tracer.start(name, 0, trace.get_current_span(), set_baggage(JOURNEY_KEY, name))
        if isinstance(self._span, Span):
            self._span.journey = name
        self._declared = _declared(pipeline, name)
        if self._declared is not None:
            pipeline.instruments.started[self._declared.name].inc()

    def __enter__(self) -> None:
        if self._pipeline is not None:
            context = set_baggage(JOURNEY_KEY, self._name)
            self._token = context_api.attach(context_api.set_value(SPAN_KEY, self._span, context))

    def __exit__(self, kind: object, error: BaseException | None, where: object) -> None:
        if self._pipeline is not None:
            context_api.detach(self._token)

    def finish(self, error: BaseException | None) -> None:
        """The call has ended; a generator that its consumer closes has not failed."""
        if self._pipeline is None:
            return
        span = self._span
        seconds = (time.time_ns() - self._start_unix_nano) / 1e9
        if isinstance(error, Exception) and isinstance(span, Span):
            span.fail(error)
        span.end()
        self._observe(self._pipeline, seconds, is_error=error is not None and not isinstance(error, GeneratorExit))

    @never_raises
    def _observe(self, pipeline: Pipeline, seconds: float, *, is_error: bool) -> None:
        if self._declared is None:
            log_once(
                f"undeclared journey {self._name}",
                "journey %r of service %r is not in shopscope.toml; it is traced but has no SLO events",
                self._name,
                pipeline.settings.service,
            )
            return
        exemplar = None
        if isinstance(self._span, Span) and self._span.is_sampled:
            exemplar = self._span.trace_id, self._span.span_id
        pipeline.instruments.count_journey(self._declared, seconds, exemplar, is_error=is_error)


class _WholeCall(_Call):
    """A call that ends with its ``with``."""

    __slots__ = ()

    def __exit__(self, kind: object, error: BaseException | None, where: object) -> None:
        super().__exit__(kind, error, where)
        self.finish(error)


def _declared(pipeline: Pipeline, name: str) -> Journey | None:
    """The journey, if this service answers for it."""
    declared = pipeline.settings.shop.journeys.get(name)
    return None if declared is None or declared.service != pipeline.settings.service else declared
