"""The stack's supervisor: starts the components, starts again what ends by itself, and stops all on SIGTERM."""

import argparse
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from shopscope._errors import ShopscopeError
from shopscope_ops.engines.native._find import binary_version
from shopscope_ops.engines.native._record import StackRecord, write_record
from shopscope_ops.engines.native._stack import NativeStack

_WATCH_SECONDS = 0.5


def main() -> None:
    """Run the stack until SIGTERM or SIGINT."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    parser = argparse.ArgumentParser(prog="python -m shopscope_ops.engines.native", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--set-port", action="append", default=[], metavar="COMPONENT.PORT=NUMBER")
    parser.add_argument("--without", action="append", default=[], metavar="COMPONENT")
    options = parser.parse_args()
    ports = {key: int(number) for key, _, number in (text.partition("=") for text in options.set_port)}
    try:
        _run(options.folder, NativeStack(options.folder / "stack", ports, options.without), stop)
    except ShopscopeError as error:
        sys.exit(str(error))


def _run(folder: Path, stack: NativeStack, stop: threading.Event) -> None:
    ready: dict[str, float] = {}

    def note(name: str, seconds: float) -> None:
        ready[name] = round(seconds, 1)
        write_record(folder, StackRecord(ports=stack.ports, left_out=stack.left_out, ready_seconds=ready))
        _say(f"{name} is healthy after {seconds:.1f} s")

    try:
        stack.start(note)
        versions = {name: binary_version(stack.binary(name)) for name in stack.running}
        record = StackRecord(ports=stack.ports, left_out=stack.left_out, ready_seconds=ready, versions=versions)
        write_record(folder, replace(record, is_up=True))
        while not stop.wait(_WATCH_SECONDS):
            _repeat(stack.watch)
    finally:
        stack.stop()


def _repeat(watch: Callable[[], list[str]]) -> None:
    try:
        sentences = watch()
    except ShopscopeError as error:  # a component that cannot be started now may be later; the others go on
        sentences = [str(error)]
    for sentence in sentences:
        _say(sentence)


def _say(sentence: str) -> None:
    print(sentence, flush=True)  # noqa: T201 - into the supervisor's log


if __name__ == "__main__":
    main()
