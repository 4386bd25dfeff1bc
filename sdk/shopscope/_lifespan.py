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
        is_any_running: an application has started and not ended.
    """

    def __init__(self) -> None:
        self.resume: Callable[[], None] = _nothing
        self.end_telemetry: Callable[[], None] = _nothing
        self.is_any_running = False
        self._running = 0

    async def begin(self) -> None:
        """An application is about to start."""
        self._running += 1
        self.is_any_running = True
        settle()
        self.resume()

    def fail(self) -> None:
        """An application could not start."""
        self._leave()

    async def end(self) -> None:
        """An application has ended; others may still be answering."""
        if self._running <= 1:
            await _beside_the_loop(self.end_telemetry)
        self._leave()

    def _leave(self) -> None:
        self._running = max(0, self._running - 1)
        self.is_any_running = self._running > 0


async def _beside_the_loop(function: Callable[[], None]) -> None:
    """Call in a thread, for other tasks of the loop may still be answering; a loop of another kind has to wait."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        function()
    else:
        await asyncio.to_thread(function)
