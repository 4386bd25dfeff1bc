"""Time and ids that a test foresees."""

import importlib
import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# 2026-01-01T00:00:00Z
START_UNIX_NANO = 1_767_225_600_000_000_000
# What stamps telemetry. Threads that wait and export keep the real time.
_STAMPING = (
    "_clients._calls",
    "_logging._logs",
    "_metrics._metering",
    "_metrics._otlp_metrics",
    "_journey",
    "_metrics._series",
    "_serving._asgi",
    "_serving._request",
    "_serving._server",
    "_tracing._span",
    "_metrics._streams",
)


class Clock:
    """Stands still until it is told to advance; begins at 2026-01-01T00:00:00Z."""

    def __init__(self) -> None:
        self._now_unix_nano = START_UNIX_NANO

    @property
    def now_unix_nano(self) -> int:
        """Nanoseconds since 1970, UTC."""
        return self._now_unix_nano

    def advance(self, seconds: float) -> None:
        """Let time pass.

        Args:
            seconds: how much; not negative.

        Raises:
            ValueError: time does not run backwards.
        """
        if seconds < 0:
            raise ValueError(f"seconds must be >= 0: {seconds}; a clock does not run backwards")
        self._now_unix_nano += round(seconds * 1e9)


class _Time:
    """Stands in for the module ``time`` in modules of ours, so that nobody pays for it who does not test."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def time_ns(self) -> int:
        return self._clock.now_unix_nano

    def time(self) -> float:
        return self._clock.now_unix_nano / 1e9

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


@contextmanager
def running(clock: Clock) -> Iterator[None]:
    """Stamp all telemetry by ``clock``."""
    modules = [importlib.import_module(f"shopscope.{name}") for name in _STAMPING]
    before = [vars(module)["time"] for module in modules]
    for module in modules:
        vars(module)["time"] = _Time(clock)
    try:
        yield
    finally:
        for module, its_time in zip(modules, before, strict=True):
            vars(module)["time"] = its_time


class CountingIds:
    """Ids of traces and of spans: 1, 2, 3 and so on."""

    def __init__(self) -> None:
        self._traces, self._spans = itertools.count(1), itertools.count(1)

    def generate_trace_id(self) -> int:
        """The next id of a trace."""
        return next(self._traces)

    def generate_span_id(self) -> int:
        """The next id of a span."""
        return next(self._spans)
