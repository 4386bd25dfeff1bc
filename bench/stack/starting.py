"""Measures how soon after a start the first data can be asked for, and what an idle stack takes."""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import psutil
import pyarrow as pa

from bench.machine import free_port
from bench.stack.collectors import Collector
from bench.stack.figures import PLAIN, STACK, TOTAL, Figures
from bench.stack.surroundings import ROOT, Sink, Surroundings
from shopscope_ops.engines.native import NativeStack, read_components

_PATIENCE_SECONDS, _POLL_SECONDS = 90.0, 0.05
_PATHS = {"first metrics": "/v1/metrics", "first spans": "/v1/traces"}
_QUERY = "count(http_server_request_duration_seconds_count)"


def start_stack(around: Surroundings, figures: Figures, idle_seconds: float, beside: dict[str, int]) -> None:
    """Start everything with nothing there before, until a request recorded at once is found; then be idle.

    ``beside`` are processes that are idle for as long, and not of the stack.
    """
    components = read_components()
    ports = {f"{name}.{port}": free_port() for name, each in components.items() for port in each.all_ports}
    stack = NativeStack(Path(tempfile.mkdtemp(dir=around.folder)), ports=ports)
    looks = {
        "first metrics": partial(_is_in_prometheus, stack.address("prometheus.http")),
        "first spans": partial(_is_in_answers, stack.address("answers.otlp-http")),
    }
    began = time.monotonic()
    with service(stack.address("collector.otlp-http")) as asked, ThreadPoolExecutor() as pool:
        found = {what: pool.submit(_when, look) for what, look in looks.items()}
        try:
            stack.start()
            figures.add(STACK, "started", time.monotonic() - began)
            _add_first(figures, STACK, began, {what: future.result() for what, future in found.items()})
            _end(asked)
            if idle_seconds:
                figures.left_out |= stack.left_out
                runs = {name: stack.pid(name) for name in components if name not in stack.left_out}
                _idle(figures, runs, beside, idle_seconds)
        finally:
            stack.stop()


@contextlib.contextmanager
def started_plain(around: Surroundings, figures: Figures, plain: Collector) -> Iterator[int]:
    """The same with the plain collector, until the backend has the request; gives its process id."""
    ports = (free_port(), free_port())
    with around.sink(ports) as sink, contextlib.ExitStack() as stack:
        began = time.monotonic()
        running = stack.enter_context(around.collector(plain, ports))
        with service(f"http://127.0.0.1:{running.port}") as asked:
            figures.add(PLAIN, "started", time.monotonic() - began)
            _when(lambda: _came(sink).keys() >= set(_PATHS.values()))
            _end(asked)
        _add_first(figures, PLAIN, began, {what: _came(sink)[path] for what, path in _PATHS.items()})
        yield running.child.pid


@contextlib.contextmanager
def service(endpoint: str) -> Iterator[subprocess.Popen[bytes]]:
    """A service with the SDK at its defaults, asked once."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "SHOPSCOPE_"))}
    environment |= {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "SHOPSCOPE_CONFIG": str(ROOT / "shopscope.toml")}
    command = [sys.executable, "-m", "bench.stack.service"]
    with subprocess.Popen(
        command, env=environment, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def _end(child: subprocess.Popen[bytes]) -> None:
    assert child.stdin is not None
    child.stdin.close()
    child.wait(_PATIENCE_SECONDS)


def _when(look: Callable[[], bool]) -> float:
    """The moment at which it is there."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < end:
        with contextlib.suppress(httpx.HTTPError, IndexError):
            if look():
                return time.monotonic()
        time.sleep(_POLL_SECONDS)
    raise RuntimeError(f"nothing arrived within {_PATIENCE_SECONDS:.0f} s")


def _is_in_prometheus(address: str) -> bool:
    answer = httpx.get(f"{address}/api/v1/query", params={"query": _QUERY}, timeout=5)
    return answer.status_code == 200 and bool(answer.json()["data"]["result"])


def _is_in_answers(address: str) -> bool:
    answer = httpx.get(f"{address}/api/tables/spans", params={"service": "storefront"}, timeout=5)
    return answer.status_code == 200 and pa.ipc.open_stream(answer.content).read_all().num_rows > 0


def _add_first(figures: Figures, who: str, began: float, moments: dict[str, float]) -> None:
    for what, moment in moments.items():
        figures.add(who, what, moment - began)
    figures.add(who, "first", max(moments.values()) - began)


def _came(sink: Sink) -> dict[str, float]:
    """When each path was first asked for."""
    return dict(sink.counts()[0]["firsts"])


def _idle(figures: Figures, stack: dict[str, int], beside: dict[str, int], seconds: float) -> None:
    """Memory at the end of an idle time, and CPU over it; children count as their parent."""
    processes = {name: psutil.Process(pid) for name, pid in (stack | beside).items()}
    families = {name: [parent, *parent.children(recursive=True)] for name, parent in processes.items()}
    before = {name: sum(map(_cpu_seconds, family)) for name, family in families.items()}
    time.sleep(seconds)
    for name, family in families.items():
        used = sum(map(_cpu_seconds, family)) - before[name]
        figures.add(name, "idle CPU", used / seconds * 100)
        figures.add(name, "idle MiB", sum(map(_own_bytes, family)) / 2**20)
    figures.add(TOTAL, "idle seconds", seconds)
    for what in ("idle MiB", "idle CPU"):
        figures.add(TOTAL, what, sum(figures.of(name, what)[-1] for name in stack))


def _own_bytes(process: psutil.Process) -> int:
    """Its share of what it shares with others, where the system tells it; else what it has alone."""
    memory = process.memory_full_info()
    return int(getattr(memory, "pss", memory.uss))


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
