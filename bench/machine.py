"""The machine that a benchmark runs on: cores, ports, children, other programs."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

_READY_SECONDS = 30.0
_BUSY_PERCENT = 10.0


@dataclass(frozen=True, slots=True)
class Cores:
    """Which cores the measured service has, and which everything else has; None where nothing can be pinned."""

    service: set[int] | None
    rest: set[int] | None

    @classmethod
    def split(cls) -> "Cores":
        """One for the service if there are at least two."""
        mine = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        return cls({mine[0]}, set(mine[1:])) if len(mine) > 1 else cls(None, None)

    @contextlib.contextmanager
    def for_service(self) -> Iterator[None]:
        """What is started in the block, with all its threads, runs on the service's core."""
        pin(self.service)
        try:
            yield
        finally:
            pin(self.rest)


def pin(cores: set[int] | None) -> None:
    """Run this process, and what it starts from now on, on these cores."""
    if cores:
        os.sched_setaffinity(0, cores)


def free_port() -> int:
    """A port nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, child: subprocess.Popen[bytes]) -> None:
    """Until the child listens."""
    end = time.monotonic() + _READY_SECONDS
    while time.monotonic() < end and child.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"{child.args} does not listen on port {port}; its messages are above")


@contextlib.contextmanager
def process(
    command: list[str], environment: dict[str, str], output: Path, folder: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A child, killed at the end of the block if it has not ended; its standard output goes to a file."""
    with output.open("wb") as file, subprocess.Popen(command, env=environment, stdout=file, cwd=folder) as child:
        try:
            yield child
        finally:
            if child.poll() is None:
                child.kill()


def peak_bytes(process: psutil.Process) -> int:
    """Highest resident memory so far where the system tells it, else the present one."""
    status = Path(f"/proc/{process.pid}/status")
    if status.exists():
        peak = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        if peak:
            return int(peak[1]) * 1024
    return int(process.memory_info().rss)


def warn_if_busy() -> None:
    """Ratios bear some company, latencies none."""
    busy = psutil.cpu_percent(interval=1.0)
    if busy > _BUSY_PERCENT:
        print(f"WARNING: other programs use {busy:.0f} % of this machine; the figures will be coarse", file=sys.stderr)
