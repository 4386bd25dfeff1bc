"""What the demo shows: one line for everything that is done, a spinner for what is under way."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped]
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from shopscope_ops.engines._processes import Child

if TYPE_CHECKING:
    from rich.status import Status

_MEBIBYTE = 2**20


class Screen:
    """Prints progress, and measures it: a terminal gets a spinner and colours, a file plain lines.

    Attributes:
        console: where everything is printed.
        phases: what took how many seconds, in order.
        has_answered: all answers were shown.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.phases: list[tuple[str, float]] = []
        self.has_answered = False
        self.started = time.monotonic()
        self._status: Status | None = None

    @property
    def seconds(self) -> float:
        """Seconds since the demo was started."""
        return time.monotonic() - self.started

    @contextmanager
    def phase(self, title: str) -> Iterator[None]:
        """Announce a phase; on success print how long it took."""
        start = time.monotonic()
        self.console.print(Text(title, style="bold"))
        with self.console.status(title) as status:
            self._status = status
            try:
                yield
            finally:
                self._status = None
        self.phases.append((title, time.monotonic() - start))

    def done(self, what: str, since: float | None = None) -> None:
        """One thing is done, and took from ``since`` (monotonic seconds) until now."""
        seconds = "" if since is None else f"  {time.monotonic() - since:.1f} s"
        self.console.print(Text.assemble(("  ✓ ", "green"), what, (seconds, "dim")))

    def now(self, what: str) -> None:
        """What is under way; seen on a terminal only."""
        if self._status is not None:
            self._status.update(what)

    def show(self, *blocks: RenderableType) -> None:
        """Print something, with an empty line before it."""
        self.console.print()
        for block in blocks:
            self.console.print(block)

    def summary(self, children: Sequence[Child]) -> None:
        """Seconds of every phase and memory of every process."""
        times = Table(title="seconds", title_justify="left", box=None, pad_edge=False)
        times.add_column("")
        times.add_column("", justify="right")
        for title, seconds in self.phases:
            times.add_row(title, f"{seconds:.1f}")
        times.add_row("from start to here", f"{self.seconds:.1f}", style="bold")
        memory = Table(title="memory", title_justify="left", box=None, pad_edge=False)
        memory.add_column("")
        memory.add_column("MiB", justify="right")
        used = {child.name: memory_bytes(_family(child.process.pid)) for child in children}
        used["shopscope demo"] = memory_bytes([psutil.Process()])
        for name, count in used.items():
            memory.add_row(name, f"{count / _MEBIBYTE:.0f}")
        memory.add_row("all", f"{sum(used.values()) / _MEBIBYTE:.0f}", style="bold")
        self.show(times, "", memory)


def memory_bytes(processes: Sequence[psutil.Process]) -> int:
    """Memory of processes: PSS (shared pages counted in parts) where the system tells it, else RSS."""
    total = 0
    for process in processes:
        with suppress(psutil.Error):
            full = process.memory_full_info()
            total += getattr(full, "pss", 0) or full.rss
    return total


def _family(pid: int) -> list[psutil.Process]:
    """A process and all below it."""
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []
