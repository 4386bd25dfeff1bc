"""``shopscope demo``."""

import errno
import signal
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from shopscope._errors import ShopscopeError

_FAULT_NOT_SEEN = 1
_FAILED = 2
_INTERRUPTED = 130
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def demo(
    *,
    once: Annotated[
        bool, typer.Option("--once", help="Stop after the answers; end with 0 only if they saw the fault.")
    ] = False,
    port_base: Annotated[int, typer.Option(help="Port of the answers page; the shop takes the six after it.")] = 8600,
    otlp_port: Annotated[int, typer.Option(help="Port for telemetry.")] = 4318,
) -> None:
    """Run a demo shop under load, show the answers, make its bank slow, and show what changes.

    Ends with 0 when all is well, 1 when the answers did not see the fault (with --once), 2 when something failed,
    130 when it was interrupted before the answers.
    """
    from shopscope_ops.demo._ports import DemoPorts  # noqa: PLC0415 - keeps the command line's start fast
    from shopscope_ops.demo._run import DemoSettings, run_demo  # noqa: PLC0415 - same
    from shopscope_ops.demo._screen import Screen  # noqa: PLC0415 - same
    from shopscope_ops.engines._state import state_folder  # noqa: PLC0415 - same

    complain = Console(stderr=True, soft_wrap=True, highlight=False)
    screen = Screen(Console(highlight=False))
    # SIGINT too: a shell starts background jobs with it ignored, and then nothing else would stop the demo.
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, _interrupt)
    try:
        folder = state_folder() / "demo"
        saw_fault = run_demo(DemoSettings(folder, DemoPorts(port_base, otlp_port), stays=not once), screen)
    except ShopscopeError as error:
        complain.print(f"Error: {error}", style="red", markup=False)
        raise typer.Exit(_FAILED) from error
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        complain.print(
            f"Error: the disk is full: {error}; make room, or set SHOPSCOPE_HOME to another folder",
            style="red",
            markup=False,
        )
        raise typer.Exit(_FAILED) from error
    except KeyboardInterrupt as error:
        complain.print("Everything has stopped.")
        raise typer.Exit(0 if screen.has_answered and not once else _INTERRUPTED) from error
    if once and not saw_fault:
        raise typer.Exit(_FAULT_NOT_SEEN)


def _interrupt(_: int, __: FrameType | None) -> None:
    """A closed terminal and a polite kill mean the same as Ctrl-C."""
    raise KeyboardInterrupt
