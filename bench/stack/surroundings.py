"""What stands around a measured collector: sender, sink, bodies, cores; and how a collector is started alone."""

import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bench.machine import Cores, process, wait_for
from bench.spans import BATCH, batch
from bench.stack.collectors import Collector, prepare
from bench.stack.sender import Sent

ROOT = Path(__file__).parents[2]
CONNECTIONS = 16
_BODIES = 48
_STOPPING_SECONDS, _DRAIN_POLL_SECONDS, _STALLED_SECONDS = 30.0, 0.05, 20.0


@dataclass(frozen=True, slots=True)
class Sink:
    """The backends of one measured collector, and their counts."""

    ports: tuple[int, ...]
    child: psutil.Process

    def cpu_seconds(self) -> float:
        """What receiving and counting has taken so far."""
        return _cpu_seconds(self.child)

    def counts(self) -> list[dict[str, Any]]:
        """Of each backend; of none while nothing listens."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[0]}/counts", timeout=30) as response:
                return list(json.load(response))
        except OSError:
            return []

    def delivered(self, copies: int, spans: int) -> list[dict[str, Any]]:
        """Counts of the backends that get spans, when each has so many or when no more have come for long."""
        seen, since = -1, time.monotonic()
        while True:
            counts = self.counts()[:copies]
            fewest = min(count["spans"] for count in counts)
            if fewest >= spans or time.monotonic() - since > _STALLED_SECONDS:
                return counts
            if sum(count["spans"] for count in counts) != seen:
                seen, since = sum(count["spans"] for count in counts), time.monotonic()
            time.sleep(_DRAIN_POLL_SECONDS)


@dataclass(frozen=True, slots=True)
class Running:
    """A collector that runs alone, and where it listens."""

    child: psutil.Process
    port: int
    data: Path

    def cpu_seconds(self) -> float:
        """What it has used so far, all threads."""
        return _cpu_seconds(self.child)

    def disk_bytes(self) -> int:
        """What its queues take on the disk."""
        files = (path for path in self.data.rglob("*") if path.is_file())
        return sum(path.stat().st_blocks * 512 for path in files)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Everything that a run needs beside what it measures."""

    folder: Path
    cores: Cores
    program: Path

    @contextlib.contextmanager
    def sink(self, ports: tuple[int, ...]) -> Iterator[Sink]:
        """Backends on these ports, on the core that is not measured."""
        command = [sys.executable, "-m", "bench.stack.sink", *map(str, ports)]
        with process(command, dict(os.environ), self.folder / "sink.log", ROOT) as child:
            for port in ports:
                wait_for(port, child)
            yield Sink(ports, psutil.Process(child.pid))

    @contextlib.contextmanager
    def collector(self, what: Collector, backends: tuple[int, ...]) -> Iterator[Running]:
        """A collector alone on the measured core; stopped at the end, so that the next one has the core for itself."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        arguments, port, health = prepare(what, folder, backends)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
        with contextlib.ExitStack() as stack, (folder / "log").open("wb") as log:
            with self.cores.for_service():
                child = subprocess.Popen(
                    [self.program, *arguments], env=environment | what.environment, stdout=log, stderr=log
                )
            stack.callback(stop, child)
            try:
                for waited in (health, port):
                    wait_for(waited, child)
            except RuntimeError as error:
                raise RuntimeError((folder / "log").read_text(encoding="utf-8")[-3000:]) from error
            yield Running(psutil.Process(child.pid), port, folder / "data" / "collector")

    def send(self, port: int, limit: str, number: float) -> Sent:
        """As much as goes, from the core that is not measured, until so many seconds or spans."""
        bodies = str(self.folder / "bodies")
        command = [sys.executable, "-m", "bench.stack.sender", str(port), bodies, str(CONNECTIONS), limit, str(number)]
        done = subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE)
        return Sent(**json.loads(done.stdout))


def _cpu_seconds(child: psutil.Process) -> float:
    times = child.cpu_times()
    return float(times.user + times.system)


def stop(child: subprocess.Popen[bytes]) -> None:
    """Ask it to end, and make it."""
    child.terminate()
    try:
        child.wait(_STOPPING_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def write_bodies(folder: Path) -> float:
    """What is sent; returns bytes a span."""
    rng = random.Random(20260801)  # noqa: S311 - load, not secrets
    folder.mkdir()
    for number in range(_BODIES):
        (folder / f"{number:03}").write_bytes(batch(rng))
    return sum(path.stat().st_size for path in folder.iterdir()) / _BODIES / BATCH
