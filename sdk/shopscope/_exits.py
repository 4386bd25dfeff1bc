"""How a process ends, and the last flush before it: exit, SIGTERM, the end of a child of ``multiprocessing``."""

import atexit
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

# Below those of multiprocessing's own queues and of the service: what they record is still sent.
_LAST = -100

_flush: Callable[[], None] | None = None
_is_handler_wanted = False
_is_told_of_children = False


def flush_at_end(flush: Callable[[], None]) -> None:
    """Call ``flush`` when the process ends, its children too; a second call changes nothing."""
    global _flush, _is_handler_wanted  # noqa: PLW0603 (there is one end of a process)
    if _flush is None:
        _flush = flush
        atexit.register(flush)
        multiprocessing = sys.modules.get("multiprocessing.process")
        if multiprocessing is not None and multiprocessing.parent_process() is not None:
            _flush_at_end_of_child(flush)
    _is_handler_wanted = True
    settle()


def settle() -> None:
    """Install the handler of SIGTERM if ``init``, called in another thread, had to leave that to the main thread.

    A worker or script that SIGTERM ends would lose its buffer, because ``atexit`` does not run then. Servers have a
    handler of their own and end the application's lifespan, which flushes; theirs is left alone.
    """
    global _is_handler_wanted  # noqa: PLW0603 (see above)
    if _is_handler_wanted and threading.current_thread() is threading.main_thread():
        _is_handler_wanted = False
        if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
            with contextlib.suppress(ValueError):  # the main thread of an interpreter that is not the main one
                signal.signal(signal.SIGTERM, _on_sigterm)


_sigterm_of_process = 0
_is_flushed = threading.Event()


def _on_sigterm(number: int, _: FrameType | None) -> None:
    """Flush, then die of the signal as the process would have; who sends it twice does not cut the flush off."""
    global _sigterm_of_process  # noqa: PLW0603 (see above)
    if _is_flushed.is_set():
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    elif _sigterm_of_process != os.getpid():
        _sigterm_of_process = os.getpid()
        # On a thread: the main thread may have been interrupted while it holds a lock that the flush needs.
        with contextlib.suppress(RuntimeError):  # the interpreter ends already, and flushes
            threading.Thread(target=_flush_and_die, name="shopscope-sigterm").start()


def _flush_and_die() -> None:
    if _flush is not None:
        _flush()
    _is_flushed.set()
    # Only the main thread may give the signal its default back.
    os.kill(os.getpid(), signal.SIGTERM)


# Children of multiprocessing end by `os._exit`, without atexit, after what multiprocessing itself calls finalizers.
# Their parent's they forget, but they call what was registered for after the fork.


def _before_fork() -> None:
    global _is_told_of_children  # noqa: PLW0603 (see above)
    util = sys.modules.get("multiprocessing.util")
    if util is not None and _flush is not None and not _is_told_of_children:
        _is_told_of_children = True
        util.register_after_fork(_flush, _flush_at_end_of_child)


def _flush_at_end_of_child(flush: Callable[[], None]) -> None:
    # It is there: only children of multiprocessing get here.
    sys.modules["multiprocessing.util"].Finalize(None, flush, exitpriority=_LAST)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork)
