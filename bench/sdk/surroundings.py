"""What stands around the measured service: environments, cores, the sink and the hung collector, PostgreSQL, Redis."""

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.machine import Cores, free_port, pin, process, wait_for
from shopscope_ops.demo.backends import start_postgres, start_redis

HERE = Path(__file__).parent
AGENTS = ("bare", "shopscope", "opentelemetry", "fastapi", "logfire", "ddtrace")
HUNG = "shopscope, hung"
_HEAVY = {"logfire", "ddtrace"}
_GOODBYE_SECONDS = 40.0


def say_goodbye(child: subprocess.Popen[bytes]) -> None:
    """SIGTERM, as an orchestrator sends it, and time to send what is left."""
    child.send_signal(signal.SIGTERM)
    child.wait(_GOODBYE_SECONDS)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where everything is while a run lasts."""

    environments: Path
    folder: Path
    cores: Cores
    sink: int
    hung: int
    variables: dict[str, str]

    def python(self, agent: str) -> str:
        """The interpreter of an agent: logfire and ddtrace have another one, which weighs on nobody else."""
        name = "bench-agents" if agent in _HEAVY or agent == "sink" else "bench"
        return str(self.environments / name / "bin" / "python")

    def environment(self, agent: str, service: str) -> dict[str, str]:
        """Every agent at its defaults, sending to the sink; to the hung collector if it is named so."""
        endpoint = f"http://127.0.0.1:{self.hung if agent == HUNG else self.sink}"
        return self.variables | {
            "BENCH_AGENT": agent.partition(",")[0],
            "BENCH_SERVICE": service,
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_SERVICE_NAME": "checkout",
            "DD_TRACE_AGENT_URL": endpoint,
            "DD_SERVICE": "checkout",
            "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",  # about ddtrace itself, and not for the sink
            "SHOPSCOPE_CONFIG": str(HERE / "shopscope.toml"),
        }

    def counts(self) -> dict[str, Any]:
        """What the sink has received since it was last asked."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.sink}/counts", timeout=60) as response:
            return dict(json.load(response))


def _plain_environment() -> dict[str, str]:
    """Ours without what would set up an agent."""
    agents = ("OTEL_", "SHOPSCOPE_", "DD_", "LOGFIRE_", "FASTAPI_", "PYTHON")
    return {name: value for name, value in os.environ.items() if not name.startswith(agents)}


@contextlib.contextmanager
def surroundings(environments: Path) -> Iterator[Surroundings]:
    """All of it, on the cores that the measured service does not use."""
    cores = Cores.split()
    pin(cores.rest)
    variables = _plain_environment()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        around = Surroundings(environments, folder, cores, free_port(), free_port(), variables)
        for port, what in ((around.sink, "answer"), (around.hung, "hang")):
            command = [around.python("sink"), "sink.py", str(port), what]
            wait_for(port, stack.enter_context(process(command, variables, folder / what, HERE)))
        for name in ("postgres", "redis"):
            (folder / name).mkdir()
        variables["BENCH_DATABASE"] = stack.enter_context(start_postgres(folder / "postgres"))
        variables["BENCH_REDIS"] = stack.enter_context(start_redis(folder / "redis"))
        variables["BENCH_PEER"] = f"http://127.0.0.1:{around.sink}"
        yield around
