"""What observing costs: one run, interleaved rounds, every agent against the same service on the same machine.

    python bench/sdk/run.py [--rounds 3] [--agents bare,shopscope,opentelemetry] [--json]

Prints CPU added per request (in-process, under load), latency at a paced load, import and init, memory, and whether
each budget is met; ends with 1 if one is missed.
"""

import argparse
import asyncio
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import psutil
from load import pace, saturate
from services import AGENTS
from shopscope_ops.demo.backends import start_postgres, start_redis

HERE = Path(__file__).parent
LOAD_SECONDS, CONNECTIONS, PACED_SECONDS, PACED_RATE = 5.0, 16, 6.0, 390.0
IMPORT_RUNS = 7
WITH_CLIENTS = {"bare", "shopscope", "opentelemetry"}
Figures = dict[tuple[str, str], list[float]]


def free_port() -> int:
    """A port nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def process(command: list[str], environment: dict[str, str], core: int | None = None) -> Iterator[subprocess.Popen]:
    """A child on one core, ended with the block."""
    child = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=HERE)
    if core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(child.pid, {core})
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def wait_for(port: int) -> None:
    """Until something listens."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise TimeoutError(port)


class Bench:
    """The surroundings of one run and the figures it collects."""

    def __init__(self, sink: int, hung: int, environment: dict[str, str]) -> None:
        self.sink = sink
        self.hung = hung
        self.environment = environment
        self.figures: Figures = defaultdict(list)

    def environment_of(self, agent: str, service: str) -> dict[str, str]:
        """Every agent at its defaults, sending to the sink; a hung one for the agent named so."""
        port = self.hung if agent.endswith("hung") else self.sink
        endpoint = f"http://127.0.0.1:{port}"
        return self.environment | {
            "BENCH_AGENT": agent.partition(",")[0],
            "BENCH_SERVICE": service,
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_SERVICE_NAME": "checkout",
            "DD_TRACE_AGENT_URL": endpoint,
            "DD_SERVICE": "checkout",
            "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
            "SHOPSCOPE_CONFIG": str(HERE / "shopscope.toml"),
        }

    def in_process(self, agent: str, service: str) -> None:
        """CPU without sockets; memory after all requests."""
        command = [sys.executable, "service.py"]
        done = subprocess.run(
            command, env=self.environment_of(agent, service), cwd=HERE, check=False,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        lines = [line for line in done.stderr.splitlines() if line.startswith("{")]
        if not lines:
            raise RuntimeError(f"{agent} {service}: {done.stderr[-2000:]}")
        result = json.loads(lines[-1])
        self.figures[agent, f"{service} in-process"].append(result["best_us"])
        self.figures[agent, f"{service} memory"].append(result["memory_mib"])

    def served(self, agent: str, service: str) -> None:
        """CPU of the server process under load, then latency at a paced load."""
        port = free_port()
        command = [sys.executable, "-m", "uvicorn", "--factory", "service:make_app", "--port", str(port)]
        command += ["--log-level", "warning", "--no-access-log", "--loop", "uvloop"]
        with process(command, self.environment_of(agent, service), core=0) as child:
            wait_for(port)
            asyncio.run(saturate(port, 1.0, CONNECTIONS))
            watched = psutil.Process(child.pid)
            if not agent.endswith("hung"):
                before = sum(watched.cpu_times()[:2])
                taken = asyncio.run(saturate(port, LOAD_SECONDS, CONNECTIONS))
                cpu = sum(watched.cpu_times()[:2]) - before
                self.figures[agent, f"{service} load"].append(cpu / len(taken) * 1e6)
                self.figures[agent, f"{service} load p99"].append(percentile(taken, 0.99) * 1e3)
            taken = asyncio.run(pace(port, PACED_SECONDS, PACED_RATE))
            self.figures[agent, f"{service} paced p50"].append(percentile(taken, 0.5) * 1e3)
            self.figures[agent, f"{service} paced p99"].append(percentile(taken, 0.99) * 1e3)

    def import_and_init(self, agent: str) -> None:
        """Milliseconds beyond importing FastAPI."""
        line = (
            "import sys, time; sys.path.insert(0, '.')\n"
            "import fastapi, services\n"
            "app = services.checkout_service(lambda name: None)\n"
            "began = time.perf_counter()\n"
            f"services.build({agent!r}, 'plain')\n"
            "print((time.perf_counter() - began) * 1e3)"
        )
        done = subprocess.run(
            [sys.executable, "-c", line], env=self.environment_of(agent, "plain"), cwd=HERE, check=True,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        self.figures[agent, "import and init"].append(float(done.stdout.split()[-1]))


def percentile(values: list[float], share: float) -> float:
    """The value below which ``share`` of all lie."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def middle(figures: Figures, agent: str, what: str) -> float:
    """Median of the rounds."""
    return statistics.median(figures[agent, what])


def added(figures: Figures, agent: str, what: str) -> float:
    """What an agent adds to the bare service."""
    return middle(figures, agent, what) - middle(figures, "bare", what)


def print_table(figures: Figures, agents: list[str]) -> None:
    """Every figure that was measured, one agent a line."""
    for what in dict.fromkeys(what for _, what in figures):
        print(f"\n{what}")
        for agent in agents:
            values = figures.get((agent, what))
            if not values:
                continue
            is_compared = agent != "bare" and figures.get(("bare", what))
            more = f"  + {added(figures, agent, what):8.1f}" if is_compared else ""
            spread = f"rounds {min(values):.1f} to {max(values):.1f}"
            print(f"  {agent:26}{statistics.median(values):9.1f}{more:12}   {spread}")


def budgets(figures: Figures) -> list[tuple[str, float, float]]:
    """Name, figure and limit of every budget of the design that this run can judge."""

    def ratio(what: str) -> float:
        return added(figures, "shopscope", what) / added(figures, "opentelemetry", what)

    bare_p99 = middle(figures, "bare", "plain paced p99")
    return [
        ("CPU added in-process, of OpenTelemetry's", ratio("plain in-process"), 1 / 15),
        ("CPU added under load, of OpenTelemetry's", ratio("plain load"), 1 / 10),
        ("CPU added with client spans, of OpenTelemetry's", ratio("calling in-process"), 1 / 6),
        ("p99 at a paced load, of bare", middle(figures, "shopscope", "plain paced p99") / bare_p99, 1.2),
        ("the same with a hung collector", middle(figures, "shopscope, hung", "plain paced p99") / bare_p99, 1.2),
        ("import and init, ms", added(figures, "shopscope", "import and init"), 60.0),
        ("memory added, MiB", added(figures, "shopscope", "plain memory"), 8.0),
    ]


@contextlib.contextmanager
def surroundings() -> Iterator[Bench]:
    """Sink, hung collector, PostgreSQL and Redis, on the core that the measured service does not use."""
    sink, hung = free_port(), free_port()
    environment = dict(os.environ)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for name in ("postgres", "redis"):
            (folder / name).mkdir()
        for port, what in ((sink, "answer"), (hung, "hang")):
            stack.enter_context(process([sys.executable, "peer.py", str(port), what], environment, core=1))
            wait_for(port)
        environment["BENCH_DATABASE"] = stack.enter_context(start_postgres(folder / "postgres"))
        environment["BENCH_REDIS"] = stack.enter_context(start_redis(folder / "redis"))
        environment["BENCH_PEER"] = f"http://127.0.0.1:{sink}"
        yield Bench(sink, hung, environment)


def run_rounds(bench: Bench, rounds: int, agents: list[str]) -> None:
    """Agents in turn, so that a machine that becomes slower does so for all of them."""
    for number in range(rounds):
        for agent in agents:
            print(f"round {number + 1}: {agent}", file=sys.stderr)
            bench.in_process(agent, "plain")
            bench.served(agent, "plain")
            if agent in WITH_CLIENTS:
                bench.in_process(agent, "calling")
        bench.served("shopscope, hung", "plain")
    for _ in range(IMPORT_RUNS):
        for agent in agents:
            bench.import_and_init(agent)


def main() -> int:
    """Run all rounds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--agents", default=",".join(AGENTS))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    agents = options.agents.split(",")
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {1})
    with surroundings() as bench:
        run_rounds(bench, options.rounds, agents)
    if options.json:
        print(json.dumps({f"{agent} | {what}": values for (agent, what), values in bench.figures.items()}, indent=1))
    else:
        print_table(bench.figures, [*agents, "shopscope, hung"])
    verdicts = budgets(bench.figures)
    print("\nbudgets")
    for name, figure, limit in verdicts:
        verdict = "met   " if figure <= limit else "MISSED"
        print(f"  {verdict} {name:50}{figure:8.3f}   limit {limit:.3f}")
    return 0 if all(figure <= limit for _, figure, limit in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
