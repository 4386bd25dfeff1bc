"""Telemetry that ends with the applications of a process, and starts again with the first of them that starts again."""

import asyncio
from collections.abc import Callable

from shopscope._exits import settle


def _nothing() -> None:
    """Before there is a scope."""


class Lifespans:
    """Which of the observed applications are running, as their servers' lifespan events tell.

    Attributes:
        resume: starts telemetry again if it ended with the applications; called before one of them starts.
        end_telemetry: called after the last one has ended.
    """

    def __init__(self) -> None:
        self.resume: Callable[[], None] = _nothing
        self.end_telemetry: Callable[[], None] = _nothing
        self._running = 0

    @property
    def is_any_running(self) -> bool:
        """Whether an application has started and not ended."""
        return self._running > 0

    async def begin(self) -> None:
        """An application is about to start."""
        self._running += 1
        settle()
        self.resume()

    def fail(self) -> None:
        """An application could not start."""
        self._running -= 1

    async def end(self) -> None:
        """An application has ended; others may still be answering."""
        if self._running <= 1:
            await _beside_the_loop(self.end_telemetry)
        self._running = max(0, self._running - 1)


async def _beside_the_loop(function: Callable[[], None]) -> None:
    """Call in a thread, for other tasks of the loop may still be answering; a loop of another kind has to wait."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        function()
    else:
        await asyncio.to_thread(function)
