"""What observing costs: one run, interleaved rounds, every agent against the same service on the same machine.

    make bench-sdk
    python -m bench.sdk.run --rounds 1 --seconds 1 --starts 1 --agents bare,shopscope,opentelemetry

Prints CPU added per request (in-process, under load, with client calls), latency at a paced load, import and init,
memory, what of it arrived at the sink, and whether each budget is met; ends with 1 if one is missed.
"""

import argparse
import asyncio
import contextlib
import gc
import json
import signal
import subprocess
import sys
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import psutil
import uvloop

from bench.machine import free_port, process, wait_for, warn_if_busy
from bench.sdk.figures import Delivery, Figures
from bench.sdk.load import pace, saturate
from bench.sdk.report import show
from bench.sdk.surroundings import AGENTS, HERE, HUNG, Surroundings, say_goodbye, surroundings

CONNECTIONS, PACED_RATE = 16, 390.0
JUDGED = ("bare", "shopscope", HUNG)  # their paced p99 is a budget
PACED_TURNS = 3  # in each round, because a tail differs more from process to process than agents do
WARM_UP_SECONDS = 1.0


class Bench:
    """Measures one agent after the other and collects the figures."""

    def __init__(self, around: Surroundings, seconds: float) -> None:
        self.around = around
        self.seconds = seconds
        self.figures = Figures()

    def script(self, agent: str, service: str, *arguments: str) -> dict[str, Any]:
        """Run a script beside this one as an agent; the result that it prints."""
        with self.around.cores.for_service(), self.output(agent, service).open("wb") as output:
            done = subprocess.run(
                [self.around.python(agent), *arguments],
                env=self.around.environment(agent, service), cwd=HERE, check=False,
                stdout=output, stderr=subprocess.PIPE,
            )  # fmt: skip
        *before, last = done.stderr.decode().splitlines() or [""]
        if done.returncode or not last.startswith("{"):
            raise RuntimeError(f"{agent} {service}: " + "\n".join([*before, last])[-2000:])
        return dict(json.loads(last))

    def output(self, agent: str, service: str) -> Path:
        """Where standard output of the service goes, as it would go to a container's log file."""
        return self.around.folder / f"{agent}-{service}.log"

    def look(self, agent: str, service: str) -> None:
        """How many spans the agent makes of one request, when nothing is in its way."""
        self.around.counts()
        result = self.script(agent, service, "service.py", "0")
        # Rounded: some make a few more when a process starts or connects.
        self.figures.spans_per_request[agent, service] = round(self.around.counts()["spans"] / result["requests"])

    def in_process(self, agent: str, service: str) -> None:
        """CPU without sockets; memory after all requests."""
        self.around.counts()
        result = self.script(agent, service, "service.py", str(self.seconds))
        self.deliver(agent, service, int(result["requests"]))
        self.figures.values[agent, f"{service} in-process"].append(result["best_us"])
        self.figures.values[agent, f"{service} in-process, all"].append(result["all_us"])
        if service == "plain":
            self.figures.values[agent, "memory"].append(result["memory_mib"])

    def served(self, agent: str) -> None:
        """CPU and latency of a server process under load; at a paced load too if that is no budget."""
        with self.server(agent) as (child, port):
            requests = len(run(saturate(port, WARM_UP_SECONDS, CONNECTIONS)))
            requests += self.loaded(agent, child.pid, port)
            if agent not in JUDGED:
                requests += self.paced(agent, port)
            say_goodbye(child)
        self.deliver(agent, "plain", requests)

    def served_at_a_pace(self, agent: str) -> None:
        """Latency of a server process at a paced load."""
        with self.server(agent) as (child, port):
            requests = len(run(saturate(port, WARM_UP_SECONDS, CONNECTIONS))) + self.paced(agent, port)
            if agent == HUNG:
                return  # killed: what it has left has nowhere to go
            say_goodbye(child)
        self.deliver(agent, "plain", requests)

    @contextlib.contextmanager
    def server(self, agent: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
        """The service under uvicorn, and its port; killed if it has not ended by itself."""
        self.around.counts()
        port = free_port()
        command = [self.around.python(agent), "-m", "uvicorn", "--factory", "service:make_app", "--port", str(port)]
        command += ["--log-level", "warning", "--no-access-log", "--timeout-keep-alive", "120"]
        command += ["--loop", "uvloop", "--http", "httptools"]
        with contextlib.ExitStack() as stack:
            with self.around.cores.for_service():
                environment, output = self.around.environment(agent, "plain"), self.output(agent, "plain")
                child = stack.enter_context(process(command, environment, output, HERE))
            wait_for(port, child)
            yield child, port

    def paced(self, agent: str, port: int) -> int:
        """Latency at a paced load; how many requests it were."""
        taken = run(pace(port, self.seconds, PACED_RATE))
        self.figures.values[agent, "paced p50"].append(percentile(taken, 0.5) * 1e3)
        self.figures.values[agent, "paced p99"].append(percentile(taken, 0.99) * 1e3)
        return len(taken)

    def loaded(self, agent: str, pid: int, port: int) -> int:
        """CPU and latency while as many requests come as go; how many they were."""
        values, watched = self.figures.values, psutil.Process(pid)
        before = sum(watched.cpu_times()[:2])
        taken = run(saturate(port, self.seconds, CONNECTIONS))
        values[agent, "plain load"].append((sum(watched.cpu_times()[:2]) - before) / len(taken) * 1e6)
        values[agent, "load p50"].append(percentile(taken, 0.5) * 1e3)
        values[agent, "load p99"].append(percentile(taken, 0.99) * 1e3)
        return len(taken)

    def start(self, agent: str) -> None:
        """A fresh interpreter until the service could begin."""
        result = self.script(agent, "plain", "start.py")
        for what, key in (("import wall", "wall_ms"), ("import CPU", "cpu_ms"), ("start wall", "whole_wall_ms")):
            self.figures.values[agent, what].append(result[key])

    def deliver(self, agent: str, service: str, requests: int) -> None:
        """Count what has arrived of a process that has ended."""
        lines = sum(_is_access_line(line) for line in self.output(agent, service).open("rb"))
        self.figures.deliveries.append(Delivery(agent, service, requests, lines, self.around.counts()))


def _is_access_line(line: bytes) -> bool:
    return line.startswith(b"{") and b"/checkout/{cart_id}" in line and b'"trace_id"' in line


def run(work: Coroutine[Any, Any, list[float]]) -> list[float]:
    """On uvloop: the client must not be what is measured."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def percentile(values: list[float], share: float) -> float:
    """The value below which ``share`` of all lie."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def measure(bench: Bench, rounds: int, starts: int, agents: list[str]) -> None:
    """Agents in turn, so that a machine that becomes slower does so for all of them."""
    for agent in agents:
        for service in ("plain", "calling"):
            bench.look(agent, service)
    for number in range(rounds):
        for agent in agents:
            print(f"round {number + 1}: {agent}", file=sys.stderr)
            bench.in_process(agent, "plain")
            bench.in_process(agent, "calling")
            bench.served(agent)
        print(f"round {number + 1}: paced", file=sys.stderr)
        for _ in range(PACED_TURNS):
            for agent in JUDGED:
                if agent.partition(",")[0] in agents:
                    bench.served_at_a_pace(agent)
    for _ in range(starts):
        for agent in agents:
            bench.start(agent)


def parse() -> argparse.Namespace:
    """Options; the defaults take about ten minutes on two cores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--environments", type=Path, default=Path(".venv-bench"), help="where make has put them")
    parser.add_argument("--agents", default=",".join(AGENTS), help="bare must be one of them")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.5, help="of each measurement")
    parser.add_argument("--starts", type=int, default=11, help="fresh interpreters for each agent")
    parser.add_argument("--json", type=Path, help="also write every value to this file")
    options = parser.parse_args()
    options.agents = options.agents.split(",")
    if "bare" not in options.agents or set(options.agents) - set(AGENTS):
        parser.error(f"--agents must name bare, and any of {', '.join(AGENTS[1:])}: {','.join(options.agents)}")
    return options


def main() -> int:
    """Run all rounds."""
    options = parse()
    warn_if_busy()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is stopped
    gc.disable()  # the client's pauses would be taken for the service's
    with surroundings(options.environments.resolve()) as around:
        bench = Bench(around, options.seconds)
        measure(bench, options.rounds, options.starts, options.agents)
    if options.json:
        values = {f"{agent} | {what}": values for (agent, what), values in bench.figures.values.items()}
        options.json.write_text(json.dumps(values, indent=1))
    return 0 if show(bench.figures, options.agents, options.rounds) else 1


if __name__ == "__main__":
    sys.exit(main())
