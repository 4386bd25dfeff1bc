"""What ``start_as_current_span`` returns: for ``with``, and a decorator of functions, coroutines and generators."""

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from types import TracebackType
from typing import Any, Literal, Protocol

from opentelemetry import trace
from opentelemetry.context import Context

from shopscope._export import _wire as wire
from shopscope._tracing._context import SPAN_KEY, attach, current, detach, reset


class Lasting(Protocol):
    """What lasts as long as a generator, and is current within ``with``."""

    def __enter__(self) -> None:
        """Become current."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Be current no more."""

    def finish(self, error: BaseException | None) -> None:
        """The generator has ended, by an error or not."""


class CurrentSpan:
    """Starts a span, makes it current, and ends it.

    Args:
        start: the tracer's ``start_span``.
        arguments: its arguments.
        record_exception: an exception that passes becomes an event.
        set_status: it makes the span an error.
        end_on_exit: the span ends with the block.
    """

    __slots__ = ("_arguments", "_end_on_exit", "_record_exception", "_set_status", "_span", "_start_span", "_token")

    def __init__(
        self,
        start: Callable[..., trace.Span],
        arguments: tuple[Any, ...],
        record_exception: bool,  # noqa: FBT001 (mirrors the API)
        set_status: bool,  # noqa: FBT001 (same)
        end_on_exit: bool,  # noqa: FBT001 (same)
    ) -> None:
        self._start_span = start
        self._arguments = arguments
        self._record_exception = record_exception
        self._set_status = set_status
        self._end_on_exit = end_on_exit

    def __enter__(self) -> trace.Span:
        self._span = span = self._start_span(*self._arguments)
        self._token = attach(Context({**current(), SPAN_KEY: span}))
        return span

    def __exit__(
        self, kind: type[BaseException] | None, exception: BaseException | None, where: TracebackType | None
    ) -> Literal[False]:
        try:
            reset(self._token)
        except (RuntimeError, ValueError):
            detach(self._token)
        if exception is None and self._end_on_exit:
            self._span.end()
        else:
            self._finish(self._span, exception)
        return False

    def _start(self) -> trace.Span:
        return self._start_span(*self._arguments)

    def _finish(self, span: trace.Span, exception: BaseException | None) -> None:
        if isinstance(exception, Exception) and span.is_recording():
            if self._record_exception:
                span.record_exception(exception)
            if self._set_status:
                span.set_status(trace.StatusCode.ERROR, f"{type(exception).__name__}: {wire.safe_str(exception)}")
        if self._end_on_exit:
            span.end()

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.isgeneratorfunction(function):
            return around_generator(function, self._begin)
        if inspect.isasyncgenfunction(function):
            return around_async_generator(function, self._begin)

        def again() -> CurrentSpan:
            given = self._record_exception, self._set_status, self._end_on_exit
            return CurrentSpan(self._start_span, self._arguments, *given)

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def awaited(*args: Any, **kwargs: Any) -> Any:
                with again():
                    return await function(*args, **kwargs)

            return awaited

        @functools.wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            with again():
                return function(*args, **kwargs)

        return called

    def _begin(self) -> Lasting:
        return _LastingSpan(self._start(), self._finish)


# A generator's span lasts until the generator ends, but is current only while the generator's own code runs: its
# consumer, which may be another task each time, must not find it.


def around_generator(function: Callable[..., Any], begin: Callable[[], Lasting]) -> Callable[..., Any]:
    """Let something last as long as each of a function's generators; it begins with their first step."""

    @functools.wraps(function)
    def generated(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        lasting = begin()
        error: BaseException | None = None
        generator = function(*args, **kwargs)
        step: Callable[[], Any] = functools.partial(next, generator)
        try:
            while True:
                with lasting:
                    item = step()
                try:
                    step = functools.partial(generator.send, (yield item))
                except GeneratorExit:
                    with lasting:
                        generator.close()
                    raise
                except BaseException as thrown:  # noqa: BLE001 (whatever the consumer throws is the body's)
                    step = functools.partial(generator.throw, thrown)
        except StopIteration as stop:
            return stop.value
        except BaseException as raised:
            error = raised
            raise
        finally:
            lasting.finish(error)

    return generated


def around_async_generator(function: Callable[..., Any], begin: Callable[[], Lasting]) -> Callable[..., Any]:
    """The same for a function of asynchronous generators."""

    @functools.wraps(function)
    async def generated(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        lasting = begin()
        error: BaseException | None = None
        generator = function(*args, **kwargs)
        step: Callable[[], Any] = functools.partial(anext, generator)
        try:
            while True:
                with lasting:
                    item = await step()
                try:
                    step = functools.partial(generator.asend, (yield item))
                except GeneratorExit:
                    with lasting:
                        await generator.aclose()
                    raise
                except BaseException as thrown:  # noqa: BLE001 (whatever the consumer throws is the body's)
                    step = functools.partial(generator.athrow, thrown)
        except StopAsyncIteration:
            return
        except BaseException as raised:
            error = raised
            raise
        finally:
            lasting.finish(error)

    return generated


class _LastingSpan:
    """A span that lasts as long as a generator."""

    __slots__ = ("_finish", "_span", "_token")

    def __init__(self, span: trace.Span, finish: Callable[[trace.Span, BaseException | None], None]) -> None:
        self._span = span
        self._finish = finish

    def __enter__(self) -> None:
        self._token = attach(Context({**current(), SPAN_KEY: self._span}))

    def __exit__(self, *_: object) -> None:
        detach(self._token)

    def finish(self, error: BaseException | None) -> None:
        self._finish(self._span, error)
