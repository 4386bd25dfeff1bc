"""Prints the ends of log files, and what is added to them."""

import contextlib
import time
from collections.abc import Mapping
from pathlib import Path

_POLL_SECONDS = 0.3
_TAIL_BYTES = 4 * 2**20


def print_logs(logs: Mapping[str, Path], lines: int, *, follow: bool) -> None:
    """Print the last lines of each log, each line under the name of who wrote it.

    Args:
        logs: files by name.
        lines: how many of each.
        follow: go on with what is added, until interrupted.
    """
    width = max(map(len, logs), default=0)
    positions = {}
    for name, log in logs.items():
        size = log.stat().st_size
        text = _read(log, max(0, size - _TAIL_BYTES), size)
        _print(name, width, text.splitlines()[-lines:] if lines else [])
        positions[name] = size
    with contextlib.suppress(KeyboardInterrupt):  # how one stops to follow
        while follow:
            time.sleep(_POLL_SECONDS)
            for name, log in logs.items():
                positions[name] = _print_added(name, width, log, positions[name])


def _print_added(name: str, width: int, log: Path, position: int) -> int:
    """Print the complete lines after ``position``; where the next one begins."""
    size = log.stat().st_size
    if size < position:  # set aside and begun anew
        position = 0
    text, line_end, _ = _read(log, position, size).rpartition("\n")
    if not line_end:
        return position
    _print(name, width, text.splitlines())
    return position + len(text.encode("utf-8", "surrogateescape")) + 1


def _read(log: Path, start: int, end: int) -> str:
    with log.open("rb") as file:
        file.seek(start)
        # What is not UTF-8 must not change the number of bytes.
        return file.read(end - start).decode("utf-8", "surrogateescape")


def _print(name: str, width: int, lines: list[str]) -> None:
    for line in lines:
        readable = line.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        print(f"{name:<{width}} | {readable}", flush=True)  # noqa: T201 - the point of the command
