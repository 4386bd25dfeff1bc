"""What is watched in one process, from start to stop."""

import asyncio
import contextlib

from shopscope._metrics._instruments import Instruments
from shopscope._metrics._selfmetrics import never_raises
from shopscope._saturation._cpu import CpuThrottling
from shopscope._saturation._gc import GcPauses, freeze
from shopscope._saturation._loop import LoopLag
from shopscope._saturation._pools import Pools
from shopscope._saturation._threads import Threads


class Saturation:
    """Event loops, garbage collector, threads, pools and CPU of this process."""

    def __init__(self, instruments: Instruments, *, freezes_gc: bool = False) -> None:
        self._freezes_gc = freezes_gc
        self._gc = GcPauses()
        self._lag = LoopLag()
        self._threads = Threads()
        self.pools = Pools(instruments)
        for collector in (self._gc, self._lag, self._threads, self.pools, CpuThrottling()):
            instruments.add_collector(collector)

    def start(self) -> None:
        """Listen to the garbage collector; loops are watched once they serve."""
        self._gc.start()

    def stop(self) -> None:
        """Let go of everything."""
        self._gc.stop()
        self._lag.stop()

    @never_raises
    def serving(self) -> None:
        """The service has started and serves; called in a task of the loop that does, or in a thread."""
        if self._freezes_gc:
            self._freezes_gc = False
            freeze()
        with contextlib.suppress(RuntimeError):  # no loop, or one that is not asyncio's
            loop = asyncio.get_running_loop()
            self._lag.watch(loop)
            self._threads.watch(loop)

    def after_fork_in_child(self) -> None:
        """Begin at zero."""
        self._gc.restart()
        self._lag.after_fork_in_child()
        self._threads.after_fork_in_child()
        self.pools.after_fork_in_child()
