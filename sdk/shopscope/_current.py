"""What ``start_as_current_span`` returns."""

import functools
import inspect
from collections.abc import Callable
from types import TracebackType
from typing import Any, Literal

from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.trace.propagation import _SPAN_KEY

from shopscope import _wire as wire

SPAN_KEY = _SPAN_KEY


class CurrentSpan:
    """Starts a span, makes it current, and ends it; usable with ``with`` and as a decorator of (async) functions."""

    __slots__ = ("_end_on_exit", "_record_exception", "_set_status", "_span", "_start", "_token")

    def __init__(
        self,
        start: Callable[[], trace.Span],
        record_exception: bool,  # noqa: FBT001 (mirrors the API)
        set_status: bool,  # noqa: FBT001 (same)
        end_on_exit: bool,  # noqa: FBT001 (same)
    ) -> None:
        self._start = start
        self._record_exception = record_exception
        self._set_status = set_status
        self._end_on_exit = end_on_exit

    def __enter__(self) -> trace.Span:
        self._span = self._start()
        self._token = context_api.attach(context_api.set_value(SPAN_KEY, self._span))
        return self._span

    def __exit__(
        self, kind: type[BaseException] | None, exception: BaseException | None, where: TracebackType | None
    ) -> Literal[False]:
        context_api.detach(self._token)
        span = self._span
        if isinstance(exception, Exception) and span.is_recording():
            if self._record_exception:
                span.record_exception(exception)
            if self._set_status:
                span.set_status(trace.StatusCode.ERROR, f"{type(exception).__name__}: {wire.safe_str(exception)}")
        if self._end_on_exit:
            span.end()
        return False

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def again() -> CurrentSpan:
            return CurrentSpan(self._start, self._record_exception, self._set_status, self._end_on_exit)

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
