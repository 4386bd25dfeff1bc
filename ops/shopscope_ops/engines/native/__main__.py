"""The stack's supervisor: starts the components, starts again what ends by itself, and stops all on SIGTERM."""

import argparse
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

from shopscope import __version__
from shopscope._errors import ShopscopeError
from shopscope_ops.engines.native._find import binary_version
from shopscope_ops.engines.native._manifest import read_components
from shopscope_ops.engines.native._record import StackRecord, write_record
from shopscope_ops.engines.native._stack import NativeStack

_WATCH_SECONDS = 0.5


def main() -> None:
    """Run the stack until SIGTERM or SIGINT."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    parser = argparse.ArgumentParser(prog="python -m shopscope_ops.engines.native", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--set-port", action="append", default=[], metavar="COMPONENT.PORT=NUMBER")
    parser.add_argument("--without", action="append", default=[], metavar="COMPONENT")
    options = parser.parse_args()
    ports = {key: int(number) for key, _, number in (text.partition("=") for text in options.set_port)}
    try:
        _run(options.folder, NativeStack(options.folder / "stack", ports, options.without))
    except ShopscopeError as error:
        sys.exit(str(error))


def _leave(*_: object) -> None:
    """Unwind from wherever we are: what runs is stopped on the way out, and nothing interrupts that."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    sys.exit(0)


def _run(folder: Path, stack: NativeStack) -> None:
    ready: dict[str, float] = {}

    def note(name: str, seconds: float) -> None:
        ready[name] = round(seconds, 1)
        write_record(folder, StackRecord(ports=stack.ports, left_out=stack.left_out, ready_seconds=ready))
        _say(f"{name} is healthy after {seconds:.1f} s")

    write_record(folder, StackRecord(ports=stack.ports))  # who asks meanwhile finds where to look
    try:
        stack.start(note)
        record = StackRecord(ports=stack.ports, left_out=stack.left_out, ready_seconds=ready, versions=_versions(stack))
        write_record(folder, replace(record, is_up=True))
        while True:
            time.sleep(_WATCH_SECONDS)
            for sentence in stack.watch():
                _say(sentence)
    finally:
        stack.stop()


def _versions(stack: NativeStack) -> dict[str, str]:
    parts = read_components()
    return {name: binary_version(stack.binary(name)) if parts[name].programs else __version__ for name in stack.running}


def _say(sentence: str) -> None:
    print(sentence, flush=True)  # noqa: T201 - into the supervisor's log


if __name__ == "__main__":
    main()
